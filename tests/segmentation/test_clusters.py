"""K-means finds planted groups; its figures are those of scikit-learn and NumPy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, silhouette_score

from spark_apps.engine.base import Engine
from spark_apps.segmentation import clusters
from spark_apps.segmentation.clusters import MAX_ITERATIONS, Clustering, Fit, fit_clusters
from spark_apps.segmentation.inputs import FEATURES, points_of
from spark_apps.segmentation.sums import nearest
from tests.segmentation.conftest import CENTRES, Planted, features_table, surveyed, user_row

Fitting = Callable[..., Clustering]
GROUPS = len(CENTRES)


@pytest.fixture(scope="module")
def planted(plant: Callable[[int], Planted]) -> Planted:
    return plant(40)


@pytest.fixture(scope="module")
def fit(here: Engine, tmp_path_factory: pytest.TempPathFactory) -> Fitting:
    def fit_users(users: pa.Table, k: int, wanted: int = 1000, seed: int = 42, engine: Engine = here) -> Clustering:
        found = surveyed(users, engine, tmp_path_factory.mktemp("users") / "users", wanted, seed)
        return fit_clusters(found, k, seed)

    return fit_users


@pytest.fixture(scope="module")
def fitted(planted: Planted, fit: Fitting) -> Clustering:
    return fit(planted[0], GROUPS)


@pytest.fixture(scope="module")
def skewed() -> pa.Table:
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
    return features_table(rows)


def scaled(users: pa.Table) -> np.ndarray:
    values = points_of(users)
    spread = values.std(axis=0, ddof=1)
    return np.divide(values - values.mean(axis=0), spread, out=np.zeros_like(values), where=spread > 0)


def labels_of(model: Clustering, users: pa.Table) -> np.ndarray:
    return nearest(model.centres, model.scale.standardised(points_of(users)))


def test_planted_groups_are_found(planted: Planted, fitted: Clustering) -> None:
    users, groups = planted
    labels = labels_of(fitted, users)
    assert adjusted_rand_score([groups[user] for user in sorted(groups)], labels) == 1.0
    assert set(labels) == set(range(GROUPS))
    assert fitted.fit.converged and 1 <= fitted.fit.iterations < MAX_ITERATIONS


@pytest.mark.parametrize("k", [2, 5])
def test_cost_centres_and_silhouette_are_those_of_numpy_and_scikit_learn(
    skewed: pa.Table, fit: Fitting, k: int
) -> None:
    model = fit(skewed, k)
    found = model.fit
    points, labels = scaled(skewed), labels_of(model, skewed)
    means = np.array([points[labels == cluster].mean(axis=0) for cluster in range(k)])
    assert found.k == k and found.converged
    assert found.cost == pytest.approx(((points - means[labels]) ** 2).sum(), rel=1e-6)
    assert found.silhouette == pytest.approx(silhouette_score(points, labels, metric="sqeuclidean"), rel=1e-6)
    np.testing.assert_allclose(model.centres, means, atol=1e-3)


@pytest.mark.parametrize("k", [2, 5, 8])
@pytest.mark.parametrize("wanted", [150, 10_000])
def test_the_cost_is_that_of_scikit_learn_s_best_of_twenty(skewed: pa.Table, fit: Fitting, k: int, wanted: int) -> None:
    """Also where the starts come from a twentieth of the users, of whom two decide most of the cost."""
    points, found = scaled(skewed), fit(skewed, k, wanted).fit
    best = KMeans(k, n_init=20, random_state=0).fit(points)
    assert found.cost <= best.inertia_ * (1.03 if wanted > len(points) else 1.10)
    if wanted > len(points):
        expected = silhouette_score(points, best.labels_, metric="sqeuclidean")
        assert found.silhouette == pytest.approx(expected, abs=0.05)


def test_every_seed_finds_nearly_the_same(skewed: pa.Table, fit: Fitting) -> None:
    costs = [fit(skewed, 5, seed=seed).fit.cost for seed in (1, 2, 3)]
    assert max(costs) <= 1.02 * min(costs)


def test_the_order_and_files_of_users_change_no_digit_on_any_engine(
    skewed: pa.Table, fit: Fitting, engine: Engine
) -> None:
    model = fit(skewed, 5)
    again = fit(skewed.sort_by("avg_price"), 5, engine=engine)
    assert again.fit == model.fit
    np.testing.assert_array_equal(again.centres, model.centres)


def test_more_users_than_one_task_takes_move_the_same_centres_on_every_engine(
    skewed: pa.Table, fit: Fitting, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = fit(skewed, 5, wanted=150)
    monkeypatch.setattr(clusters, "USERS_OF_A_TASK", 0)
    again = fit(skewed, 5, wanted=150, engine=engine)
    assert model.fit.iterations > 1 and again.fit.iterations == model.fit.iterations
    assert (again.fit.cost, again.fit.silhouette) == pytest.approx((model.fit.cost, model.fit.silhouette), rel=1e-9)
    np.testing.assert_allclose(again.centres, model.centres, rtol=1e-9, atol=1e-12)


def test_means_of_centres_are_in_the_units_of_the_features(planted: Planted, fitted: Clustering) -> None:
    points, labels = points_of(planted[0]), labels_of(fitted, planted[0])
    for cluster, means in enumerate(fitted.means()):
        members = points[labels == cluster]
        assert len(members) == 40
        assert means == pytest.approx(dict(zip(FEATURES, members.mean(axis=0), strict=True)), rel=1e-6)


def test_a_missing_mean_price_counts_as_zero() -> None:
    assert points_of(features_table([user_row(1, avg_price=None)]))[0, FEATURES.index("avg_price")] == 0.0


@pytest.mark.parametrize("value", [1e300, -1e300, 123_456_789_012.3456, 0.0])
def test_large_prices_are_what_they_are(value: float) -> None:
    assert points_of(features_table([user_row(1, monetary=value)]))[0, FEATURES.index("monetary")] == value


@pytest.mark.parametrize("users_of_a_task", [0, 100])
@pytest.mark.parametrize("monetary", [3.0, 0.1])
def test_users_who_are_all_alike_make_one_cluster(
    fit: Fitting, monkeypatch: pytest.MonkeyPatch, users_of_a_task: int, monetary: float
) -> None:
    monkeypatch.setattr(clusters, "USERS_OF_A_TASK", users_of_a_task)
    users = features_table([user_row(user, monetary=monetary) for user in range(20)])
    model = fit(users, 3)
    assert model.fit == Fit(k=3, cost=0.0, iterations=1, converged=True, silhouette=None)
    assert set(labels_of(model, users)) == {0}
    assert [means["monetary"] for means in model.means()] == [monetary]


def test_equal_prices_added_up_in_other_orders_tell_no_users_apart(fit: Fitting) -> None:
    """A mean of 0.1s is 0.1 or 0.10000000000000002: scaled to deviations, such a digit would weigh like a feature."""
    sums = [sum([0.1] * times) for times in range(1, 21)]
    rows = [
        user_row(user, avg_price=total / (user + 1), monetary=[0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1][user % 2])
        for user, total in enumerate(sums)
    ]
    assert len({total / times for times, total in enumerate(sums, start=1)}) > 1
    model = fit(features_table(rows), 3)
    assert model.fit == Fit(k=3, cost=0.0, iterations=1, converged=True, silhouette=None)
    assert len(model.centres) == 1


def test_as_many_clusters_as_users_differ(fit: Fitting) -> None:
    users = features_table([user_row(user, monetary=100.0 * (user % 3)) for user in range(30)])
    model = fit(users, 5)
    assert model.fit.cost == pytest.approx(0.0, abs=1e-9) and len(model.centres) == 3
    assert model.fit.silhouette == pytest.approx(1.0)
