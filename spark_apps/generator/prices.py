"""What products cost: the measured price quantiles of each category (SPEC D7)."""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist

import numpy as np

from spark_apps.generator.categories import Shop
from spark_apps.generator.hashing import Floats, Ints

LOWEST_CENTS, HIGHEST_CENTS = 77, 257_407

# Normal score of the 5 % and 95 % quantiles.
_SCORE_95 = 1.645
# Bends the upper half so that the mean price over all views comes out as measured (288.98).
_UPPER_BEND = 0.74
# Beyond the 5 % and 95 % quantiles prices spread this much slower.
_END_SLOPE = 0.4


def price_cents(place: Shop, category: Ints, quantile: Floats) -> Ints:
    """The price at a quantile of a category's events.

    Log prices follow two half normals that meet at the median; the upper one is bent and both ends are pulled
    in, as the dearest product costs 2,574.07.

    Args:
        place: the shop.
        category: index of the category, per price wanted.
        quantile: 0 to 1, same shape.

    Returns:
        Cents, from 77 to 257,407.
    """
    low, middle, high = (np.log([c.prices[i] for c in place.categories])[category] for i in range(3))
    score = normal_scores(quantile) / _SCORE_95
    size = np.abs(score)
    size = np.minimum(size, 1.0) + np.maximum(size - 1.0, 0.0) * _END_SLOPE
    logs = middle + np.where(score < 0, (low - middle) * size, (high - middle) * size**_UPPER_BEND)
    return np.asarray(np.clip(np.round(np.exp(logs) * 100), LOWEST_CENTS, HIGHEST_CENTS), dtype=np.int64)


def normal_scores(quantile: Floats) -> Floats:
    """Normal scores of quantiles, read from a table of 4,096.

    Args:
        quantile: numbers between 0 and 1, any shape.

    Returns:
        Scores of the same shape, about -6 to 6.
    """
    at, scores = _normal_table()
    return np.asarray(np.interp(quantile, at, scores))


@lru_cache(maxsize=1)
def _normal_table() -> tuple[Floats, Floats]:
    normal = NormalDist()
    ends = np.array([1e-9, 1e-7, 1e-6, 1e-5])
    at = np.concatenate([ends, np.arange(1, 4096) / 4096, 1 - ends[::-1]])
    return at, np.array([normal.inv_cdf(float(quantile)) for quantile in at])
