"""Users without spread, one user, interest of next to nothing: silhouettes, lifts and cuts stay in their range."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_apps.segmentation.affinities import Interest, affinities
from spark_apps.segmentation.curve import silhouette_curve
from spark_apps.segmentation.distributions import Distribution
from spark_apps.segmentation.inputs import FEATURES, Scale
from spark_apps.segmentation.rfm import BUCKETS, bucket_cuts

interests = st.tuples(
    st.sampled_from("ab"),
    st.sampled_from(("categories", "brands")),
    st.sampled_from("xyz"),
    st.sampled_from((1e-6, 1.0, 10.0, 1e12)),
    st.integers(1, 5),
)


@settings(max_examples=25)
@given(st.integers(1, 20), st.integers(0, 50), st.sampled_from((0.0, 1e-12, 1.0, 1e9)), st.integers(0, 8))
def test_silhouettes(users: int, seed: int, size: float, same: int) -> None:
    points = np.random.default_rng(seed).normal(size=(users, len(FEATURES))) * size
    points[:, :same] = 0.1
    for point in silhouette_curve(points, range(2, 5), 1):
        assert -1 <= point.silhouette <= 1 + 1e-9
        assert math.isfinite(point.cost) and point.cost >= 0


@given(st.lists(interests, max_size=8, unique_by=lambda row: row[:3]))
def test_affinities(rows: list[tuple[str, str, str, float, int]]) -> None:
    for segment in affinities([Interest(*row) for row in rows], {"a": 1, "b": 2}, 5):  # type: ignore[arg-type]
        for one in (*segment.categories, *segment.brands):
            assert 0 < one.share <= 1 + 1e-9 and 1 < one.lift < math.inf


@given(st.dictionaries(st.sampled_from((-5.0, 0.0, 1e-9, 1.0, 2.0, 1e12, 1e300)), st.integers(1, 10**9)))
def test_cuts_rise_and_leave_no_bucket_empty(users: dict[float, int]) -> None:
    values = np.array(sorted(users))
    cuts = bucket_cuts(Distribution(values, values, np.array([users[value] for value in values], np.int64), 0.0))
    assert cuts == sorted(set(cuts)) and len(cuts) == max(0, min(BUCKETS, len(users)) - 1)


@given(st.lists(st.sampled_from((0.0, 0.1, -3.0, 1e12)), min_size=1, max_size=6))
def test_standardised_points_are_finite(column: list[float]) -> None:
    points = np.array(column).reshape(-1, 1)
    scale = Scale(points.mean(axis=0), points.std(axis=0) * (len(set(column)) > 1))
    found = scale.standardised(points)
    assert np.isfinite(found).all()
    if len(set(column)) == 1:
        assert not found.any()
