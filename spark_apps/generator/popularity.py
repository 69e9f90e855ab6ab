"""How unevenly events fall on products (SPEC D7).

Per category a Zipf-Mandelbrot law, its exponent fitted so that a sample of 42,448 events shows as many
distinct products as were seen; over all categories the share of the top 1, 10, 100, 1,000 and 5,000 products
then comes out as measured. Besides, a long tail of products that almost nobody looks at.
"""

from __future__ import annotations

import numpy as np

from spark_apps.generator.calibration import load_calibration
from spark_apps.generator.categories import Shop
from spark_apps.generator.hashing import Floats, Ints

SAMPLE_EVENTS = 42_448

# The fewer events a category has per product seen, the more of its products are still unseen: that many
# unseen ones per product seen and per share of events that hit a new product.
_UNSEEN_PER_SEEN = 5.0
# The weight of rank r is (r + shift) to the power of minus the exponent; small categories have less shift.
_RANK_SHIFT = 24.0
_FULL_SHIFT_FROM = 100
# Share of a category's events on rare products; these make up the month's 166,794 products.
_RARE_SHARE = 0.004
# Weights are whole multiples of this, so that the last bit of a power function never decides a draw.
_UNIT = 1e-13


def products_per_category(place: Shop) -> tuple[Ints, Ints]:
    """How many products each category has at first.

    Args:
        place: the shop.

    Returns:
        Usual products and rare products per category; about 166,794 together.
    """
    seen = np.array([category.products_seen for category in place.categories])
    fresh = seen / (place.shares * SAMPLE_EVENTS)
    usual = np.maximum(np.ceil(seen * (1 + _UNSEEN_PER_SEEN * fresh)), 4)
    total = load_calibration().october["products"]
    rare = np.floor(usual * (total / usual.sum() - 1))
    return usual.astype(np.int64), rare.astype(np.int64)


def popularity_weights(place: Shop, usual: Ints, rare: Ints, category: Ints, rank: Ints) -> Floats:
    """Share of all events that falls on each product.

    Args:
        place: the shop.
        usual: usual products per category.
        rare: rare products per category.
        category: category of each product.
        rank: place of each product in its category by popularity, 0 the most popular.

    Returns:
        Weights above 0 that add up to about 1.
    """
    is_usual = rank < usual[category]
    of = category[is_usual]
    logs = -np.log(rank[is_usual] + 1 + _RANK_SHIFT * np.minimum(1.0, usual[of] / _FULL_SHIFT_FROM))
    part = np.exp(_fitted_exponents(place, of, logs)[of] * logs)
    part /= np.bincount(of, weights=part)[of]
    weight = np.empty(len(category))
    weight[is_usual] = part * (1 - _RARE_SHARE)
    weight[~is_usual] = _RARE_SHARE / rare[category[~is_usual]]
    units = np.round(weight * place.shares[category] / _UNIT)
    return np.asarray(np.maximum(units, 1.0) * _UNIT)


def _fitted_exponents(place: Shop, category: Ints, logs: Floats) -> Floats:
    seen = np.array([entry.products_seen for entry in place.categories])
    events = place.shares * SAMPLE_EVENTS
    low, high = np.full(len(seen), 0.05), np.full(len(seen), 4.0)
    for _ in range(25):
        middle = (low + high) / 2
        part = np.exp(middle[category] * logs)
        part *= (events / np.bincount(category, weights=part))[category]
        distinct = np.bincount(category, weights=-np.expm1(-part))
        low, high = np.where(distinct > seen, middle, low), np.where(distinct > seen, high, middle)
    return np.asarray((low + high) / 2)


def middles(owner: Ints, weight: Floats) -> Floats:
    """Where each row's middle lies in the running weight of its owner.

    Args:
        owner: owner of each row; rows of one owner side by side, owners ascending.
        weight: weight of each row, above 0.

    Returns:
        Numbers between 0 and 1, rising inside an owner.
    """
    totals = np.bincount(owner, weights=weight)
    before = np.concatenate([[0.0], np.cumsum(totals)])[owner]
    middle = (np.cumsum(weight) - weight / 2 - before) / totals[owner]
    return np.asarray(np.clip(middle, 1e-9, 1 - 1e-9))
