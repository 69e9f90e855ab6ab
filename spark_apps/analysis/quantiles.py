"""Exact quantiles of numbers that are known by how often each of them is there."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from itertools import accumulate


def quantile(counts: Mapping[int, int], share: float) -> float | None:
    """Returns a quantile, interpolated linearly as pandas and NumPy do.

    Args:
        counts: how often each number is there.
        share: from 0 for the least to 1 for the greatest.

    Returns:
        The quantile; None where there is no number.
    """
    if not counts:
        return None
    numbers = sorted(counts)
    up_to = list(accumulate(counts[number] for number in numbers))
    place = share * (up_to[-1] - 1)
    lower, upper = (numbers[bisect_right(up_to, end)] for end in (math.floor(place), math.ceil(place)))
    return lower + (upper - lower) * (place - math.floor(place))
