"""K-means finds planted groups; its figures are those of scikit-learn and NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score

from spark_apps.segmentation import clusters
from spark_apps.segmentation.clusters import (
    MAX_ITERATIONS,
    Fit,
    centre_means,
    centres_of,
    fit_clusters,
)
from spark_apps.segmentation.inputs import FEATURES, clustering_input, in_fixed_order
from tests.segmentation.conftest import CENTRES, Planted, features_frame, user_row

GROUPS = len(CENTRES)


def fit(users: DataFrame, k: int, wanted: int = 1000, seed: int = 42) -> tuple[PipelineModel, Fit]:
    count = users.count()
    rows = in_fixed_order(clustering_input(users), count).persist()
    clustering = fit_clusters(rows, count, k, seed, wanted)
    return clustering.model, clustering.fit


@pytest.fixture(scope="module")
def planted(plant: Callable[[int], Planted]) -> Planted:
    return plant(40)


@pytest.fixture(scope="module")
def fitted(planted: Planted) -> tuple[PipelineModel, Fit]:
    return fit(planted[0], GROUPS)


@pytest.fixture(scope="module")
def skewed(spark: SparkSession) -> DataFrame:
    """Users without clear groups, most of them idle and two of them enormous."""
    random = np.random.default_rng(8)
    rows = []
    for user in range(3000):
        busy = int(random.pareto(1.2)) + 1
        spent = float(random.lognormal(4, 2)) if random.random() < 0.1 else 0.0
        features = {"recency": int(random.integers(31)), "frequency": min(busy, 31), "monetary": spent}
        features |= {"unique_products": busy, "conversion_rate": float(spent > 0) / busy}
        rows.append(user_row(user, avg_price=float(random.lognormal(5, 1)), **features))
    rows += [user_row(5000 + user, monetary=1e6, unique_products=4000, frequency=31) for user in range(2)]
    return features_frame(spark, rows).persist()


def scaled(users: DataFrame) -> np.ndarray:
    table = clustering_input(users).toArrow().sort_by("user_id")
    values = np.column_stack([table.column(name).to_numpy() for name in FEATURES])
    spread = values.std(axis=0, ddof=1)
    return np.divide(values - values.mean(axis=0), spread, out=np.zeros_like(values), where=spread > 0)


def labels_of(model: PipelineModel, users: DataFrame) -> np.ndarray:
    placed = model.transform(clustering_input(users)).select("user_id", "cluster").toArrow()
    return placed.sort_by("user_id").column("cluster").to_numpy()


def test_planted_groups_are_found(planted: Planted, fitted: tuple[PipelineModel, Fit]) -> None:
    users, groups = planted
    labels = labels_of(fitted[0], users)
    assert adjusted_rand_score([groups[user] for user in sorted(groups)], labels) == 1.0
    assert set(labels) == set(range(GROUPS))
    assert fitted[1].converged and 1 <= fitted[1].iterations < MAX_ITERATIONS


@pytest.mark.parametrize("k", [2, 5])
def test_cost_centres_and_silhouette_are_those_of_numpy_and_scikit_learn(skewed: DataFrame, k: int) -> None:
    model, found = fit(skewed, k)
    points, labels = scaled(skewed), labels_of(model, skewed)
    means = np.array([points[labels == cluster].mean(axis=0) for cluster in range(k)])
    assert found.k == k and found.converged
    assert found.cost == pytest.approx(((points - means[labels]) ** 2).sum(), rel=1e-6)
    assert found.silhouette == pytest.approx(silhouette_score(points, labels, metric="sqeuclidean"), rel=1e-6)
    np.testing.assert_allclose(centres_of(model), means, atol=1e-3)


@pytest.mark.parametrize("k", [2, 5, 8])
@pytest.mark.parametrize("wanted", [150, 10_000])
def test_the_cost_is_that_of_scikit_learn_s_best_of_twenty(skewed: DataFrame, k: int, wanted: int) -> None:
    """Also where the starts come from a twentieth of the users, of whom two decide most of the cost."""
    points, found = scaled(skewed), fit(skewed, k, wanted)[1]
    best = KMeans(k, n_init=20, random_state=0).fit(points)
    assert found.cost <= best.inertia_ * (1.03 if wanted > len(points) else 1.10)
    if wanted > len(points):
        expected = silhouette_score(points, best.labels_, metric="sqeuclidean")
        assert found.silhouette == pytest.approx(expected, abs=0.05)


def test_every_seed_finds_nearly_the_same(skewed: DataFrame) -> None:
    costs = [fit(skewed, 5, seed=seed)[1].cost for seed in (1, 2, 3)]
    assert max(costs) <= 1.02 * min(costs)


def test_the_order_and_partitions_of_users_do_not_matter(skewed: DataFrame) -> None:
    model, found = fit(skewed, 5)
    again, its = fit(skewed.repartition(7).orderBy("avg_price"), 5)
    assert (its.iterations, its.cost) == (found.iterations, pytest.approx(found.cost, rel=1e-9))
    np.testing.assert_allclose(centres_of(again), centres_of(model), rtol=1e-9, atol=1e-12)


def test_more_users_than_one_task_takes_move_the_same_centres(
    skewed: DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, found = fit(skewed, 5, wanted=150)
    monkeypatch.setattr(clusters, "USERS_OF_A_TASK", 0)
    again, its = fit(skewed, 5, wanted=150)
    assert found.iterations > 1 and its.iterations == found.iterations
    assert (its.cost, its.silhouette) == pytest.approx((found.cost, found.silhouette), rel=1e-9)
    np.testing.assert_allclose(centres_of(again), centres_of(model), rtol=1e-9, atol=1e-12)


def test_means_of_centres_are_in_the_units_of_the_features(planted: Planted, fitted: tuple[PipelineModel, Fit]) -> None:
    users = planted[0]
    labels, rows = labels_of(fitted[0], users), clustering_input(users).orderBy("user_id").collect()
    for cluster, means in enumerate(centre_means(fitted[0])):
        members = [row for row, label in zip(rows, labels, strict=True) if label == cluster]
        assert len(members) == 40
        assert means == pytest.approx({name: np.mean([row[name] for row in members]) for name in FEATURES}, rel=1e-6)


def test_a_missing_mean_price_counts_as_zero(spark: SparkSession) -> None:
    row = clustering_input(features_frame(spark, [user_row(1, avg_price=None)])).collect()[0]
    assert row["avg_price"] == 0.0


def test_users_who_are_all_alike_make_one_cluster(spark: SparkSession) -> None:
    users = features_frame(spark, [user_row(user, monetary=3.0) for user in range(20)])
    model, found = fit(users, 3)
    assert found == Fit(k=3, cost=0.0, iterations=1, converged=True, silhouette=None)
    assert set(labels_of(model, users)) == {0}
    assert [means["monetary"] for means in centre_means(model)] == [3.0]


def test_equal_prices_added_up_in_other_orders_tell_no_users_apart(spark: SparkSession) -> None:
    """A mean of 0.1s is 0.1 or 0.10000000000000002: scaled to deviations, such a digit would weigh like a feature."""
    sums = [sum([0.1] * times) for times in range(1, 21)]
    rows = [
        user_row(user, avg_price=total / (user + 1), monetary=[0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1][user % 2])
        for user, total in enumerate(sums)
    ]
    assert len({total / times for times, total in enumerate(sums, start=1)}) > 1
    model, found = fit(features_frame(spark, rows), 3)
    assert found == Fit(k=3, cost=0.0, iterations=1, converged=True, silhouette=None)
    assert len(centres_of(model)) == 1


def test_as_many_clusters_as_users_differ(spark: SparkSession) -> None:
    users = features_frame(spark, [user_row(user, monetary=100.0 * (user % 3)) for user in range(30)])
    model, found = fit(users, 5)
    assert found.cost == pytest.approx(0.0, abs=1e-9) and len(centres_of(model)) == 3
    assert found.silhouette == pytest.approx(1.0)
