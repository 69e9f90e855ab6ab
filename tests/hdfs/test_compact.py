"""Compaction: fewer files, the same rows, one published version at a time."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from spark_apps.engine.base import Engine, Relation, Task
from spark_apps.engine.published import files_by_date, stored_schema, table_relation
from spark_apps.engine.spark import engine_of
from spark_apps.errors import (
    BalanceError,
    BusyRootError,
    MissingTableError,
    NothingToDoError,
    UserError,
    from_engine_error,
    from_os_error,
    is_engine_error,
)
from spark_apps.hdfs import compaction
from spark_apps.hdfs.admin import HdfsAdmin
from spark_apps.hdfs.compaction import Partition, partitions
from spark_apps.jobs import compact
from spark_apps.storage import StoragePath, root_path, write_parquet
from spark_apps.storage.transaction import Transaction
from spark_apps.tables import EVENTS, USER_FEATURES, DateRange, partition_folder
from tests.engines import local_engine
from tests.factory import rows_of_files
from tests.hdfs.conftest import Shopstream
from tests.hdfs.server import HdfsServer

DAYS = (date(2019, 10, 1), date(2019, 10, 2), None)
ROWS = 300
SCHEMA = stored_schema(EVENTS)


def events(day: int) -> pa.Table:
    """Rows of a date, with nulls, duplicates and text beyond ASCII."""
    return pa.Table.from_pylist([row(number) for number in range(day, 3 * ROWS, 3)], SCHEMA)


def row(number: int) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for field in SCHEMA:
        if pa.types.is_timestamp(field.type):
            made[field.name] = datetime(2019, 10, 2, 7, tzinfo=timezone.utc) + timedelta(seconds=number)
        elif field.name == "price":
            made[field.name] = float(number % 7) if number % 5 else None
        elif number % 4 == 0:
            made[field.name] = None
        else:
            made[field.name] = f"ürün {number % 11}" if pa.types.is_string(field.type) else number % 11
    return made


def rows_of(root: StoragePath) -> dict[date | None, Counter[Any]]:
    """The rows of each date, in any order."""
    return {
        day: Counter(tuple(one.values()) for one in rows_of_files(Relation(files, SCHEMA)))
        for day, files in files_by_date(root, EVENTS, DAYS).items()
    }


def publish(root: StoragePath, files: int) -> None:
    with Transaction(root, [EVENTS.path]) as transaction:
        staged = transaction.stage(EVENTS.path)
        for place, day in enumerate(DAYS):
            rows = events(place)
            for number in range(files):
                part = rows.take(list(range(number, len(rows), files)))
                write_parquet(staged / partition_folder(day) / f"part-{number}.parquet", part)
        transaction.replace(EVENTS.path)
        transaction.commit()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A local root whose events are in many small files."""
    publish(tmp_path, 4)
    return tmp_path


def all_days(day: date | None) -> bool:
    return True


def test_plan_names_the_dates_worth_it(root: Path) -> None:
    planned = compact.plan(root, EVENTS, all_days)
    assert [one.day for one in planned] == list(DAYS)
    assert [(one.files, one.small_files, one.wanted_files) for one in planned] == [(4, 4, 1)] * 3
    assert [one.day for one in compact.plan(root, EVENTS, lambda day: day is None)] == [None]


