"""How sure a mean over users is: percentile bootstrap intervals.

Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13: draw as many users as there are, with
replacement, a thousand times, and take the middle 95 % of the means. Every figure of every model is computed on
the same drawn users, so differences of columns are paired.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spark_apps.results import Result

Values = NDArray[np.float64]
RESAMPLES = 1000
LEVEL = 0.95
_DIGITS = 6
# 64 resamples of 20,000 users: 10 MB of weights at a time
_AT_ONCE = 64


class Estimate(Result):
    """A figure and the ends of its 95 % interval, None where it has none; rounded, so that machines agree on it."""

    value: float | None
    low: float | None = None
    high: float | None = None


def resampled_means(values: Values, seed: int, resamples: int = RESAMPLES) -> Values:
    """Draws users again and again, and takes the means of each draw.

    Args:
        values: one row per user, one column per figure; NaN where a user has none.
        seed: of the draws.
        resamples: number of draws.

    Returns:
        Shape (resamples, figures); NaN where a draw holds no user with the figure.
    """
    users = len(values)
    there = ~np.isnan(values)
    filled, valid = np.where(there, values, 0.0), there.astype(np.float64)
    random = np.random.default_rng(seed)
    means = np.empty((resamples, values.shape[1]))
    for start in range(0, resamples, _AT_ONCE):
        draws = min(_AT_ONCE, resamples - start)
        weights = _weights(random, draws, users)
        means[start : start + draws] = _ratio(weights @ filled, weights @ valid)
    return means


def _weights(random: np.random.Generator, draws: int, users: int) -> Values:
    """How often each user is in each draw, shape (draws, users)."""
    drawn = random.integers(0, users, (draws, users)) + users * np.arange(draws)[:, None]
    return np.bincount(drawn.reshape(-1), minlength=draws * users).reshape(draws, users).astype(np.float64)


def _ratio(sums: Values, counts: Values) -> Values:
    return np.divide(sums, counts, out=np.full_like(sums, np.nan), where=counts > 0)


def means(values: Values) -> Values:
    """Returns each column's mean over the users who have the figure; NaN where nobody has."""
    there = ~np.isnan(values)
    return _ratio(np.where(there, values, 0.0).sum(axis=0), there.sum(axis=0).astype(np.float64))


def estimate(value: float, resampled: Values) -> Estimate | None:
    """Returns a figure with the percentile interval of its resampled values; None where there is no figure."""
    known = resampled[~np.isnan(resampled)]
    if np.isnan(value) or not len(known):
        return None
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(value=_rounded(value), low=_rounded(low), high=_rounded(high))


def _rounded(figure: float) -> float:
    return round(float(figure), _DIGITS) + 0.0  # which makes 0 of -0
