"""The split in time: its moment, what is held out, and leaks that are planted."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from spark_apps.evaluation.split import LeakError, TrainingTables, before, check_no_leak, cutoff_time, held_out
from spark_apps.jobs.evaluate import training_tables
from spark_apps.settings import EventScores, Settings
from tests.factory import events_frame, rows_of

CUTOFF = datetime(2019, 10, 2, 12, 0, 0, tzinfo=timezone.utc)


def one(user: int, product: int, time: str, kind: str = "view") -> dict[str, Any]:
    return {"user_id": user, "product_id": product, "event_time": f"2019-10-{time}", "event_type": kind}


LOG = [
    one(1, 10, "01 08:00:00"),
    one(1, 11, "02 11:59:59", "cart"),  # the last second of training
    one(1, 12, "02 12:00:00"),  # at the cutoff: held out
    one(1, 10, "02 13:00:00", "purchase"),  # known: neither training nor held out
    one(1, 13, "03 09:00:00"),
    one(1, 13, "04 10:00:00", "cart"),
    one(1, 14, "03 09:30:00"),
    one(2, 10, "01 09:00:00"),
    one(2, 10, "03 09:00:00"),  # nothing new
    one(3, 15, "03 09:00:00"),  # no history
    one(4, 10, "01 10:00:00", "purchase"),
    one(4, 15, "05 00:00:00"),
    one(4, 14, "05 00:00:00"),
]


@pytest.fixture(scope="module")
def log(spark: SparkSession) -> DataFrame:
    return events_frame(spark, LOG)


@pytest.fixture(scope="module")
def tables(log: DataFrame, settings: Settings) -> TrainingTables:
    return training_tables(log.where(before(CUTOFF)), settings)


def test_held_out_is_what_users_with_a_history_touch_first_after_the_cutoff(
    log: DataFrame, tables: TrainingTables
) -> None:
    found = rows_of(held_out(log, tables.interactions, CUTOFF, EventScores()), "user_id", "first_time", "product_id")
    assert [tuple(row.values()) for row in found] == [
        (1, 12, "2019-10-02 12:00:00", 1.0),
        (1, 13, "2019-10-03 09:00:00", 4.0),
        (1, 14, "2019-10-03 09:30:00", 1.0),
        (4, 14, "2019-10-05 00:00:00", 1.0),
        (4, 15, "2019-10-05 00:00:00", 1.0),
    ]


def test_training_ends_before_the_cutoff(tables: TrainingTables) -> None:
    pairs = rows_of(tables.interactions.select("user_id", "product_id", "score"), "user_id", "product_id")
    assert [tuple(row.values()) for row in pairs] == [(1, 10, 1.0), (1, 11, 3.0), (2, 10, 1.0), (4, 10, 5.0)]
    assert {row["product_id"] for row in rows_of(tables.products)} == {10, 11}
    assert {row["user_id"]: row["recency"] for row in rows_of(tables.users)} == {1: 0, 2: 1, 4: 1}


def test_tables_of_the_training_events_hold_no_leak(tables: TrainingTables) -> None:
    check_no_leak(tables, CUTOFF)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("interactions", r"^\d rows of the interactions know of events at 2019-10-02 12:00:00"),
        ("users", r"^\d rows of the user features know"),
        ("products", r"^product features count 13 events, the interactions before .* 4$"),
    ],
)
def test_a_table_made_from_all_events_is_caught(
    log: DataFrame, tables: TrainingTables, settings: Settings, table: str, told: str
) -> None:
    leaking = training_tables(log, settings)
    planted = TrainingTables(**{**tables.__dict__, table: getattr(leaking, table)})
    with pytest.raises(LeakError, match=told):
        check_no_leak(planted, CUTOFF)


def test_one_event_at_the_cutoff_is_a_leak(log: DataFrame, settings: Settings) -> None:
    first_late = log.where((log.event_time <= CUTOFF) & (log.user_id == 1))
    with pytest.raises(LeakError):
        check_no_leak(training_tables(first_late, settings), CUTOFF)


@pytest.mark.parametrize("share", [0.01, 0.25, 0.5, 0.8, 0.99])
def test_the_cutoff_is_the_exact_quantile_of_the_times(log: DataFrame, share: float) -> None:
    times = np.array([event["event_time"] for event in LOG], "datetime64[s]")
    wanted = np.quantile(times.astype(np.int64), share, method="inverted_cdf")
    assert cutoff_time(log.repartition(5), share) == datetime.fromtimestamp(int(wanted), timezone.utc)


def test_without_events_there_is_no_cutoff(log: DataFrame) -> None:
    assert cutoff_time(log.where("false"), 0.8) is None
