"""Samples for the driver: bounded, seeded, whatever the partitions; and who is far from all others is never missed."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from spark_apps.segmentation.inputs import FEATURES, Scale, clustering_input
from spark_apps.segmentation.sampling import Coreset, coreset, sample_users
from tests.segmentation.conftest import features_frame, user_row

USERS = 2000
FAR = 1777


@pytest.fixture(scope="module")
def rows(spark: SparkSession) -> DataFrame:
    """Users who differ a little, and one who spent a thousand times what others did."""
    users = [user_row(user, recency=user % 31, monetary=float(user % 7)) for user in range(USERS)]
    users[FAR] = user_row(FAR, monetary=6000.0)
    return clustering_input(features_frame(spark, users)).persist()


def drawn(rows: DataFrame, wanted: int, seed: int = 7) -> Coreset:
    return coreset(rows, USERS, scale(rows), wanted, seed)


def scale(rows: DataFrame) -> Scale:
    table = rows.toArrow()
    points = np.column_stack([table.column(name).to_numpy() for name in FEATURES])
    return Scale(points.mean(axis=0), points.std(axis=0, ddof=1))


def test_a_sample_is_about_as_large_as_wanted_and_never_larger_than_the_users(rows: DataFrame) -> None:
    assert 240 <= len(sample_users(rows, USERS, 300, seed=7)) <= 360
    assert sample_users(rows, USERS, USERS, seed=7).shape == (USERS, len(FEATURES))
    assert sample_users(rows, USERS, 50 * USERS, seed=7).shape == (USERS, len(FEATURES))


def test_the_partitioning_changes_no_sample_but_the_seed_does(rows: DataFrame) -> None:
    other = rows.repartition(5).orderBy("monetary")
    one = sample_users(rows, USERS, 300, seed=7)
    np.testing.assert_array_equal(one, sample_users(other, USERS, 300, seed=7))
    assert not np.array_equal(one, sample_users(rows, USERS, 300, seed=8))
    np.testing.assert_allclose(drawn(rows, 300).points, drawn(other, 300).points, rtol=1e-9, atol=1e-12)


def test_a_coreset_is_bounded_and_stands_for_all_users(rows: DataFrame) -> None:
    found = drawn(rows, 300)
    assert 300 <= len(found.points) <= 720
    assert found.weights.min() >= 1.0
    assert found.weights.sum() == pytest.approx(USERS, rel=0.1)
    mean = (found.points * found.weights[:, None]).sum(axis=0) / found.weights.sum()
    assert np.abs(mean).max() < 0.2


@pytest.mark.parametrize("seed", range(5))
def test_who_is_far_from_all_others_is_in_every_coreset(rows: DataFrame, seed: int) -> None:
    found, monetary = drawn(rows, 50, seed), FEATURES.index("monetary")
    furthest = found.points[:, monetary].argmax()
    assert found.points[furthest, monetary] > 40
    assert found.weights[furthest] == 1.0


def test_few_users_are_all_in_the_coreset_once(rows: DataFrame) -> None:
    found = drawn(rows, USERS)
    np.testing.assert_array_equal(found.weights, np.ones(USERS))
    varies = found.points.std(axis=0) > 0
    np.testing.assert_allclose(found.points[:, varies].std(axis=0, ddof=1), 1.0)
    np.testing.assert_array_equal(found.points[:, ~varies], 0.0)
