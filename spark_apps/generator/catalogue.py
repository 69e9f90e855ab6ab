"""The products on sale in one month, laid out for drawing them by their weight.

A product's id, category, brand, price and taste group never change; a later month has the products of the
months before and new ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from spark_apps.generator.categories import Shop, shop
from spark_apps.generator.hashing import Floats, Ints, Purpose, hashed
from spark_apps.generator.products import (
    PRICE_LEVELS,
    Groups,
    Products,
    first_products,
    new_products,
)

_FIRST_PRODUCT_ID = 1_000_000
# Room for the largest category's serials up to the generator's last month.
_IDS_PER_CATEGORY = 100_000
_ID_STRIDE = 2


@dataclass(frozen=True)
class Catalogue:
    """P products side by side by taste group, so that every group and category is one stretch of weight.

    Attributes:
        products: the products, in this order.
        product_id: (P) from 1,000,000, a hundred thousand ids for each category.
        cumulative: (P + 1) running sum of the weights.
        category_start: (C) running sum at the start of each category.
        category_end: (C) running sum at its end.
        group_start: (groups) running sum at the start of each taste group.
        group_end: (groups) running sum at its end; equal to the start where a group is empty.
        groups: how tastes map to groups.
    """

    products: Products
    product_id: Ints
    cumulative: Floats
    category_start: Floats
    category_end: Floats
    group_start: Floats
    group_end: Floats
    groups: Groups

    def product_at(self, weight: Floats) -> npt.NDArray[np.int32]:
        """Finds products by running weight.

        Args:
            weight: numbers from 0 to the last running sum.

        Returns:
            Index of the product whose stretch each number falls into.
        """
        found = np.searchsorted(self.cumulative, weight, side="right") - 1
        return np.minimum(found, len(self.product_id) - 1).astype(np.int32)


@lru_cache(maxsize=2)
def catalogue(seed: int, month: int) -> Catalogue:
    """Lays out the products on sale in a month.

    Args:
        seed: another seed is another set of products.
        month: months since October 2019, from `clock.month_number`.

    Returns:
        The catalogue.
    """
    first, groups = first_products(seed)
    released = [first, *(new_products(seed, first, number) for number in range(1, month + 1))]
    products = _by_group(released)
    cumulative = np.concatenate([[0.0], np.cumsum(products.weight)])
    place = shop()
    categories = np.arange(len(place.categories))
    numbers = np.arange(place.brand.size * PRICE_LEVELS)
    return Catalogue(
        products=products,
        product_id=_product_ids(seed, place, products),
        cumulative=cumulative,
        category_start=cumulative[np.searchsorted(products.category, categories)],
        category_end=cumulative[np.searchsorted(products.category, categories, side="right")],
        group_start=cumulative[np.searchsorted(products.group, numbers)],
        group_end=cumulative[np.searchsorted(products.group, numbers, side="right")],
        groups=groups,
    )


def _by_group(released: list[Products]) -> Products:
    columns = zip(*(products.columns() for products in released), strict=True)
    everything = Products(*(np.concatenate(column) for column in columns))
    order = np.argsort(everything.group, kind="stable")
    return Products(*(column[order] for column in everything.columns()))


def _product_ids(seed: int, place: Shop, products: Products) -> Ints:
    jitter = hashed(seed, Purpose.PRODUCT_ID, products.category, products.serial) % np.uint64(_ID_STRIDE)
    first = _FIRST_PRODUCT_ID + place.rank[products.category] * _IDS_PER_CATEGORY
    ids = first + products.serial * _ID_STRIDE + jitter.astype(np.int64)
    return np.asarray(ids, dtype=np.int64)
