"""Files of plain lines: every line is in one file that a finished task told of, by date or as it came."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyspark.sql import DataFrame, SparkSession

from spark_apps.ingestion.landing import OPEN_DATES
from spark_apps.ingestion.plain_files import Staged, stage_plain
from spark_apps.schemas import EVENTS
from spark_apps.storage import StoragePath
from tests.factory import csv_line
from tests.ingestion.test_cleaning import lines_frame

FIRST = date(2019, 10, 1)
ROUNDS = 3
LINES_PER_BATCH = 100
DAYS = [FIRST + timedelta(days=n) for n in range(OPEN_DATES + 10)]
ODD = ["", '"', csv_line().encode() + b"\xff", csv_line(price="-1")]


@pytest.fixture(scope="module")
def lines(spark: SparkSession) -> DataFrame:
    """More dates in turn than are held open, and lines that are not plain, for one task in several batches."""
    plain = [csv_line(event_time=str(day), user_id=n) for n in range(ROUNDS) for day in DAYS]
    return lines_frame(spark, [*plain, *ODD]).coalesce(1)


@pytest.fixture
def small_batches(spark: SparkSession) -> Iterator[None]:
    name = "spark.sql.execution.arrow.maxRecordsPerBatch"
    before = spark.conf.get(name)
    spark.conf.set(name, str(LINES_PER_BATCH))
    yield
    spark.conf.set(name, before)


def users(files: list[StoragePath]) -> list[int]:
    return sorted(user for file in files for user in pq.read_table(str(file), partitioning=None)["user_id"].to_pylist())


def names(staged: Staged) -> set[str]:
    return {file.name for files in (*staged.events.values(), staged.others) for file in files}


@pytest.mark.usefixtures("small_batches")
def test_every_line_is_in_one_file_however_many_dates_take_turns(lines: DataFrame, tmp_path: Path) -> None:
    staged = stage_plain(lines, tmp_path / "new")
    assert staged.rows == dict.fromkeys(DAYS, ROUNDS)
    assert staged.events.keys() == set(DAYS)
    assert all(users(files) == list(range(ROUNDS)) for files in staged.events.values())
    assert max(map(len, staged.events.values())) > 1
    assert {file.name for file in (tmp_path / "new").iterdir()} == names(staged)


def test_a_file_has_the_columns_of_its_partition(lines: DataFrame, spark: SparkSession, tmp_path: Path) -> None:
    staged = stage_plain(lines, tmp_path / "new")
    stored = spark.read.parquet(*[str(file) for files in staged.events.values() for file in files])
    assert [(f.name, f.dataType) for f in stored.schema] == [(f.name, f.dataType) for f in EVENTS if f.name != "date"]


def test_lines_that_are_not_plain_are_handed_over_as_they_came(
    lines: DataFrame, spark: SparkSession, tmp_path: Path
) -> None:
    staged = stage_plain(lines, tmp_path / "new")
    others = spark.read.parquet(*map(str, staged.others)).selectExpr("number", "cast(value as binary) as bytes")
    found = [(row["number"], bytes(row["bytes"])) for row in others.orderBy("number").collect()]
    expected = [line if isinstance(line, bytes) else line.encode() for line in ODD]
    assert found == list(enumerate(expected, start=ROUNDS * len(DAYS)))


def test_files_of_a_former_try_are_neither_counted_nor_touched(lines: DataFrame, tmp_path: Path) -> None:
    former = stage_plain(lines, tmp_path / "new")
    content = {name: (tmp_path / "new" / name).read_bytes() for name in names(former)}
    again = stage_plain(lines, tmp_path / "new")
    assert again.rows == former.rows
    assert not names(again) & names(former)
    assert {name: (tmp_path / "new" / name).read_bytes() for name in names(former)} == content


def test_without_a_line_there_is_no_file(spark: SparkSession, tmp_path: Path) -> None:
    assert stage_plain(lines_frame(spark, ["x"]).where("number > 0"), tmp_path / "new") == Staged({}, {}, [])
    assert not (tmp_path / "new").exists()
