"""The products: their category, brand, price and taste group, and the new ones of each month (SPEC D7).

Products that the same people like form a taste group: one brand of one category, the largest brands at two or
three price levels. Brands too small for that share one group per category.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from spark_apps.generator.categories import BRAND_SLOTS, REST_SLOT, Shop, shop
from spark_apps.generator.hashing import Bools, Floats, Ints, Purpose, chances, hashed
from spark_apps.generator.popularity import middles, popularity_weights, products_per_category
from spark_apps.generator.prices import HIGHEST_CENTS, LOWEST_CENTS, normal_scores, price_cents

PRICE_LEVELS = 3

# Normal scores: how far a brand lies from its category's middle price; a product inside it has 1.
_BRAND_PRICE_SPREAD = 0.8
_DEAR_BRANDS = {"apple": 1.5}
# The most popular products of a category get their brands one by one, so that small brands stay small.
_BRANDS_ONE_BY_ONE = 50
# Brands of a category with this share of all events have a taste group of their own; those with the next two
# shares have two and three price levels. Smaller groups could not be told apart by anyone who learns.
_FOLLOWED_SHARE = 0.005
_LEVEL_SHARES = (0.02, 0.03)
# Share of products that come out every month, and how much more they are looked at than those before.
_NEW_PER_MONTH = 0.03
_NEW_BOOST = 2.0


@dataclass(frozen=True)
class Products:
    """Columns of products, n of them.

    Attributes:
        category: index into the shop's categories.
        serial: number inside the category; product ids come from it.
        brand: number of the brand in the shop's brand names.
        slot: brand slot of the taste group, REST_SLOT for small brands.
        level: price level of the taste group, 0 the cheapest.
        cents: price.
        weight: share of events, before exploration.
        released: months since October 2019 when it came on sale.
        rare: whether almost nobody looks at it.
    """

    category: Ints
    serial: Ints
    brand: Ints
    slot: Ints
    level: Ints
    cents: Ints
    weight: Floats
    released: Ints
    rare: Bools

    def columns(self) -> list[npt.NDArray[Any]]:
        """All columns, in the order above."""
        return [getattr(self, field.name) for field in fields(self)]

    @property
    def group(self) -> Ints:
        """Taste group: (category * BRAND_SLOTS + brand slot) * PRICE_LEVELS + price level."""
        return (self.category * BRAND_SLOTS + self.slot) * PRICE_LEVELS + self.level


@dataclass(frozen=True)
class Groups:
    """How tastes map to groups; the same in every month. C categories.

    Attributes:
        slot_share: (C, BRAND_SLOTS) share of a category's events per brand slot, 0 where there is no product.
        level_cuts: (C, BRAND_SLOTS, PRICE_LEVELS - 1) people with a price taste below the first cut take
            price level 0, below the second level 1, the others level 2.
    """

    slot_share: Floats
    level_cuts: Floats


@lru_cache(maxsize=2)
def first_products(seed: int) -> tuple[Products, Groups]:
    """The products on sale in October 2019, and the taste groups they form.

    Args:
        seed: another seed is another set of products.

    Returns:
        Products ordered by category and serial, and their groups.
    """
    place = shop()
    usual, rare = products_per_category(place)
    size = usual + rare
    category = np.repeat(np.arange(len(size)), size)
    serial = np.arange(len(category)) - np.repeat(np.cumsum(size) - size, size)
    # Popularity by a hashed order, so that ids do not tell how popular a product is.
    rank = np.empty_like(serial)
    rank[np.lexsort((hashed(seed, Purpose.PRODUCT_RANK, category, serial), category))] = serial
    weight = popularity_weights(place, usual, rare, category, rank)
    brand_slot = _brand_slots(place, category, weight, rank)
    brand = place.brand[category, brand_slot]
    cents = _prices(seed, place, category, brand, serial, weight)
    slot = _followed(place, category, brand_slot, weight)
    level, cuts = _price_levels(place, category * BRAND_SLOTS + slot, cents, weight)
    shares = np.bincount(category * BRAND_SLOTS + slot, weights=weight, minlength=place.brand.size)
    shares = shares.reshape(place.brand.shape)
    groups = Groups(shares / shares.sum(axis=1, keepdims=True), cuts)
    released = np.zeros_like(serial)
    is_rare = rank >= usual[category]
    return Products(category, serial, brand, slot, level, cents, weight, released, is_rare), groups


def _brand_slots(place: Shop, category: Ints, weight: Floats, rank: Ints) -> Ints:
    """Gives every product a brand, so that brands get their share of each category's events.

    The most popular products go one by one to the brand that lacks most; the others fill what is left.
    """
    share = weight / np.bincount(category, weights=weight)[category]
    slot = np.zeros(len(category), dtype=np.int64)
    lacking = place.brand_share.copy()
    for popular in range(_BRANDS_ONE_BY_ONE):
        here = np.flatnonzero(rank == popular)
        slot[here] = np.argmax(lacking[category[here]], axis=1)
        lacking[category[here], slot[here]] -= share[here]
    rest = np.flatnonzero(rank >= _BRANDS_ONE_BY_ONE)
    owner = category[rest]
    lacking = np.maximum(lacking, 1e-12)
    until = np.cumsum(lacking / lacking.sum(axis=1, keepdims=True), axis=1)
    bounds = (until + np.arange(len(until))[:, None]).ravel()
    found = np.searchsorted(bounds, owner + middles(owner, weight[rest])) - owner * BRAND_SLOTS
    slot[rest] = np.clip(found, 0, BRAND_SLOTS - 1)
    return slot


def _prices(seed: int, place: Shop, category: Ints, brand: Ints, serial: Ints, weight: Floats) -> Ints:
    """Some brands are dearer than others, and each category's price quantiles come out as measured."""
    spread = normal_scores(chances(seed, Purpose.BRAND_PRICE, category, brand)) * _BRAND_PRICE_SPREAD
    dear = np.array([_DEAR_BRANDS.get(name, 0.0) for name in place.brand_names])[brand]
    score = normal_scores(chances(seed, Purpose.PRODUCT_PRICE, category, serial))
    score += np.where(dear > 0, dear, spread)
    order = np.lexsort((score, category))
    quantile = np.empty_like(weight)
    quantile[order] = middles(category[order], weight[order])
    return price_cents(place, category, quantile)


