"""Everybody's lists: what is left out, and that blocks and partitions do not show."""

from __future__ import annotations

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from spark_apps.recommendation.lists import lists_for_all, products_to_exclude
from spark_apps.recommendation.topn import Exclusions, ItemFactors, top_products
from spark_apps.schemas import INTERACTIONS
from tests.factory import clean_event

FACTORS = "user_id bigint, features array<float>"
EXCLUDED = "user_id bigint, excluded array<bigint>"


def met(spark: SparkSession, rows: list[tuple[int, int, int]]) -> DataFrame:
    """Interactions from user, product and purchases."""
    last = clean_event()["event_time"]
    return spark.createDataFrame([(u, p, 1.0, 1, bought, last) for u, p, bought in rows], INTERACTIONS)


@pytest.mark.parametrize(
    ("purchased", "viewed", "expected"),
    [
        (True, False, {1: [10], 3: [10, 11]}),
        (False, True, {1: [10, 11], 2: [12], 3: [10, 11]}),
        (True, True, {1: [10, 11], 2: [12], 3: [10, 11]}),
        (False, False, {}),
    ],
)
def test_settings_say_what_is_left_out(
    spark: SparkSession, purchased: bool, viewed: bool, expected: dict[int, list[int]]
) -> None:
    pairs = met(spark, [(1, 10, 2), (1, 11, 0), (2, 12, 0), (3, 10, 1), (3, 11, 1)])
    rows = products_to_exclude(pairs, purchased, viewed).collect()
    assert {row["user_id"]: sorted(row["excluded"]) for row in rows} == expected


def test_lists_are_the_same_in_partitions_as_in_one_go(spark: SparkSession) -> None:
    random = np.random.default_rng(2)
    users, products, n = 50, 300, 7
    items = ItemFactors.sorted(np.arange(products) * 3 + 2**33, random.normal(size=(products, 4)).astype(np.float32))
    matrix = random.normal(size=(users, 4)).astype(np.float32)
    out = {user: random.choice(items.ids, 20, replace=False).tolist() for user in range(0, users, 3)}
    factors = spark.createDataFrame([(user, matrix[user].tolist()) for user in range(users)], FACTORS)
    excluded = spark.createDataFrame(list(out.items()), EXCLUDED)

    rows = lists_for_all(spark, factors.repartition(3), items, excluded, n).orderBy("user_id", "rank").collect()

    flat = [out.get(user, []) for user in range(users)]
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in flat])]).astype(np.int64)
    expected = top_products(matrix, items, Exclusions(offsets, np.concatenate(flat).astype(np.int64)), n)
    assert [(row["user_id"], row["rank"]) for row in rows] == [(u, r) for u in range(users) for r in range(1, n + 1)]
    assert [row["product_id"] for row in rows] == expected.ids.ravel().tolist()
    np.testing.assert_allclose([row["score"] for row in rows], expected.scores.ravel(), rtol=1e-5, atol=1e-6)
    assert not any(row["product_id"] in out.get(row["user_id"], []) for row in rows)


def test_a_list_is_as_long_as_the_products_that_are_left(spark: SparkSession) -> None:
    items = ItemFactors.sorted(np.array([1, 2, 3]), np.array([[1.0], [2.0], [3.0]], np.float32))
    factors = spark.createDataFrame([(1, [1.0]), (2, [1.0]), (3, [1.0])], FACTORS)
    excluded = spark.createDataFrame([(1, [3, 99]), (2, [1, 2, 3])], EXCLUDED)
    rows = lists_for_all(spark, factors, items, excluded, 10).orderBy("user_id", "rank").collect()
    assert [tuple(row) for row in rows] == [
        (1, 1, 2, 2.0),
        (1, 2, 1, 1.0),
        (3, 1, 3, 3.0),
        (3, 2, 2, 2.0),
        (3, 3, 1, 1.0),
    ]