@pytest.fixture(params=["local", "spark"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Either engine."""
    return local_engine() if request.param == "local" else engine_of(request.getfixturevalue("spark"))


@pytest.mark.parametrize("day", DAYS)
def test_merges_one_date_and_keeps_every_row(engine: Engine, root: Path, day: date | None) -> None:
    before = rows_of(root)
    assert {one: rows.total() for one, rows in before.items()} == dict.fromkeys(DAYS, ROWS)
    done = compact.run(engine, root, EVENTS, day)
    assert (done.day, done.rows, done.files_before, done.files_after) == (day, ROWS, 4, 1)
    assert rows_of(root) == before
    assert {one.day: one.files for one in partitions(root, EVENTS)} == {d: 1 if d == day else 4 for d in DAYS}
    assert day not in [one.day for one in compact.plan(root, EVENTS, all_days)]


def test_leaves_nothing_behind(root: Path) -> None:
    compact.run(local_engine(), root, EVENTS, DAYS[0])
    assert [path for path in (root / "temp/publish").iterdir() if path.is_dir()] == []


def test_a_big_date_gets_several_files(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = next(one.bytes for one in partitions(root, EVENTS) if one.day == DAYS[0])
    monkeypatch.setattr(compaction, "TARGET_BYTES", size // 2 + 1)
    assert compact.run(local_engine(), root, EVENTS, DAYS[0]).files_after == 2


@pytest.mark.parametrize(
    ("files", "small", "size", "worth"),
    [(1, 1, 10, False), (2, 1, 10, False), (2, 2, 10, True), (3, 2, 3 * compaction.TARGET_BYTES, False)],
)
def test_what_is_worth_merging(files: int, small: int, size: int, worth: bool) -> None:
    assert Partition(None, files, small, size).worth_merging() is worth


def test_rows_that_would_change_stop_it(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = rows_of(root)

    def lossy(task: Task) -> None:
        nothing = pa.nulls(ROWS, SCHEMA.field("price").type)
        place = SCHEMA.get_field_index("price")
        parts = [part for file in task.item for part in compact._counted(task, file)]
        task.output("compacted", SCHEMA, [pa.concat_tables(parts).set_column(place, "price", nothing)])

    monkeypatch.setattr(compact, "_merge", lossy)
    with pytest.raises(BalanceError, match="nothing was changed"):
        compact.run(local_engine(), root, EVENTS, DAYS[0])
    assert rows_of(root) == before
    assert [one.files for one in partitions(root, EVENTS)] == [4, 4, 4]


def test_a_writer_of_the_table_keeps_it_out(root: Path) -> None:
    with Transaction(root, [EVENTS.path]), pytest.raises(BusyRootError):
        compact.run(local_engine(), root, EVENTS, DAYS[0])


def test_a_reader_sees_old_or_new(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows are read by another between writing and publishing, and after it."""
    before = rows_of(root)
    seen = []
    commit = Transaction.commit

    def watched(self: Transaction) -> None:
        seen.append(rows_of(root))
        commit(self)

    monkeypatch.setattr(Transaction, "commit", watched)
    compact.run(local_engine(), root, EVENTS, DAYS[0])
    assert seen == [before]


def test_a_read_under_way_is_told_and_other_dates_go_on(root: Path) -> None:
    listed, others = table_relation(root, EVENTS), table_relation(root, EVENTS, DateRange(DAYS[1], DAYS[1]))
    before = rows_of_files(others)
    compact.run(local_engine(), root, EVENTS, DAYS[0])
    assert rows_of_files(others) == before
    told = "was replaced by another command while it was read"
    with pytest.raises(duckdb.IOException) as by_duckdb:
        local_engine().run(_count, {"events": listed})
    assert is_engine_error(by_duckdb.value) and told in str(from_engine_error(str(by_duckdb.value), root))
    with pytest.raises(FileNotFoundError) as by_arrow:
        rows_of_files(listed)
    assert told in str(from_os_error(by_arrow.value, root))


def _count(task: Task) -> None:
    task.give("rows", task.database.rows("select sum(price) from events"))


def test_a_missing_table_or_date_is_told(tmp_path: Path, root: Path) -> None:
    with pytest.raises(MissingTableError):
        compact.plan(tmp_path / "other", EVENTS, all_days)
    with pytest.raises(NothingToDoError, match="does not hold this date"):
        compact.plan(root, EVENTS, lambda day: day == date(2020, 1, 1))
    with pytest.raises(NothingToDoError, match="2020-01-01"):
        compact.run(local_engine(), root, EVENTS, date(2020, 1, 1))
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


def test_nothing_to_do_is_said(tmp_path: Path, local: Shopstream) -> None:
    publish(tmp_path, 1)
    assert local("compact", "events", "--root", tmp_path, "--yes").stdout.startswith("Nothing to do")


@pytest.fixture
def on_hdfs(superuser: HdfsAdmin, hdfs_server: HdfsServer, shopstream: Shopstream) -> StoragePath:
    """The layout's /data on HDFS with events in many small files, of the user spark."""
    assert shopstream("apply").exit_code == 0
    path = root_path(f"{hdfs_server.uri}/data", hdfs_server.webhdfs, "spark")
    publish(path, 4)
    return path


def test_merges_on_hdfs(spark: SparkSession, superuser: HdfsAdmin, on_hdfs: StoragePath) -> None:
    before = rows_of(on_hdfs)
    for day in DAYS:
        assert compact.run(engine_of(spark), on_hdfs, EVENTS, day).files_after == 1
    assert rows_of(on_hdfs) == before
    owners = {(entry.owner, entry.group) for entry in superuser.walk("/data/processed")}
    assert owners == {("spark", "shopstream")}