def _followed(place: Shop, category: Ints, slot: Ints, weight: Floats) -> Ints:
    owner = category * BRAND_SLOTS + slot
    shares = np.bincount(owner, weights=weight, minlength=place.brand.size)
    return np.where(shares[owner] < _FOLLOWED_SHARE, REST_SLOT, slot)


def _price_levels(place: Shop, owner: Ints, cents: Ints, weight: Floats) -> tuple[Ints, Floats]:
    """Splits the products of each brand slot into price levels of equal weight."""
    order = np.lexsort((cents, owner))
    owner, weight = owner[order], weight[order]
    shares = np.bincount(owner, weights=weight)
    levels = np.ones(len(shares), dtype=np.int64)
    for share in _LEVEL_SHARES:
        levels += shares >= share
    dense = np.concatenate([[0], np.cumsum(np.diff(owner) > 0)])
    by_price = np.floor(middles(dense, weight) * levels[owner]).astype(np.int64)
    level = np.empty_like(by_price)
    level[order] = by_price
    size = place.brand.size * PRICE_LEVELS
    parts = np.bincount(owner * PRICE_LEVELS + by_price, weights=weight, minlength=size)
    parts = parts.reshape(*place.brand.shape, PRICE_LEVELS)
    totals = np.maximum(parts.sum(axis=2, keepdims=True), 1e-30)
    return level, np.cumsum(parts, axis=2)[:, :, :-1] / totals


def new_products(seed: int, first: Products, month: int) -> Products:
    """The products that come out in a later month: each is the successor of a product of the first month.

    Args:
        seed: the generator's seed.
        first: from `first_products`.
        month: months since October 2019, 1 or more.

    Returns:
        Products with serials that no other month uses, ordered by category.
    """
    usual = np.flatnonzero(~first.rare)
    chance = chances(seed, Purpose.NEW_PRODUCT, first.category[usual], first.serial[usual], month)
    parent = usual[chance < _NEW_PER_MONTH]
    category = first.category[parent]
    # Every month has its own stretch of serials, twice as long as needed on average.
    room = 1 + (np.bincount(first.category[usual]) * 2 * _NEW_PER_MONTH).astype(np.int64)
    place = np.arange(len(category)) - np.searchsorted(category, category)
    fits = place < room[category]
    parent, category, place = parent[fits], category[fits], place[fits]
    serial = np.bincount(first.category)[category] + (month - 1) * room[category] + place
    factor = 0.95 + 0.2 * chances(seed, Purpose.NEW_PRICE, category, serial)
    return Products(
        category=category,
        serial=serial,
        brand=first.brand[parent],
        slot=first.slot[parent],
        level=first.level[parent],
        cents=np.clip(np.round(first.cents[parent] * factor), LOWEST_CENTS, HIGHEST_CENTS).astype(np.int64),
        weight=first.weight[parent] * _NEW_BOOST,
        released=np.full(len(parent), month),
        rare=first.rare[parent],
    )
