"""Counted distributions against NumPy: means, medians, the whole, whatever the partitions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_apps.engine.base import Engine
from spark_apps.segmentation import clusters as clusters_room
from spark_apps.segmentation.clusters import fit_clusters
from spark_apps.segmentation.distributions import (
    CELLS,
    DIGITS,
    Distributions,
    _rounded,
    all_users,
    count_cells,
    count_values,
    distributions_of,
)
from spark_apps.segmentation.inputs import FEATURES, points_of
from spark_apps.segmentation.sums import nearest
from tests.segmentation.conftest import features_table, surveyed, user_row

NAMES = ("monetary", "recency", "avg_price")
ROWS = 3000
HALF_A_CELL = 10.0 ** (1 - DIGITS)


@pytest.fixture(scope="module")
def clusters() -> np.ndarray:
    return np.random.default_rng(4).choice([0, 1, 3], ROWS, p=[0.9, 0.099, 0.001])


@pytest.fixture(scope="module")
def values() -> dict[str, np.ndarray]:
    """Whole numbers, numbers of all sizes, and all the same."""
    random = np.random.default_rng(4)
    return {
        "recency": random.integers(0, 9999, ROWS).astype(float),
        "monetary": np.where(random.random(ROWS) < 0.7, 0.0, random.lognormal(3, 4, ROWS)),
        "avg_price": np.full(ROWS, 7.0),
    }


def points_with(values: dict[str, np.ndarray]) -> np.ndarray:
    rows = len(next(iter(values.values())))
    return np.column_stack([values.get(name, np.zeros(rows)) for name in FEATURES])


@pytest.fixture(scope="module")
def found(values: dict[str, np.ndarray], clusters: np.ndarray) -> Distributions:
    return distributions_of(pa.concat_tables(count_cells(points_with(values), clusters)))


def test_sizes_and_means_are_exact_and_medians_nearly(
    found: Distributions, values: dict[str, np.ndarray], clusters: np.ndarray
) -> None:
    assert list(found) == [0, 1, 3]
    for cluster, by_feature in found.items():
        for name in NAMES:
            own = values[name][clusters == cluster]
            median = np.quantile(own, 0.5, method="inverted_cdf")
            assert by_feature[name].size == len(own)
            assert by_feature[name].mean == pytest.approx(own.mean(), rel=1e-12)
            assert by_feature[name].median == pytest.approx(median, rel=HALF_A_CELL)
            if name != "monetary":
                assert by_feature[name].median == median


def test_whole_numbers_of_four_digits_keep_their_counts(found: Distributions, values: dict[str, np.ndarray]) -> None:
    numbers, users = np.unique(values["recency"], return_counts=True)
    everybody = all_users(found, "recency")
    np.testing.assert_array_equal(everybody.values, numbers)
    np.testing.assert_array_equal(everybody.users, users)


def test_values_are_some_that_were_met_rising_and_at_least_those_below_them_counted(
    found: Distributions, values: dict[str, np.ndarray]
) -> None:
    everybody = all_users(found, "monetary")
    assert (np.diff(everybody.values) > 0).all()
    assert np.isin(everybody.values, values["monetary"]).all()
    ordered = np.sort(values["monetary"])
    np.testing.assert_array_equal(everybody.users.cumsum(), np.searchsorted(ordered, everybody.values, side="right"))
    assert everybody.values[-1] == ordered[-1] and everybody.size == ROWS
    assert everybody.total == pytest.approx(ordered.sum(), rel=1e-12)


def test_parts_of_users_add_up_to_the_same_on_every_engine(
    engine: Engine, values: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [
        user_row(user, recency=int(recency), monetary=float(monetary))
        for user, (recency, monetary) in enumerate(zip(values["recency"], values["monetary"], strict=True))
    ]
    monkeypatch.setattr(clusters_room, "USERS_OF_A_TASK", 0)
    users = surveyed(features_table(rows), engine, tmp_path / "users")
    clustering = fit_clusters(users, 3, 1)
    counted = count_values(users, clustering, tmp_path / "scratch")
    points = points_of(features_table(rows))
    labels = nearest(clustering.centres, clustering.scale.standardised(points))
    expected = distributions_of(pa.concat_tables(count_cells(points, labels)))
    assert counted.keys() == expected.keys() and len(counted) == 3
    for cluster, by_feature in expected.items():
        for name, distribution in by_feature.items():
            for attribute, value in vars(distribution).items():
                np.testing.assert_allclose(getattr(counted[cluster][name], attribute), value, rtol=1e-12)


def test_the_order_of_users_changes_no_digit(values: dict[str, np.ndarray], clusters: np.ndarray) -> None:
    points, order = points_with(values), np.random.default_rng(1).permutation(ROWS)
    one = pa.concat_tables(count_cells(points, clusters))
    assert one.equals(pa.concat_tables(count_cells(points[order], clusters[order])))


def test_nobody_has_empty_distributions() -> None:
    none = distributions_of(CELLS.empty_table())
    assert none == {}
    assert all_users(none, "recency").size == 0


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=8))
def test_cells_are_finite_and_near_their_values(values: list[float]) -> None:
    """From the smallest number that there is, and of either sign."""
    found = _rounded(np.array(values))
    assert np.isfinite(found).all()
    usual = np.abs(values) > 1e-300
    np.testing.assert_allclose(found[usual], np.array(values)[usual], rtol=HALF_A_CELL)
