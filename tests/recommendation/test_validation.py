"""What a training keeps from its models to judge them by."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from spark_apps.jobs import validation
from spark_apps.jobs.validation import held_back, validate, without
from spark_apps.schemas import INTERACTIONS
from spark_apps.settings import Settings
from tests.recommendation.shelves import catalogue, hybrid

FIRST = datetime(2019, 10, 1)
SETTINGS = Settings(validation_users=500)


def touched(spark: SparkSession, rows: list[tuple[int, int, int]]) -> DataFrame:
    """Interactions from user, product and the day of the last event."""
    pairs = [(user, product, 2.0, 1, 0, FIRST + timedelta(days=day)) for user, product, day in rows]
    return spark.createDataFrame(pairs, INTERACTIONS)


@pytest.fixture
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "LEAST", 1)
    monkeypatch.setattr(validation, "SHARE", 1.0)


@pytest.mark.usefixtures("few_are_enough")
def test_the_product_touched_last_is_held_back_of_users_with_three(spark: SparkSession) -> None:
    rows = [(1, 10, 3), (1, 11, 5), (1, 12, 4), (2, 10, 1), (2, 11, 2), (3, 10, 1), (3, 11, 7), (3, 12, 7)]
    interactions = touched(spark, rows)
    held = held_back(interactions, 3, SETTINGS)
    assert held is not None
    assert sorted((row["user_id"], row["product_id"]) for row in held.collect()) == [(1, 11), (3, 12)]
    learned = {(row["user_id"], row["product_id"]) for row in without(interactions, held).collect()}
    assert learned == {(user, product) for user, product, _ in rows} - {(1, 11), (3, 12)}


@pytest.mark.usefixtures("few_are_enough")
def test_the_same_users_are_drawn_however_the_rows_lie(spark: SparkSession) -> None:
    interactions = touched(spark, [(user, product, product) for user in range(60) for product in range(4)])
    few = SETTINGS.model_copy(update={"validation_users": 7})
    one, other = (held_back(frame, 60, few) for frame in (interactions, interactions.repartition(5, "product_id")))
    assert one is not None and other is not None
    users = {row["user_id"] for row in one.collect()}
    assert len(users) == 7 and users == {row["user_id"] for row in other.collect()}
    another = held_back(interactions, 60, few.model_copy(update={"seed": 7}))
    assert another is not None and users != {row["user_id"] for row in another.collect()}


def test_too_few_users_judge_nothing(spark: SparkSession) -> None:
    interactions = touched(spark, [(1, 10, 3)])
    assert held_back(interactions, 100 * 20 - 1, SETTINGS) is None
    assert without(interactions, None) is interactions


@pytest.mark.usefixtures("few_are_enough")
def test_a_model_that_knows_the_answer_is_told_from_popularity(spark: SparkSession) -> None:
    goods = catalogue(200)
    model = hybrid(goods)
    items = model.als.items
    rows = [(user, int(goods.ids[(user * 13 + step) % 200]), step) for user in range(40) for step in range(4)]
    interactions = touched(spark, rows)
    held = held_back(interactions, 40, SETTINGS)
    assert held is not None
    answers = {row["user_id"]: row["product_id"] for row in held.collect()}
    # each user's factor points at the product held back, where that has one
    of_place = {int(goods.ids[place]): factor for place, factor in zip(items.ids, items.factors, strict=True)}
    known = {user: product for user, product in answers.items() if product in of_place}
    factors = [
        (user, (50 * of_place[product] / np.linalg.norm(of_place[product])).tolist()) for user, product in known.items()
    ]
    segments = spark.createDataFrame([(user, "a") for user in range(40)], "user_id bigint, segment string")
    frame = spark.createDataFrame(factors, "user_id bigint, features array<float>")
    learned = without(interactions, held)
    found = validate(spark, model, learned, held, segments, frame, ["a", "b"], 40, 42)
    assert found["users"] == 40
    assert found["als"]["ndcg"]["value"] > 2 * found["popularity"]["ndcg"]["value"]
    assert found == validate(spark, model, learned, held, segments, frame, ["a", "b"], 40, 42)
