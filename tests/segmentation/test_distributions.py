"""Counted distributions against NumPy: means, medians, the whole, whatever the partitions."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from spark_apps.segmentation.distributions import DIGITS, Distributions, _rounded, all_users, count_values

NAMES = ("whole", "skewed", "same")
ROWS = 3000
HALF_A_CELL = 10.0 ** (1 - DIGITS)


def columns() -> dict[str, np.ndarray]:
    random = np.random.default_rng(4)
    skewed = np.where(random.random(ROWS) < 0.7, 0.0, random.lognormal(3, 4, ROWS))
    cluster = random.choice([0, 1, 3], ROWS, p=[0.9, 0.099, 0.001])
    return {
        "cluster": cluster,
        "whole": random.integers(0, 9999, ROWS).astype(float),
        "skewed": skewed,
        "same": np.full(ROWS, 7.0),
    }


@pytest.fixture(scope="module")
def values() -> dict[str, np.ndarray]:
    return columns()


def counted(spark: SparkSession, values: dict[str, np.ndarray], partitions: int) -> Distributions:
    rows = list(zip(*(column.tolist() for column in values.values()), strict=True))
    frame = spark.createDataFrame(rows, "cluster int, whole double, skewed double, same double")
    return count_values(frame.repartition(partitions), NAMES)


@pytest.fixture(scope="module")
def found(spark: SparkSession, values: dict[str, np.ndarray]) -> Distributions:
    return counted(spark, values, 3)


def test_sizes_and_means_are_exact_and_medians_nearly(found: Distributions, values: dict[str, np.ndarray]) -> None:
    assert list(found) == [0, 1, 3]
    for cluster, by_feature in found.items():
        for name in NAMES:
            own = values[name][values["cluster"] == cluster]
            median = np.quantile(own, 0.5, method="inverted_cdf")
            assert by_feature[name].size == len(own)
            assert by_feature[name].mean == pytest.approx(own.mean(), rel=1e-12)
            assert by_feature[name].median == pytest.approx(median, rel=HALF_A_CELL)
            if name != "skewed":
                assert by_feature[name].median == median


def test_whole_numbers_of_four_digits_keep_their_counts(found: Distributions, values: dict[str, np.ndarray]) -> None:
    numbers, users = np.unique(values["whole"], return_counts=True)
    everybody = all_users(found, "whole")
    np.testing.assert_array_equal(everybody.values, numbers)
    np.testing.assert_array_equal(everybody.users, users)


def test_values_are_some_that_were_met_rising_and_at_least_those_below_them_counted(
    found: Distributions, values: dict[str, np.ndarray]
) -> None:
    everybody = all_users(found, "skewed")
    assert (np.diff(everybody.values) > 0).all()
    assert np.isin(everybody.values, values["skewed"]).all()
    ordered = np.sort(values["skewed"])
    np.testing.assert_array_equal(everybody.users.cumsum(), np.searchsorted(ordered, everybody.values, side="right"))
    assert everybody.values[-1] == ordered[-1] and everybody.size == ROWS
    assert everybody.total == pytest.approx(ordered.sum(), rel=1e-12)


def test_partitions_change_nothing(spark: SparkSession, found: Distributions, values: dict[str, np.ndarray]) -> None:
    again = counted(spark, values, 1)
    for cluster, by_feature in found.items():
        for name, distribution in by_feature.items():
            for attribute, expected in asdict(distribution).items():
                np.testing.assert_allclose(getattr(again[cluster][name], attribute), expected, rtol=1e-12)


def test_nobody_has_empty_distributions(spark: SparkSession) -> None:
    none = count_values(spark.createDataFrame([], "cluster int, whole double"), ("whole",))
    assert none == {}
    assert all_users(none, "whole").size == 0


@given(st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=8))
def test_cells_are_finite_and_near_their_values(values: list[float]) -> None:
    """From the smallest number that there is, and of either sign."""
    found = _rounded(np.array(values))
    assert np.isfinite(found).all()
    usual = np.abs(values) > 1e-300
    np.testing.assert_allclose(found[usual], np.array(values)[usual], rtol=HALF_A_CELL)
