"""Implicit scores of (user, product): points per event, the cap, and other points."""

from __future__ import annotations

from typing import Any

from pyspark.sql import SparkSession

from spark_apps.features.gathering import gather
from spark_apps.features.interactions import implicit_score, interaction_rows, interactions
from spark_apps.features.pairs import pair_sums
from spark_apps.schemas import INTERACTIONS
from spark_apps.settings import EventScores
from tests.comparing import assert_rows
from tests.factory import events_frame, rows_of

# a user's events on a product, in time order: views, carts, purchases, removals as v c p r
HISTORIES: dict[str, tuple[str, float]] = {
    "a view": ("v", 1.0),
    "a cart": ("c", 3.0),
    "a purchase": ("p", 5.0),
    "a removal": ("r", -1.0),
    "a whole funnel": ("vvcp", 10.0),
    "just below the cap": ("vcp", 9.0),
    "beyond the cap": ("vvvcpp", 10.0),
    "a removal takes a point": ("vcr", 3.0),
    "a removal counts before the cap": ("vvvvvvvvvvvr", 10.0),
    "nothing left": ("vr", 0.0),
}
KINDS = {"v": "view", "c": "cart", "p": "purchase", "r": "remove_from_cart"}


def rows_with(spark: SparkSession, events: list[dict[str, Any]], scores: EventScores) -> list[dict[str, Any]]:
    found = interactions(pair_sums(gather(events_frame(spark, events))), scores)
    assert found.columns == INTERACTIONS.fieldNames()
    return rows_of(found, "user_id", "product_id")


def test_a_score_is_the_sum_of_its_events_up_to_the_cap(spark: SparkSession) -> None:
    events = [
        {"user_id": user, "event_type": KINDS[kind], "event_time": f"2019-10-01 00:00:{second:02}"}
        for user, (kinds, _) in enumerate(HISTORIES.values())
        for second, kind in enumerate(kinds)
    ]
    expected = [
        {
            "user_id": user,
            "product_id": 1001,
            "score": score,
            "interaction_count": len(kinds),
            "purchases": kinds.count("p"),
            "last_time": f"2019-10-01 00:00:{len(kinds) - 1:02}",
        }
        for user, (kinds, score) in enumerate(HISTORIES.values())
    ]
    assert_rows(rows_with(spark, events, EventScores()), expected)


def test_a_pair_has_one_row_under_whatever_descriptions_it_was_seen(spark: SparkSession) -> None:
    events = [{}, {"brand": "apple"}, {"category_code": None}, {"product_id": 7}, {"user_id": 7}]
    found = rows_with(spark, events, EventScores())
    assert [(row["user_id"], row["product_id"], row["score"]) for row in found] == [
        (7, 1001, 1.0),
        (501, 7, 1.0),
        (501, 1001, 3.0),
    ]


def test_rows_written_by_tasks_are_those_of_spark(spark: SparkSession) -> None:
    events = [
        {"user_id": user, "event_type": KINDS[kind], "product_id": user % 3}
        for user, (kinds, _) in enumerate(HISTORIES.values())
        for kind in kinds
    ]
    pairs = pair_sums(gather(events_frame(spark, events))).persist()
    found = interaction_rows(pairs.toArrow(), EventScores())
    assert found.equals(interactions(pairs, EventScores()).toArrow().cast(found.schema))


def test_points_and_cap_can_be_set(spark: SparkSession) -> None:
    # three views, two carts, one purchase, one removal: 3 + 6 + 5 - 1 = 13 with the usual points
    counts = spark.createDataFrame([(3, 2, 1, 1)], "views bigint, carts bigint, purchases bigint, removals bigint")
    expected = [
        (EventScores(), 10.0),
        (EventScores(cap=1000), 13.0),
        (EventScores(cap=1000, view=0.5), 11.5),
        (EventScores(cap=1000, cart=1), 9.0),
        (EventScores(cap=1000, purchase=20), 28.0),
        (EventScores(cap=1000, remove_from_cart=-4), 10.0),
        (EventScores(cap=2.5), 2.5),
    ]
    row = counts.select(*(implicit_score(scores) for scores, _ in expected)).collect()[0]
    assert list(row) == [score for _, score in expected]
