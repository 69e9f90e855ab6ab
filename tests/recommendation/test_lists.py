"""Everybody's lists: what is left out, and that blocks and partitions do not show."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.recommendation.histories import Histories
from spark_apps.recommendation.hybrid import SOURCES
from spark_apps.recommendation.lists import lists_for_all, user_histories
from spark_apps.recommendation.popularity import segment_scores
from spark_apps.schemas import INTERACTIONS
from spark_apps.settings import Settings
from tests.factory import clean_event
from tests.recommendation.shelves import catalogue, histories, hybrid

FACTORS = "user_id bigint, features array<float>"
SEGMENTS = ["Casual_Browsers", "VIP_Customers"]


@pytest.mark.parametrize(
    ("purchased", "viewed", "expected"),
    [
        (True, False, [[10], [], [10, 11]]),
        (False, True, [[10, 11], [12], [10, 11]]),
        (True, True, [[10, 11], [12], [10, 11]]),
        (False, False, [[], [], []]),
    ],
)
def test_settings_say_what_is_left_out(purchased: bool, viewed: bool, expected: list[list[int]]) -> None:
    users = Histories(
        users=np.array([1, 2, 3]),
        offsets=np.array([0, 2, 3, 5]),
        places=np.array([10, 11, 12, 10, 11]),
        scores=np.ones(5, np.float32),
        bought=np.array([True, False, False, True, True]),
        segments=np.zeros(3, np.int32),
        factors=np.zeros((3, 1), np.float32),
    )
    excluded = users.left_out(purchased, viewed)
    assert [excluded.rows(user, user + 1).ids.tolist() for user in range(3)] == expected


def as_frames(spark: SparkSession, users: Histories, ids: Any) -> tuple[DataFrame, DataFrame, DataFrame]:
    """Interactions, segments and factors, as training has them."""
    last, rows = clean_event()["event_time"], np.repeat(users.users, np.diff(users.offsets))
    pairs = [
        (int(user), int(ids[place]), float(score), 1, int(bought), last)
        for user, place, score, bought in zip(rows, users.places, users.scores, users.bought, strict=True)
    ]
    named = [(int(u), SEGMENTS[s] if s >= 0 else "new") for u, s in zip(users.users, users.segments, strict=True)]
    factors = [(int(u), f.tolist()) for u, f in zip(users.users, users.factors, strict=True) if f.any()]
    return (
        spark.createDataFrame(pairs, INTERACTIONS),
        spark.createDataFrame(named, "user_id bigint, segment string"),
        spark.createDataFrame(factors, FACTORS),
    )


def test_lists_are_the_same_in_partitions_as_in_one_go(spark: SparkSession) -> None:
    goods = catalogue(300)
    users, model = histories(50, len(goods)), hybrid(goods)
    interactions, segments, factors = as_frames(spark, users, goods.ids)
    settings = Settings(top=7)
    rows = user_histories(interactions.orderBy(F.rand(3)), segments, factors).repartition(3)
    found = lists_for_all(spark, rows, model, SEGMENTS, settings).orderBy("user_id", "rank").collect()

    expected = model.explained(users, users.left_out(True, False), 7)
    assert np.isfinite(expected.lists.scores).all()
    assert [(row["user_id"], row["rank"]) for row in found] == [(u + 50, r) for u in range(50) for r in range(1, 8)]
    assert [row["product_id"] for row in found] == goods.ids[expected.lists.ids].ravel().tolist()
    np.testing.assert_allclose([row["score"] for row in found], expected.lists.scores.ravel(), rtol=1e-4)
    assert [row["source"] for row in found] == [SOURCES[source] for source in expected.sources.ravel()]


def test_a_list_is_as_long_as_the_products_that_are_left(spark: SparkSession) -> None:
    goods = catalogue(8)
    users, model = histories(20, len(goods)), hybrid(goods)
    frames = as_frames(spark, users, goods.ids)
    settings = Settings(exclude_viewed=True)
    found = lists_for_all(spark, user_histories(*frames), model, SEGMENTS, settings).groupBy("user_id").count()
    left = 8 - np.diff(users.offsets)
    assert {row["user_id"]: row["count"] for row in found.collect()} == {
        int(user): int(number) for user, number in zip(users.users, left, strict=True) if number
    }


def test_scores_are_added_up_per_segment(spark: SparkSession) -> None:
    last = clean_event()["event_time"]
    rows = [(1, 10, 2.0), (2, 10, 3.0), (3, 10, -1.0), (1, 11, 1.0), (9, 10, 50.0)]
    interactions = spark.createDataFrame([(u, p, score, 1, 0, last) for u, p, score in rows], INTERACTIONS)
    segments = spark.createDataFrame([(1, "a"), (2, "a"), (3, "b")], "user_id bigint, segment string")
    found = segment_scores(interactions, segments).orderBy("segment", "product_id").collect()
    assert [tuple(row) for row in found] == [("a", 10, 5.0), ("a", 11, 1.0), ("b", 10, -1.0)]
