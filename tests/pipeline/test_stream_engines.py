"""The same files streamed on this machine and in Spark's tasks: every table is the same (SPEC T2-T6)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from spark_apps.engine.base import Engine
from spark_apps.engine.spark import engine_of
from spark_apps.generator import GeneratorSpec, write_events
from spark_apps.jobs import check
from spark_apps.streaming.drop_files import Drop
from spark_apps.tables import STREAM_RECOMMENDATIONS, STREAM_TABLES, Table
from tests.engines import local_engine
from tests.factory import HEADER, csv_line
from tests.pipeline.conftest import BAD_ROWS, Trained
from tests.pipeline.test_stream import DROPPED_AT, Streamed, copy_of, drop, put, stream

EVENTS_EACH = 300
LIST = ("batch", "user_id", "rank")
# what differs from run to run: when a batch was applied, and how long that took
TIMES = {"committed_at", "seconds", "lag_files"}
# matrix products of the same users may differ in the last digit with what else a task holds
SCORE = 1e-6


def drop_files(root: Path, lines: Sequence[str]) -> None:
    """Good events, bad lines among them, two dates in a file, late events, one far ahead, and files to be refused."""
    parts = [list(lines[place : place + EVENTS_EACH]) for place in range(0, 4 * EVENTS_EACH, EVENTS_EACH)]
    late = csv_line(event_time="2019-11-01 00:00:01 UTC", user_id=8, price=None, brand='"a, b" ürün')
    two_dates = [csv_line(event_time=f"2019-11-0{day} 23:59:59 UTC", user_id=9) for day in (7, 8)]
    future = csv_line(event_time="2038-01-19 03:14:07 UTC")
    ahead = csv_line(event_time="2025-06-01 00:00:00 UTC", user_id=10)
    drop(root, 1, parts[0])
    drop(root, 2, [*parts[1], *(row for row, _ in BAD_ROWS), late])
    drop(root, 3, [late, *two_dates, *parts[2], future, HEADER])
    put(root, "the-same.csv", DROPPED_AT + timedelta(seconds=31), "\n".join([HEADER, *parts[0], ""]))
    put(root, Drop(4, DROPPED_AT + timedelta(seconds=40)).name, DROPPED_AT + timedelta(seconds=40), "")
    drop(root, 5, [late, ahead, *parts[3], parts[0][0][:30]], ending="")


@pytest.fixture(scope="module")
def both(
    spark: SparkSession, trained_root: Trained, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Streamed, Streamed]:
    """On this machine, and in Spark's tasks; products are taken in anew after every second batch."""
    folder = tmp_path_factory.mktemp("engines")
    write_events(GeneratorSpec(4 * EVENTS_EACH, "2019-11", 13, removals=0.4), folder / "log.csv")
    lines = (folder / "log.csv").read_text(encoding="utf-8").splitlines()[1:]
    settings = trained_root.settings.model_copy(update={"stream_refresh": 2})

    def on(engine: Engine) -> Streamed:
        root = copy_of(trained_root, folder / engine.name)
        drop_files(root, lines)
        return Streamed(root, settings, stream(settings, root, engine), lines)

    return on(local_engine()), on(engine_of(spark))


def in_order(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(rows, key=repr)


@pytest.mark.parametrize("table", [one for one in STREAM_TABLES if one != STREAM_RECOMMENDATIONS], ids=lambda t: t.name)
def test_tables_are_the_same(both: tuple[Streamed, Streamed], table: Table) -> None:
    here, there = (in_order(one.rows(table)) for one in both)
    assert here and here == there


def test_lists_are_the_same(both: tuple[Streamed, Streamed]) -> None:
    here, there = (
        sorted(one.rows(STREAM_RECOMMENDATIONS), key=lambda row: [row[name] for name in LIST]) for one in both
    )
    scores = [[row.pop("score") for row in rows] for rows in (here, there)]
    assert here and here == there
    assert scores[0] == pytest.approx(scores[1], abs=SCORE)


def test_what_was_told_is_the_same(both: tuple[Streamed, Streamed]) -> None:
    here, there = ([record.model_dump(exclude=TIMES) for record in one.told] for one in both)
    assert [(record["outcome"], record["reason"]) for record in here] == [
        *[("applied", None)] * 3,
        ("duplicate", None),
        ("refused", "empty"),
        ("applied", None),
    ]
    assert sum(record["late"] for record in here) and sum(record["ahead"] for record in here)
    assert here == there


def test_what_check_counts_is_the_same(both: tuple[Streamed, Streamed], spark: SparkSession) -> None:
    for one in both:
        counted = [check.run(engine, one.settings, one.root) for engine in (local_engine(), engine_of(spark))]
        assert counted[0] == counted[1]
        assert [balance.what for balance in counted[0].balances if "batch" in balance.what and not balance.holds] == []
