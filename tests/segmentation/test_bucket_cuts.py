"""RFM buckets: how a distribution is cut in five."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_apps.segmentation.distributions import Distribution
from spark_apps.segmentation.rfm import BUCKETS, NAMES, RULES, bucket_cuts

ELEVEN = {
    "Champions",
    "Loyal",
    "Potential Loyalists",
    "New Customers",
    "Promising",
    "Need Attention",
    "About To Sleep",
    "At Risk",
    "Cannot Lose Them",
    "Hibernating",
    "Lost",
}

# skew in every shape: some values many times over
skewed = st.lists(
    st.tuples(st.integers(-50, 50) | st.floats(0, 1e6), st.integers(1, 400)), min_size=1, max_size=30
).map(lambda pairs: sorted(float(value) for value, times in pairs for _ in range(times)))


def cuts_of(points: Sequence[float]) -> list[float]:
    values, users = np.unique(np.array(points, dtype=float), return_counts=True)
    return bucket_cuts(Distribution(values, values, users, float(sum(points))))


def buckets(points: list[float]) -> list[int]:
    cuts = cuts_of(points)
    return [bisect_left(cuts, point) for point in points]


@given(skewed)
def test_cuts_rise_and_are_at_most_four(points: list[float]) -> None:
    cuts = cuts_of(points)
    assert len(cuts) <= BUCKETS - 1
    assert all(low < high for low, high in pairwise(cuts))


@given(skewed)
def test_no_bucket_is_empty_when_there_are_values_enough(points: list[float]) -> None:
    wanted = min(BUCKETS, len(set(points)))
    assert sorted(Counter(buckets(points))) == list(range(wanted))


@given(skewed)
def test_equal_values_share_a_bucket_and_higher_values_never_a_lower_one(points: list[float]) -> None:
    placed = buckets(points)
    of_value = {point: bucket for point, bucket in zip(points, placed, strict=True)}
    assert [of_value[point] for point in points] == placed
    assert placed == sorted(placed)


@given(st.lists(st.floats(0, 1e6, allow_subnormal=False), min_size=BUCKETS, max_size=400, unique=True).map(sorted))
def test_distinct_values_are_cut_into_fifths(points: list[float]) -> None:
    sizes = Counter(buckets(points)).values()
    assert max(sizes) - min(sizes) <= 1


@given(skewed)
def test_each_cut_is_the_one_nearest_to_a_fair_share_of_the_rest(points: list[float]) -> None:
    rest = list(points)
    for place, cut in enumerate(cuts_of(points)):
        values, fair = sorted(set(rest)), len(rest) / (BUCKETS - place)
        allowed = values[: max(1, len(values) - (BUCKETS - place) + 1)]
        off = {value: abs(sum(one <= value for one in rest) - fair) for value in allowed}
        assert off[cut] == min(off.values())
        rest = [value for value in rest if value > cut]


def test_a_value_that_would_fill_a_bucket_twice_over_gets_one_of_its_own() -> None:
    assert cuts_of([1] * 15 + [2] * 20 + list(range(3, 68))) == [1, 3, 24, 45]


def test_four_users_among_a_billion_fill_the_other_buckets() -> None:
    values = np.array([0.0, 5.0, 6.0, 7.0, 8.0])
    assert bucket_cuts(Distribution(values, values, np.array([10**9, 1, 1, 1, 1]), 26.0)) == [0, 5, 6, 7]


def test_a_hundred_values_are_cut_at_every_twentieth() -> None:
    assert cuts_of(range(1, 101)) == [20, 40, 60, 80]


def test_zeros_of_ninety_percent_fill_one_bucket_and_the_rest_is_shared_evenly() -> None:
    assert cuts_of([0] * 900 + list(range(1, 101))) == [0, 25, 50, 75]


@pytest.mark.parametrize(
    "points",
    [
        [1] * 960 + [2, 3, 4, 5],
        [1, 2, 3, 4] + [5] * 960,
        [1] + [2] * 960 + [3, 4, 5],
        [1, 2] + [3] * 960 + [4, 5],
    ],
    ids=["lowest", "highest", "second", "middle"],
)
def test_of_five_values_each_has_its_bucket_however_often_one_comes(points: list[float]) -> None:
    assert cuts_of(points) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("points", "cuts"), [([], []), ([7], []), ([7] * 50, []), ([1, 2], [1]), ([1, 2, 2, 3], [1, 2])]
)
def test_fewer_values_than_buckets_make_fewer_cuts(points: list[float], cuts: list[float]) -> None:
    assert cuts_of(points) == cuts


def test_the_rule_table_names_all_twenty_five_fields_with_all_eleven_names() -> None:
    assert [len(row) for row in RULES] == [BUCKETS] * BUCKETS
    assert {name for row in RULES for name in row} == ELEVEN
    assert set(NAMES) == ELEVEN and len(NAMES) == len(ELEVEN)
