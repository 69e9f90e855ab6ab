"""RFM scores and names on frames of users."""

from __future__ import annotations

from itertools import product

import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.segmentation.distributions import count_values
from spark_apps.segmentation.rfm import NAMES, RULES, SCORED, rfm_columns, rfm_cuts

EVEN = [1.0, 2.0, 3.0, 4.0]
CUTS = {"recency": EVEN, "frequency": EVEN, "monetary": EVEN}
Users = list[tuple[int, int, int, float]]
Rows = list[tuple[int, int, int, int, str]]


def frame(spark: SparkSession, users: Users) -> DataFrame:
    return spark.createDataFrame(users, "user_id bigint, recency int, frequency bigint, monetary double")


def cuts_of(users: DataFrame) -> dict[str, list[float]]:
    doubles = [F.col(name).cast("double").alias(name) for name in SCORED]
    cluster = F.pmod("user_id", F.lit(3)).cast("int").alias("cluster")  # cuts do not depend on it
    return rfm_cuts(count_values(users.select(cluster, *doubles), SCORED))


def scored(users: DataFrame, cuts: dict[str, list[float]]) -> Rows:
    return [tuple(row) for row in users.select("user_id", *rfm_columns(cuts)).orderBy("user_id").collect()]


def test_scores_count_the_cuts_below_a_value_and_recency_the_other_way(spark: SparkSession) -> None:
    users = [
        (1, 0, 5, 500.0),
        (2, 1, 1, 0.0),
        (3, 2, 2, 1.5),
        (4, 3, 3, 3.0),
        (5, 4, 4, 4.0),
        (6, 5, 1, 0.0),
        (7, 90, 90, 1e9),
        (8, 0, 1, 0.0),
        (9, 1, 5, 0.0),
    ]
    assert scored(frame(spark, users), CUTS) == [
        (1, 5, 5, 5, "Champions"),
        (2, 5, 1, 1, "New Customers"),
        (3, 4, 2, 2, "Potential Loyalists"),
        (4, 3, 3, 3, "Need Attention"),
        (5, 2, 4, 4, "At Risk"),
        (6, 1, 1, 1, "Lost"),
        (7, 1, 5, 5, "Cannot Lose Them"),
        (8, 5, 1, 1, "New Customers"),
        (9, 5, 5, 1, "Potential Loyalists"),
    ]


def test_all_eleven_names_are_given_and_each_field_its_rule_s(spark: SparkSession) -> None:
    users = [
        (number, *scores) for number, scores in enumerate(product(range(1, 6), range(1, 6), map(float, range(1, 6))))
    ]
    found = scored(frame(spark, users), CUTS)
    assert {name for *_, name in found} == set(NAMES)
    for _, recency, frequency, monetary, name in found:
        assert name == RULES[recency - 1][(frequency + monetary + 1) // 2 - 1]


def test_cuts_of_a_frame_are_those_of_its_distributions(spark: SparkSession) -> None:
    users = [(user, user % 5, 1, 0.0 if user < 900 else float(user - 899)) for user in range(1000)]
    cuts = cuts_of(frame(spark, users))
    assert cuts["recency"] == [0.0, 1.0, 2.0, 3.0]
    assert cuts["frequency"] == []
    assert cuts["monetary"] == pytest.approx([0.0, 25.0, 50.0, 75.0], abs=1)


def test_most_users_without_a_purchase_leave_no_bucket_empty(spark: SparkSession) -> None:
    users = frame(spark, [(user, user % 31, user % 7 + 1, max(0.0, user - 950.0)) for user in range(1000)])
    found = scored(users, cuts_of(users))
    for place in (1, 2, 3):
        assert {row[place] for row in found} == {1, 2, 3, 4, 5}
    assert sum(row[3] == 1 for row in found) == 951


def test_a_dozen_buyers_among_thousands_fill_four_buckets(spark: SparkSession) -> None:
    users = frame(spark, [(user, 1, 1, max(0.0, user - 19_988.0)) for user in range(20_000)])
    spent = {row[0]: row[3] for row in scored(users, cuts_of(users)) if row[3] > 1}
    assert list(spent) == list(range(19_989, 20_000))
    assert {spent[user] for user in spent} == {2, 3, 4, 5}
    assert list(spent.values()) == sorted(spent.values())


def test_users_who_are_all_alike_get_one_name(spark: SparkSession) -> None:
    users = frame(spark, [(user, 3, 2, 7.0) for user in range(10)])
    assert {row[1:] for row in scored(users, cuts_of(users))} == {(5, 1, 1, "New Customers")}


def test_no_users_have_cuts_that_can_be_used_later(spark: SparkSession) -> None:
    cuts = cuts_of(frame(spark, []))
    assert scored(frame(spark, [(1, 0, 1, 0.0)]), cuts) == [(1, 5, 1, 1, "New Customers")]
