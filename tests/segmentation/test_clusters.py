"""K-means finds planted groups; its figures are those of scikit-learn and NumPy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score
from sklearn.preprocessing import StandardScaler

from spark_apps.segmentation.clusters import (
    FEATURES,
    MAX_ITERATIONS,
    Fit,
    best_k,
    cluster_means,
    clustering_input,
    fit_clusters,
    kmeans_of,
    place_users,
    sample_users,
    silhouette_curve,
)
from tests.segmentation.conftest import CENTRES, Planted, features_frame, member, user_row

GROUPS = len(CENTRES)


@pytest.fixture(scope="module")
def planted(plant: Callable[[int], Planted]) -> Planted:
    return plant(40)


@pytest.fixture(scope="module")
def fitted(planted: Planted) -> tuple[PipelineModel, Fit]:
    return fit_clusters(clustering_input(planted[0]).persist(), GROUPS, seed=42)


def matrix(rows: DataFrame) -> np.ndarray:
    table = clustering_input(rows).toArrow().sort_by("user_id")
    return np.column_stack([table.column(name).to_numpy() for name in FEATURES])


def clusters_of(model: PipelineModel, users: DataFrame) -> dict[int, int]:
    return {row["user_id"]: row["cluster"] for row in place_users(model, users).collect()}


def test_planted_groups_are_found(planted: Planted, fitted: tuple[PipelineModel, Fit]) -> None:
    users, groups = planted
    placed = clusters_of(fitted[0], users)
    assert len({(groups[user], cluster) for user, cluster in placed.items()}) == GROUPS
    assert set(placed.values()) == set(range(GROUPS))


def test_cost_and_silhouette_are_those_of_numpy_and_scikit_learn(
    planted: Planted, fitted: tuple[PipelineModel, Fit]
) -> None:
    users, (model, fit) = planted[0], fitted
    values = matrix(users)
    scaled = (values - values.mean(axis=0)) / values.std(axis=0, ddof=1)
    placed = clusters_of(model, users)
    labels = np.array([placed[user] for user in sorted(placed)])
    centres = np.array([scaled[labels == cluster].mean(axis=0) for cluster in range(GROUPS)])
    assert fit.k == GROUPS and fit.iterations >= 1
    assert fit.cost == pytest.approx(((scaled - centres[labels]) ** 2).sum(), rel=1e-6)
    assert fit.silhouette == pytest.approx(silhouette_score(scaled, labels, metric="sqeuclidean"), rel=1e-6)
    np.testing.assert_allclose(np.array(kmeans_of(model).clusterCenters()), centres, atol=1e-9)


def test_a_saved_model_places_old_users_where_they_were_and_new_ones_near_them(
    spark: SparkSession, planted: Planted, fitted: tuple[PipelineModel, Fit], tmp_path: Path
) -> None:
    users, groups = planted
    before = clusters_of(fitted[0], users)
    fitted[0].write().save(str(tmp_path / "model"))
    loaded = PipelineModel.load(str(tmp_path / "model"))
    assert clusters_of(loaded, users) == before
    of_group = {groups[user]: cluster for user, cluster in before.items()}
    newcomers = [member(1000 + group, group, 0.07) for group in range(GROUPS)]
    nobody_yet = user_row(2000, avg_price=None)
    placed = clusters_of(loaded, features_frame(spark, [*newcomers, nobody_yet]))
    assert {user: placed[user] for user in range(1000, 1000 + GROUPS)} == {1000 + g: of_group[g] for g in of_group}
    assert placed[2000] in range(GROUPS)


def test_means_of_clusters_are_those_of_their_users(planted: Planted, fitted: tuple[PipelineModel, Fit]) -> None:
    users, groups = planted
    placed = fitted[0].transform(clustering_input(users))
    means = cluster_means(placed)
    assert [row["cluster"] for row in means] == list(range(GROUPS))
    assert [row["users"] for row in means] == [40] * GROUPS
    values, found = matrix(users), clusters_of(fitted[0], users)
    for row in means:
        members = [user for user in sorted(groups) if found[user] == row["cluster"]]
        assert [row[name] for name in FEATURES] == pytest.approx(values[members].mean(axis=0), rel=1e-9)


def test_the_partitioning_of_the_users_changes_neither_input_nor_sample(planted: Planted) -> None:
    users, count = planted[0], 40 * GROUPS
    one = sample_users(clustering_input(users), count, 60, seed=7)
    other = sample_users(clustering_input(users.repartition(5).orderBy("monetary")), count, 60, seed=7)
    np.testing.assert_array_equal(one, other)
    assert 30 <= len(one) <= 90
    assert len(sample_users(clustering_input(users), count, 60, seed=8)) != 0
    np.testing.assert_array_equal(sample_users(clustering_input(users), count, count, seed=7), matrix(users))


def test_a_missing_mean_price_counts_as_zero(spark: SparkSession) -> None:
    row = clustering_input(features_frame(spark, [user_row(1, avg_price=None)])).collect()[0]
    assert row["avg_price"] == 0.0


def test_users_who_are_all_alike_make_one_cluster(spark: SparkSession) -> None:
    rows = clustering_input(features_frame(spark, [user_row(user) for user in range(20)])).persist()
    model, fit = fit_clusters(rows, 3, seed=1)
    assert (fit.cost, fit.silhouette) == (0.0, None)
    assert [row["users"] for row in cluster_means(model.transform(rows))] == [20]


def blobs(centres: int, rows: int) -> np.ndarray:
    random = np.random.default_rng(3)
    middles = random.normal(size=(centres, len(FEATURES))) * 100
    return middles[np.arange(rows) % centres] + random.normal(size=(rows, len(FEATURES)))


@pytest.mark.parametrize("groups", [2, 4, 7])
def test_the_curve_is_highest_at_the_planted_number_of_groups(groups: int) -> None:
    curve = silhouette_curve(blobs(groups, 280), range(2, 11), seed=42)
    assert [fit.k for fit in curve] == list(range(2, 11))
    assert best_k(curve) == groups
    assert curve[0].cost > curve[-1].cost


def test_the_curve_stops_before_there_are_fewer_users_than_clusters() -> None:
    values = np.repeat(blobs(4, 4), 25, axis=0)
    assert [fit.k for fit in silhouette_curve(values, range(2, 11), seed=42)] == [2, 3]
    assert silhouette_curve(np.ones((50, 8)), range(2, 11), seed=42) == []
    assert silhouette_curve(np.ones((1, 8)), range(2, 11), seed=42) == []


@pytest.mark.parametrize("place", range(4))
def test_one_user_far_from_many_does_not_stop_the_curve(place: int) -> None:
    values = np.random.default_rng(3).normal(size=(6000, len(FEATURES)))
    values[place] = 1e4
    assert silhouette_curve(values, [2], seed=42)[0].silhouette == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("groups", [2, 3, 9])
@pytest.mark.parametrize("planted_groups", [1, 3])
def test_the_curve_s_silhouette_is_scikit_learn_s(groups: int, planted_groups: int) -> None:
    values = blobs(planted_groups, 300)
    scaled = StandardScaler().fit_transform(values)
    labels = KMeans(groups, n_init=1, max_iter=MAX_ITERATIONS, random_state=42).fit(scaled).labels_
    expected = silhouette_score(scaled, labels, metric="sqeuclidean")
    assert silhouette_curve(values, [groups], seed=42)[0].silhouette == pytest.approx(expected, rel=1e-9)


def test_of_equal_silhouettes_the_smallest_k_is_taken() -> None:
    def fit(k: int, silhouette: float | None) -> Fit:
        return Fit(k, 1.0, 1, silhouette)

    assert best_k([fit(2, 0.5), fit(3, 0.7), fit(4, 0.7), fit(5, None)]) == 3
