"""Short ways to write events and to ask for one figure of what users do."""

from __future__ import annotations

from typing import Any

from pyspark.sql import SparkSession

from spark_apps.analysis.behaviour import describe_behaviour
from tests.factory import events_frame

Row = dict[str, Any]


def visit(user: int, session: str | None, *steps: str, minute: int = 0) -> list[Row]:
    """Events of one visit, a second apart; a step is a type, or a type and a product such as `cart 7`."""
    rows = []
    for second, step in enumerate(steps):
        kind, _, product = step.partition(" ")
        rows.append(
            {
                "user_id": user,
                "user_session": session,
                "event_type": kind,
                "product_id": int(product or 1),
                "event_time": f"2019-10-01 00:{minute:02d}:{second:02d}",
            }
        )
    return rows


def behaviour(spark: SparkSession, *visits: list[Row]) -> dict[str, Any]:
    """What `describe_behaviour` says of the events of all visits, the last events first."""
    rows = [row for visited in visits for row in visited]
    return describe_behaviour(events_frame(spark, rows[::-1]))
