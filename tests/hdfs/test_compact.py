"""Compaction: fewer files, the same rows, one published version at a time."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from spark_apps.engine.frames import read_table, write_files
from spark_apps.errors import (
    BalanceError,
    BusyRootError,
    MissingTableError,
    NothingToDoError,
    UserError,
    from_java_error,
)
from spark_apps.hdfs import compaction
from spark_apps.hdfs.compaction import Partition, partitions
from spark_apps.hdfs.connection import Hdfs
from spark_apps.jobs import compact
from spark_apps.publication import Publication
from spark_apps.storage import StoragePath, root_path
from spark_apps.tables import EVENTS, USER_FEATURES, DateRange
from tests.hdfs.conftest import Shopstream
from tests.hdfs.server import HdfsServer

DAYS = (date(2019, 10, 1), date(2019, 10, 2), None)
ROWS = 300


def events(spark: SparkSession) -> DataFrame:
    """Rows of three dates, with nulls, duplicates and text beyond ASCII."""
    number = F.col("id")
    columns: dict[str, Any] = {
        "date": F.element_at(F.array(*(F.lit(day).cast("date") for day in DAYS)), (number % 3 + 1).cast("int")),
        "price": F.when(number % 5 > 0, (number % 7).cast("string")),
    }
    made = [
        columns.get(field.name, F.when(number % 4 > 0, (number % 11).cast("string")))
        .cast(field.dataType)
        .alias(field.name)
        if field.dataType.typeName() not in ("timestamp", "timestamp_ntz")
        else F.timestamp_seconds(1_570_000_000 + number).cast(field.dataType).alias(field.name)
        for field in from_arrow_schema(EVENTS.schema)
    ]
    return spark.range(3 * ROWS).select(*made)


def rows_of(frame: DataFrame) -> Counter[Any]:
    return Counter(tuple(row) for row in frame.collect())


def publish(spark: SparkSession, root: StoragePath, files: int) -> None:
    with Publication(root, [EVENTS.path]) as publication:
        write_files(events(spark).repartition(files), publication.stage(EVENTS.path), EVENTS)
        publication.replace(EVENTS.path)
        publication.commit()


@pytest.fixture
def root(spark: SparkSession, tmp_path: Path) -> Path:
    """A local root whose events are in many small files."""
    publish(spark, tmp_path, 4)
    return tmp_path


def all_days(day: date | None) -> bool:
    return True


def test_plan_names_the_dates_worth_it(root: Path) -> None:
    planned = compact.plan(root, EVENTS, all_days)
    assert [one.day for one in planned] == list(DAYS)
    assert [(one.files, one.small_files, one.wanted_files) for one in planned] == [(4, 4, 1)] * 3
    assert [one.day for one in compact.plan(root, EVENTS, lambda day: day is None)] == [None]


@pytest.mark.parametrize("day", DAYS)
def test_merges_one_date_and_keeps_every_row(spark: SparkSession, root: Path, day: date | None) -> None:
    before = rows_of(read_table(spark, root, EVENTS))
    done = compact.run(spark, root, EVENTS, day)
    assert (done.day, done.rows, done.files_before, done.files_after) == (day, ROWS, 4, 1)
    assert rows_of(read_table(spark, root, EVENTS)) == before
    assert {one.day: one.files for one in partitions(root, EVENTS)} == {d: 1 if d == day else 4 for d in DAYS}
    assert day not in [one.day for one in compact.plan(root, EVENTS, all_days)]


def test_leaves_nothing_behind(spark: SparkSession, root: Path) -> None:
    compact.run(spark, root, EVENTS, DAYS[0])
    assert [path for path in (root / "temp/publish").iterdir() if path.is_dir()] == []


def test_a_big_date_gets_several_files(spark: SparkSession, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = next(one.bytes for one in partitions(root, EVENTS) if one.day == DAYS[0])
    monkeypatch.setattr(compaction, "TARGET_BYTES", size // 2 + 1)
    assert compact.run(spark, root, EVENTS, DAYS[0]).files_after == 2


@pytest.mark.parametrize(
    ("files", "small", "size", "worth"),
    [(1, 1, 10, False), (2, 1, 10, False), (2, 2, 10, True), (3, 2, 3 * compaction.TARGET_BYTES, False)],
)
def test_what_is_worth_merging(files: int, small: int, size: int, worth: bool) -> None:
    assert Partition(None, files, small, size).worth_merging() is worth


def test_rows_that_would_change_stop_it(spark: SparkSession, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rows_of(read_table(spark, root, EVENTS))

    def lossy(frame: DataFrame, *where: Any) -> None:
        write_files(frame.withColumn("price", F.lit(None).cast(frame.schema["price"].dataType)), *where)

    monkeypatch.setattr(compact, "write_files", lossy)
    with pytest.raises(BalanceError, match="nothing was changed"):
        compact.run(spark, root, EVENTS, DAYS[0])
    assert rows_of(read_table(spark, root, EVENTS)) == before
    assert [one.files for one in partitions(root, EVENTS)] == [4, 4, 4]


def test_a_writer_of_the_table_keeps_it_out(spark: SparkSession, root: Path) -> None:
    with Publication(root, [EVENTS.path]), pytest.raises(BusyRootError):
        compact.run(spark, root, EVENTS, DAYS[0])


def test_a_reader_sees_old_or_new(spark: SparkSession, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows are read by another between writing and publishing, and after it."""
    before = rows_of(read_table(spark, root, EVENTS))
    seen = []
    commit = Publication.commit

    def watched(self: Publication) -> None:
        seen.append(rows_of(read_table(spark, root, EVENTS)))
        commit(self)

    monkeypatch.setattr(Publication, "commit", watched)
    compact.run(spark, root, EVENTS, DAYS[0])
    assert seen == [before]


