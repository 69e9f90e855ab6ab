"""The silhouette curve: the planted number of groups, scikit-learn's silhouette, odd samples."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import StandardScaler

from spark_apps.segmentation import inputs
from spark_apps.segmentation.curve import CurvePoint, best_k, silhouette_curve, squared_silhouette
from spark_apps.segmentation.inputs import FEATURES


def blobs(centres: int, rows: int) -> np.ndarray:
    random = np.random.default_rng(3)
    middles = random.normal(size=(centres, len(FEATURES))) * 100
    return middles[np.arange(rows) % centres] + random.normal(size=(rows, len(FEATURES)))


@pytest.mark.parametrize("groups", [2, 4, 7])
def test_the_curve_is_highest_at_the_planted_number_of_groups(groups: int) -> None:
    points = silhouette_curve(blobs(groups, 280), range(2, 11), seed=42)
    assert [point.k for point in points] == list(range(2, 11))
    assert best_k(points) == groups
    assert points[0].cost > points[-1].cost


def test_the_curve_stops_before_there_are_fewer_users_than_clusters() -> None:
    values = np.repeat(blobs(4, 4), 25, axis=0)
    assert [point.k for point in silhouette_curve(values, range(2, 11), seed=42)] == [2, 3]
    assert silhouette_curve(np.ones((50, 8)), range(2, 11), seed=42) == []
    assert silhouette_curve(np.ones((1, 8)), range(2, 11), seed=42) == []
    assert silhouette_curve(np.ones((0, 8)), range(2, 11), seed=42) == []


@pytest.mark.parametrize("place", range(4))
def test_one_user_far_from_many_does_not_stop_the_curve(place: int) -> None:
    values = np.random.default_rng(3).normal(size=(6000, len(FEATURES)))
    values[place] = 1e4
    assert silhouette_curve(values, [2], seed=42)[0].silhouette == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("groups", [2, 3, 9])
@pytest.mark.parametrize("planted_groups", [1, 3])
def test_the_silhouette_is_scikit_learn_s(groups: int, planted_groups: int) -> None:
    scaled = StandardScaler().fit_transform(blobs(planted_groups, 300))
    labels = KMeans(groups, n_init=1, random_state=42).fit(scaled).labels_
    expected = silhouette_score(scaled, labels, metric="sqeuclidean")
    assert squared_silhouette(scaled, labels) == pytest.approx(expected, rel=1e-9)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "BLOCK", 64)  # 300 points: four blocks and a part of one
        assert squared_silhouette(scaled, labels) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("k", [3, 8])
def test_a_point_s_cost_and_silhouette_are_near_those_of_many_more_starts(k: int) -> None:
    values = blobs(5, 400)
    best = KMeans(k, n_init=50, random_state=0).fit(StandardScaler().fit_transform(values))
    (point,) = silhouette_curve(values, [k], seed=42)
    assert point.cost == pytest.approx(best.inertia_, rel=0.05)


def test_of_equal_silhouettes_the_smallest_k_is_taken() -> None:
    points = [
        CurvePoint(k=k, cost=1.0, iterations=1, silhouette=silhouette)
        for k, silhouette in ((2, 0.5), (3, 0.7), (4, 0.7), (5, -1.0))
    ]
    assert best_k(points) == 3
