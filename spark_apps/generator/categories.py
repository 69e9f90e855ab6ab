"""The shop's categories and the brands in each: the measured ones, and a made-up tail.

The calibration lists the 263 largest of 541 categories. The other 278 hold 3.5 % of the events together; they
are made here with ids of the same look, prices and brands borrowed from a listed category, and as many
missing codes and brands as the month's totals leave for them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from spark_apps.generator.calibration import Calibration, Category, load_calibration
from spark_apps.generator.hashing import Floats, Ints, Purpose, hashed

# Up to twelve brands are listed per category, four small ones are added, the last slot is for all those
# brands of a category that are too small for a following of their own.
BRAND_SLOTS = 17
REST_SLOT = BRAND_SLOTS - 1

# What is left for the tail when the listed categories are taken from the month's totals.
_TAIL_WITHOUT_CODE = 0.78
_TAIL_WITHOUT_BRAND = 0.397
# Brands beyond the twelve that are listed for a category share the rest among this many.
_SMALL_BRANDS = 4
_SMALLEST_REST = 0.004
_FIRST_TAIL_ID = 2_053_013_550_000_000_000
_TAIL_ID_RANGE = 20_000_000_000
# Categories without a code are spread over this many departments of their own.
_UNNAMED_DEPARTMENTS = 8


@dataclass(frozen=True)
class Shop:
    """Categories in a fixed order, departments side by side; C categories, BRAND_SLOTS brands in each.

    Attributes:
        categories: what each category is.
        cumulative: (C + 1) share of events before each category; first 0, last 1.
        department_start: (C) share of events before the category's department.
        department_end: (C) share of events up to the end of that department.
        brand_names: every brand, "" for a missing one.
        brand: (C, BRAND_SLOTS) number of the brand in brand_names.
        brand_share: (C, BRAND_SLOTS) share of the category's events; 0 where the slot is unused.
        rank: (C) place of the category by share, 0 the largest; product ids start from it.
    """

    categories: tuple[Category, ...]
    cumulative: Floats
    department_start: Floats
    department_end: Floats
    brand_names: tuple[str, ...]
    brand: Ints
    brand_share: Floats
    rank: Ints

    @cached_property
    def shares(self) -> Floats:
        """Share of events of each category."""
        return np.diff(self.cumulative)

    @cached_property
    def phones(self) -> int:
        """The smartphones' category: more than a quarter of all events."""
        return int(np.argmin(self.rank))

    @cached_property
    def no_brand(self) -> int:
        """The number of the missing brand in brand_names."""
        return self.brand_names.index("")

    def category_columns(self, category: Ints) -> dict[str, Any]:
        """The columns category_id and category_code (null where missing) for categories given by index."""
        number = pa.array(category)
        ids = pa.array([entry.category_id for entry in self.categories])
        codes = pa.array([entry.code for entry in self.categories], pa.string())
        return {"category_id": ids.take(number), "category_code": codes.take(number)}

    def brand_column(self, brand: Ints) -> Any:
        """The column brand (null where missing) for brands given by number."""
        return pa.array([name or None for name in self.brand_names], pa.string()).take(pa.array(brand))


def category_at(shares: Floats) -> Ints:
    """Draws categories by their share of events.

    Args:
        shares: numbers from 0 to 1, evenly spread.

    Returns:
        Index into the shop's categories for each.
    """
    found = np.searchsorted(shop().cumulative, shares, side="right") - 1
    return np.asarray(np.minimum(found, len(shop().categories) - 1), dtype=np.int64)


@lru_cache(maxsize=1)
def shop() -> Shop:
    """Lays out the categories.

    Returns:
        The shop, the same for every seed and month.
    """
    calibration = load_calibration()
    everything = calibration.categories + _tail(calibration)
    departments = [_department(category) for category in everything]
    order = sorted(range(len(everything)), key=lambda i: (departments[i], i))
    categories = tuple(everything[i] for i in order)
    shares = np.array([category.share for category in categories])
    cumulative = np.concatenate([[0.0], np.cumsum(shares / shares.sum())])
    cumulative[-1] = 1.0
    start, end = _department_bounds([departments[i] for i in order], cumulative)
    names, brand, brand_share = _brands(categories)
    return Shop(categories, cumulative, start, end, names, brand, brand_share, np.array(order))


def _tail(calibration: Calibration) -> tuple[Category, ...]:
    listed, size = calibration.categories, calibration.tail_categories
    numbers = hashed(0, Purpose.TAIL_CATEGORY, np.arange(size))
    slope = np.linspace(2.0, 0.3, size) / np.linspace(2.0, 0.3, size).sum()
    seen = calibration.popularity["distinct_products_in_42448_events"] - sum(c.products_seen for c in listed)
    named = [category.code for category in listed if category.code]
    ids = _FIRST_TAIL_ID + (numbers % np.uint64(_TAIL_ID_RANGE)).astype(np.int64)
    taken = {category.category_id for category in listed}
    tail = []
    for i in range(size):
        model = listed[int(numbers[i] >> np.uint64(40)) % len(listed)]
        without_code = (i * 61) % 100 < round(100 * _TAIL_WITHOUT_CODE)
        tail.append(
            Category(
                category_id=int(ids[i]) + (int(ids[i]) in taken),
                code=None if without_code else named[i % len(named)],
                share=float(slope[i]) * calibration.tail_share,
                products_seen=float(slope[i]) * seen,
                prices=model.prices,
                brands=_with_missing_share(model, _TAIL_WITHOUT_BRAND),
            )
        )
    return tuple(tail)


def _with_missing_share(model: Category, missing: float) -> dict[str, float]:
    named = {name: share for name, share in model.brands.items() if name}
    rest = sum(named.values())
    return {"": missing} | {name: share / rest * (1 - missing) for name, share in named.items()}


def _department(category: Category) -> str:
    if category.code:
        return category.code.split(".")[0]
    return f"~{int(hashed(0, Purpose.DEPARTMENT, category.category_id)[0]) % _UNNAMED_DEPARTMENTS}"


def _department_bounds(departments: Sequence[str], cumulative: Floats) -> tuple[Floats, Floats]:
    first: dict[str, float] = {}
    last: dict[str, float] = {}
    for name, start, end in zip(departments, cumulative[:-1], cumulative[1:], strict=True):
        first.setdefault(name, float(start))
        last[name] = float(end)
    return np.array([first[name] for name in departments]), np.array([last[name] for name in departments])


def _brands(categories: Sequence[Category]) -> tuple[tuple[str, ...], Ints, Floats]:
    """Every brand name; per category the numbers of its brands and their shares."""
    names = tuple(sorted({name for category in categories for name in category.brands}))
    number = {name: i for i, name in enumerate(names)}
    brand = np.zeros((len(categories), BRAND_SLOTS), dtype=np.int64)
    share = np.zeros((len(categories), BRAND_SLOTS))
    for row, category in enumerate(categories):
        filled = list(category.brands.items()) + _small_brands(row, category, names)
        for slot, (name, part) in enumerate(filled):
            brand[row, slot] = number[name]
            share[row, slot] = part
    return names, brand, share / share.sum(axis=1, keepdims=True)


def _small_brands(row: int, category: Category, names: Sequence[str]) -> list[tuple[str, float]]:
    rest = 1.0 - sum(category.brands.values())
    if rest < _SMALLEST_REST:
        return []
    others = [name for name in names if name and name not in category.brands]
    chosen = [others[(row * 37 + i * 101) % len(others)] for i in range(_SMALL_BRANDS)]
    return [(name, rest / _SMALL_BRANDS) for name in dict.fromkeys(chosen)]
