"""Funnel, abandonment, frequency, sequences, affinities and top lists, from what the units counted (SPEC E6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from spark_apps.analysis.affinities import (
    AFFINITIES,
    BOUGHT_CATEGORIES,
    BOUGHT_PRODUCTS,
    MAX_BASKET,
    MAX_ITEMS,
    VIEWED_CATEGORIES,
    VIEWED_PRODUCTS,
    Together,
    least_together,
    rules,
)
from spark_apps.analysis.counts import Counts
from spark_apps.analysis.funnels import (
    DAYS_PER_USER,
    PAIRS,
    SESSIONS,
    SESSIONS_PER_USER,
    USERS,
    abandonment,
    frequency,
    funnel,
)
from spark_apps.analysis.sequences import describe_sequences
from spark_apps.analysis.tops import (
    BY_PURCHASES,
    BY_VIEWS,
    CATEGORIES,
    PRODUCTS,
    best_items,
    descriptions,
    top_lists,
)

_UNITS = (USERS, SESSIONS, PAIRS)
_FREQUENCIES = (SESSIONS_PER_USER, DAYS_PER_USER)
_CANDIDATES = {
    VIEWED_PRODUCTS: (PRODUCTS, BY_VIEWS),
    BOUGHT_PRODUCTS: (PRODUCTS, BY_PURCHASES),
    VIEWED_CATEGORIES: (CATEGORIES, BY_VIEWS),
    BOUGHT_CATEGORIES: (CATEGORIES, BY_PURCHASES),
}


def candidates_of(ranked: pa.Table) -> dict[str, pa.Array]:
    """Returns for each of AFFINITIES the MAX_ITEMS items among which pairs are looked for, the first first.

    Args:
        ranked: columns tops.ITEMS, the first MAX_ITEMS of each ranking and perhaps others.
    """
    return {name: best_items(ranked, kind, by, MAX_ITEMS) for name, (kind, by) in _CANDIDATES.items()}


def describe_behaviour(counts: Counts) -> dict[str, Any]:
    """Tells what users do in the shop; every count is exact.

    A session is one user's events of one session id. The rules of each part stand in its module: `funnels`,
    `sequences`, `affinities`, `tops`.

    Returns:
        funnel and cart_abandonment, each for users, sessions and pairs (of user and product); visit_frequency;
        sequences; affinities; top.
    """
    units = {unit: _of(counts.unit_types, "unit", unit, "types", "units") for unit in _UNITS}
    users = {name: _of(counts.frequencies, "figure", name, "number", "users") for name in _FREQUENCIES}
    sequences = zip(*(counts.sequences[name].to_pylist() for name in ("sequence", "visits")), strict=True)
    return {
        "funnel": {unit: funnel(units[unit]) for unit in _UNITS},
        "cart_abandonment": {unit: abandonment(units[unit]) for unit in _UNITS},
        "visit_frequency": {name: frequency(users[name]) for name in _FREQUENCIES},
        "sequences": describe_sequences(dict(sequences)),
        "affinities": {name: _affinity(counts, name) for name in AFFINITIES},
        "top": top_lists(counts.ranked_items),
    }


def _of(rows: pa.Table, column: str, wanted: str, key: str, count: str) -> dict[int, int]:
    chosen = rows.filter(pc.field(column) == wanted)
    return dict(zip(chosen[key].to_pylist(), chosen[count].to_pylist(), strict=True))


def _affinity(counts: Counts, name: str) -> dict[str, Any]:
    items = candidates_of(counts.ranked_items)[name].to_pylist()
    cells = counts.cells.filter(pc.field("figure") == name).sort_by("cell")
    numbers = counts.basket_counts.filter(pc.field("figure") == name)
    baskets, too_large = (sum(numbers[column].to_pylist()) for column in ("baskets", "too_large"))
    together = Together(baskets, too_large, cells["cell"].to_numpy(), cells["baskets"].to_numpy())
    named = (
        _product_namer(descriptions(counts.ranked_items)) if name in (VIEWED_PRODUCTS, BOUGHT_PRODUCTS) else _category
    )
    return {
        "baskets": baskets,
        "too_large": too_large,
        "largest_basket": MAX_BASKET,
        "candidates": len(items),
        "least_together": least_together(baskets),
        "rules": [{**rule, "a": named(items[rule["a"]]), "b": named(items[rule["b"]])} for rule in rules(together)],
    }


def _product_namer(products: dict[int, dict[str, str]]) -> Callable[[int], dict[str, Any]]:
    return lambda product: {"product_id": product, **products[product]}


def _category(code: str) -> dict[str, Any]:
    return {"category_code": code}