def test_a_read_under_way_is_told_and_other_dates_go_on(spark: SparkSession, root: Path) -> None:
    frame = read_table(spark, root, EVENTS)
    others = frame.where(F.col("date") == F.lit(DAYS[1]))
    before = rows_of(others)
    compact.run(spark, root, EVENTS, DAYS[0])
    assert rows_of(others) == before
    with pytest.raises((PySparkException, Py4JError)) as broken:
        frame.collect()
    told = from_java_error(str(broken.value), root)
    assert "was replaced by another command while it was read" in str(told)


def test_a_missing_table_or_date_is_told(spark: SparkSession, tmp_path: Path, root: Path) -> None:
    with pytest.raises(MissingTableError):
        compact.plan(tmp_path / "other", EVENTS, all_days)
    with pytest.raises(NothingToDoError, match="does not hold this date"):
        compact.plan(root, EVENTS, lambda day: day == date(2020, 1, 1))
    with pytest.raises(NothingToDoError, match="2020-01-01"):
        compact.run(spark, root, EVENTS, date(2020, 1, 1))
    with pytest.raises(UserError, match="is not cut by date"):
        compact.plan(root, USER_FEATURES, all_days)


def test_the_command_says_first(root: Path, local: Shopstream) -> None:
    told = local("compact", "events", "--root", root)
    assert told.exit_code == 0, told.output
    assert "Would merge" in told.stdout
    assert "no date" in told.stdout
    assert [one.files for one in partitions(root, EVENTS)] == [4, 4, 4]
    only = json.loads(local("compact", "events", "--root", root, "--date", "undated", "--json").stdout)
    assert [(one["day"], one["files"], one["wanted_files"]) for one in only] == [(None, 4, 1)]


@pytest.mark.parametrize("day", ["2019-13-01", "yesterday", "20191001"])
def test_a_bad_date_is_refused(root: Path, local: Shopstream, day: str) -> None:
    refused = local("compact", "events", "--root", root, "--date", day)
    assert refused.exit_code == 2
    assert "is neither a date like 2019-10-01 nor undated" in refused.stderr


def test_nothing_to_do_is_said(spark: SparkSession, tmp_path: Path, local: Shopstream) -> None:
    publish(spark, tmp_path, 1)
    assert local("compact", "events", "--root", tmp_path, "--yes").stdout.startswith("Nothing to do")


@pytest.fixture
def on_hdfs(
    spark: SparkSession, superuser: Hdfs, hdfs_server: HdfsServer, shopstream: Shopstream
) -> Iterator[StoragePath]:
    """The layout's /data on HDFS with events in many small files; Spark writes as the user spark."""
    assert shopstream("apply").exit_code == 0
    path = root_path(f"{hdfs_server.uri}/data", hdfs_server.webhdfs, "spark")
    users = spark._jvm.org.apache.hadoop.security.UserGroupInformation  # type: ignore[union-attr]
    before = users.getLoginUser()
    users.setLoginUser(users.createRemoteUser("spark"))
    try:
        publish(spark, path, 4)
        yield path
    finally:
        users.setLoginUser(before)


def test_merges_on_hdfs(spark: SparkSession, superuser: Hdfs, on_hdfs: StoragePath) -> None:
    before = rows_of(read_table(spark, on_hdfs, EVENTS, DateRange()))
    for day in DAYS:
        assert compact.run(spark, on_hdfs, EVENTS, day).files_after == 1
    assert rows_of(read_table(spark, on_hdfs, EVENTS, DateRange())) == before
    owners = {(entry.owner, entry.group) for entry in superuser.walk("/data/processed")}
    assert owners == {("spark", "shopstream")}
