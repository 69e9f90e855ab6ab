"""The split in time: models see what happened before a moment, and are judged by what users touched first after it.

Nothing that a model learns from may know what came later: features, popularity, segments and factors are made
from the training events alone, and `check_no_leak` looks at the tables before anything is fitted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import date, datetime, timezone

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_apps.features.grouping import COUNTED_TYPES
from spark_apps.features.interactions import implicit_score
from spark_apps.settings import EventScores

_ROUNDING = 1e-9


class LeakError(RuntimeError):
    """Something that a model is about to learn from knows of events after the cutoff: a fault of the program."""


@dataclass(frozen=True)
class TrainingTables:
    """What models learn from.

    Attributes:
        users: columns of schemas.USER_FEATURES.
        products: columns of schemas.PRODUCT_FEATURES.
        interactions: columns of schemas.INTERACTIONS.
    """

    users: DataFrame
    products: DataFrame
    interactions: DataFrame


def cutoff_time(events: DataFrame, share: float) -> datetime | None:
    """Returns the first second by whose end a share of all events has happened, UTC; None without events.

    Exact, so the same on every run: events are counted per date, then per second of the one date that holds the
    cutoff. One row a date and at most 86,400 rows for that date come to the driver.

    Args:
        events: columns of schemas.EVENTS.
        share: of the events, above 0 and below 1.
    """
    per_date = {row["date"]: row["count"] for row in events.groupBy("date").count().collect()}
    left = max(1, math.ceil(share * sum(per_date.values()) - _ROUNDING))
    for day in sorted(per_date):
        if left <= per_date[day]:
            return _second_of(events, day, left)
        left -= per_date[day]
    return None


def _second_of(events: DataFrame, day: date, wanted: int) -> datetime:
    """Returns the second in which a date's event number `wanted` happened; at most 86,400 rows come to the driver."""
    second = F.unix_seconds("event_time").alias("second")
    counts = events.where(F.col("date") == F.lit(day)).groupBy(second).count().toArrow().sort_by("second")
    reached = counts.column("count").to_numpy().cumsum().searchsorted(wanted)
    return datetime.fromtimestamp(counts.column("second")[int(reached)].as_py(), timezone.utc)


def before(cutoff: datetime) -> Column:
    """Returns the condition that makes an event a training event."""
    return F.col("event_time") < F.lit(cutoff)


def held_out(events: DataFrame, interactions: DataFrame, cutoff: datetime, scores: EventScores) -> DataFrame:
    """Finds what users with a history touched for the first time after the cutoff.

    Args:
        events: columns of schemas.EVENTS, of all times.
        interactions: columns of schemas.INTERACTIONS, of the training events.
        cutoff: the first moment that is not training.
        scores: points per event type.

    Returns:
        user_id, product_id, first_time, score (of the events after the cutoff); a pair at most once.
    """
    counts = [F.count_if(F.col("event_type") == kind).alias(name) for kind, name in COUNTED_TYPES.items()]
    first = F.min("event_time").alias("first_time")
    later = events.where(~before(cutoff)).groupBy("user_id", "product_id").agg(first, *counts)
    of_known_users = later.join(interactions.select("user_id").distinct(), on="user_id", how="left_semi")
    new = of_known_users.join(
        interactions.select("user_id", "product_id"), on=["user_id", "product_id"], how="left_anti"
    )
    return new.select("user_id", "product_id", "first_time", implicit_score(scores).alias("score"))


def check_no_leak(tables: TrainingTables, cutoff: datetime) -> None:
    """Looks whether the tables that models learn from hold anything from the cutoff on.

    Users and interactions carry the time of their last event. Products carry none, so their events must be
    exactly those of the interactions.

    Raises:
        LeakError: naming the table.
    """
    _refuse_later("interactions", tables.interactions, "last_time", cutoff)
    _refuse_later("user features", tables.users, "last_seen", cutoff)
    counted = tables.products.agg(F.sum("events").alias("events")).collect()[0]["events"]
    scored = tables.interactions.agg(F.sum("interaction_count").alias("events")).collect()[0]["events"]
    if counted != scored:
        raise LeakError(f"product features count {counted} events, the interactions before {cutoff} {scored}")


def _refuse_later(name: str, table: DataFrame, time: str, cutoff: datetime) -> None:
    late = table.where(F.col(time) >= F.lit(cutoff)).agg(F.count("*").alias("rows")).collect()[0]["rows"]
    if late:
        raise LeakError(f"{late} rows of the {name} know of events at {cutoff} or later")
