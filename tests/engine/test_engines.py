"""A unit does the same on both engines, whatever the names of its files, and within a small share of the memory."""

from __future__ import annotations

import importlib.util
import os
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from spark_apps.engine import local
from spark_apps.engine.base import Engine, Relation, Task
from spark_apps.engine.database import Database, Limits
from spark_apps.engine.local import LocalEngine
from spark_apps.engine.opening import open_engine, wants_spark
from spark_apps.engine.spark import SparkEngine
from spark_apps.errors import SparkMissingError
from spark_apps.settings import load_settings

VISITS = pa.schema([("user_id", pa.int64()), ("page", pa.string()), ("seen_at", pa.timestamp("us", "UTC"))])
NAMES = pa.schema([("user_id", pa.int64()), ("name", pa.string())])
SUMS = pa.schema([*NAMES, ("pages", pa.int64()), ("last", pa.timestamp("us", "UTC"))])
MIDNIGHT = datetime(2019, 10, 31, 23, 59, 59, tzinfo=timezone.utc)


@pytest.fixture(scope="module")
def with_processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalEngine]:
    """An engine whose processes, which take seconds to start, are there for all tests of this file."""
    with LocalEngine(2, 512 << 20, tmp_path_factory.mktemp("spill")) as found:
        yield found


@pytest.fixture(params=["local", "processes", "spark"])
def engine(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    if request.param == "spark":
        spark: SparkSession = request.getfixturevalue("spark")
        yield SparkEngine(spark, Limits(1, 256 << 20, tmp_path / "spill"))
        return
    if request.param == "processes":
        monkeypatch.setattr(local, "SECONDS_WORTH_PROCESSES", 0)
        yield request.getfixturevalue("with_processes")
        return
    with LocalEngine(2, 512 << 20, tmp_path / "spill") as found:
        yield found


def visits(folder: Path, rows: int = 100) -> Relation:
    columns = [[number % 7 for number in range(rows)], [f"page {number % 3}" for number in range(rows)]]
    table = pa.table([*columns, [MIDNIGHT] * rows], VISITS)
    folder.mkdir(parents=True)
    for part in range(2):
        pq.write_table(table.slice(part * rows // 2, rows // 2), folder / f"part {part}.parquet")
    return Relation.of(folder, VISITS)


def names(folder: Path) -> Relation:
    folder.mkdir(parents=True)
    pq.write_table(pa.table([[1, 2, 9], ["one", "two", "nine"]], NAMES), folder / "names.parquet")
    return Relation.of(folder, NAMES)


def sum_visits(task: Task) -> None:
    """Writes pages per named user; gives how many users there were."""
    pages = "select user_id, count(*) as pages, max(seen_at) as last from visits group by user_id"
    text = f"select user_id, name, pages, last from names join ({pages}) using (user_id)"
    task.output("sums", SUMS, task.database.batches(text, SUMS))
    task.give("users", task.database.rows("select count(distinct user_id) as users from visits"))


def count_shared(task: Task) -> None:
    rows = task.database.value("select count(*) from visits")
    task.give("found", pa.table({"rows": [rows], "shared": [task.shared]}))


@pytest.mark.parametrize("folder", ["plain", "data [1]", "a*b?{c}", "it's", "50%20", "back\\slash"])
def test_rows_of_a_user_meet_in_one_task_and_files_are_there_when_all_is_done(
    engine: Engine, tmp_path: Path, folder: str
) -> None:
    inputs = {"visits": visits(tmp_path / folder / "visits"), "names": names(tmp_path / folder / "names")}
    done = engine.run(sum_visits, inputs, by="user_id", outputs={"sums": tmp_path / folder / "sums"}, row_seconds=1e-6)
    assert done.rows == {"sums": 2}
    assert sum(done.results["users"]["users"].to_pylist()) == 7
    files = sorted((tmp_path / folder / "sums").rglob("*"))
    assert all(file.suffix == ".parquet" for file in files)
    found = pa.concat_tables([pq.read_table(str(file), partitioning=None) for file in files]).sort_by("user_id")
    assert found.schema.equals(SUMS)
    assert found.drop_columns("last").to_pylist() == [
        {"user_id": 1, "name": "one", "pages": 15},
        {"user_id": 2, "name": "two", "pages": 14},
    ]
    assert found["last"].cast(pa.int64()).to_pylist() == [int(MIDNIGHT.timestamp()) * 1_000_000] * 2


def test_all_rows_come_to_one_task_where_nothing_brings_them_together(engine: Engine, tmp_path: Path) -> None:
    done = engine.run(count_shared, {"visits": visits(tmp_path / "visits")}, shared="told")
    assert done.results["found"].to_pylist() == [{"rows": 100, "shared": "told"}]


def test_a_unit_without_rows_runs_once(engine: Engine, tmp_path: Path) -> None:
    done = engine.run(count_shared, {"visits": Relation((), VISITS)}, shared="told")
    assert done.results["found"].to_pylist() == [{"rows": 0, "shared": "told"}]
    assert len(done.result("other", NAMES)) == 0


def test_a_condition_keeps_rows_out(engine: Engine, tmp_path: Path) -> None:
    kept = Relation(visits(tmp_path / "visits").files, VISITS, "user_id >= 5 and page <> 'page 0'")
    done = engine.run(count_shared, {"visits": kept})
    assert done.results["found"]["rows"].to_pylist() == [len([n for n in range(100) if n % 7 >= 5 and n % 3 != 0])]


def _tell_process(task: Task) -> None:
    task.give("found", pa.table({"process": [os.getpid()]}))


@pytest.mark.parametrize(("row_seconds", "processes"), [(None, 1), (0.009, 1), (0.02, 2)])
def test_processes_are_started_where_the_work_is_worth_them(
    tmp_path: Path, row_seconds: float | None, processes: int
) -> None:
    with LocalEngine(2, 512 << 20, tmp_path / "spill") as engine:
        done = engine.run(_tell_process, {"visits": visits(tmp_path / "visits")}, "user_id", row_seconds=row_seconds)
    found = done.results["found"]["process"].to_pylist()
    assert len(found) == processes and (os.getpid() in found) == (processes == 1)


def fail(task: Task) -> None:
    task.output("sums", NAMES, [NAMES.empty_table()])
    raise ValueError(f"in {task.shared}")


def test_what_a_unit_raises_reaches_the_caller(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="in a unit"):
        engine.run(fail, {"visits": visits(tmp_path / "visits")}, outputs={"sums": tmp_path / "sums"}, shared="a unit")


def _with_kept(task: Task) -> None:
    kept, number = task.shared
    task.database.table("mine", f"select {task.item} as item")  # each task has tables of its own
    task.database.set(number=number)
    text = "select item, getvariable('number') as number from mine"
    task.give("found", task.database.rows(text).append_column("kept", pa.array([kept.value()[task.item]])))


def test_what_is_kept_for_several_calls_reaches_the_tasks_of_each(engine: Engine) -> None:
    kept, other = engine.share({1: "one", 2: "two"}), engine.share({1: "eins", 2: "zwei"})
    for number, held, words in ((1, kept, ["one", "two"]), (2, other, ["eins", "zwei"]), (3, kept, ["one", "two"])):
        found = engine.map(_with_kept, [1, 2], shared=(held, number)).results["found"].sort_by("item")
        assert found.to_pylist() == [
            {"item": item, "number": number, "kept": word} for item, word in enumerate(words, start=1)
        ]
    kept.release()


def _count_parity(task: Task) -> None:
    task.give("found", task.database.rows("select user_id % 2 as parity, count(*) as rows from visits group by parity"))


def test_rows_meet_by_an_expression_too(engine: Engine, tmp_path: Path) -> None:
    inputs = {"visits": visits(tmp_path / "visits")}
    found = engine.run(_count_parity, inputs, by="user_id % 2", row_seconds=1e-6).results["found"].sort_by("parity")
    users = [number % 7 for number in range(100)]
    assert [row["rows"] for row in found.to_pylist()] == [
        sum(user % 2 == parity for user in users) for parity in (0, 1)
    ]


def many_groups(rows: int, task: Task) -> None:
    groups = f"select i, min(random()), max(i::varchar) from range({rows}) numbers(i) group by i"
    task.give("found", task.database.rows(f"select count(*) as groups from ({groups})"))


def test_a_query_that_does_not_fit_its_memory_spills_and_leaves_nothing_behind(tmp_path: Path) -> None:
    rows, spill = 5_000_000, tmp_path / "spill"
    with LocalEngine(2, 128 << 20, spill) as engine:
        done = engine.run(partial(many_groups, rows), {})
    assert done.results["found"]["groups"].to_pylist() == [rows]
    assert not list(spill.rglob("*"))


def _spill_and_wait(task: Task) -> None:
    together: threading.Barrier = task.shared
    rows = 2_000_000 + task.item
    groups = f"select i, max(i::varchar || repeat('x', 20)) from range({rows}) numbers(i) group by i"
    task.database.table("kept", groups)
    together.wait(60)  # each holds what it spilled while the other does
    task.give("found", task.database.rows("select count(*) as rows, max(i) as last from kept"))


def test_two_queries_that_spill_at_once_keep_apart(tmp_path: Path) -> None:
    with LocalEngine(2, 256 << 20, tmp_path / "spill") as engine:
        done = engine.map(_spill_and_wait, [0, 1], shared=threading.Barrier(2))
    assert sorted(done.results["found"]["rows"].to_pylist()) == [2_000_000, 2_000_001]
    assert not [file for file in (tmp_path / "spill").rglob("*") if file.is_file()]


def test_times_are_utc_in_a_database_whatever_the_machine_s_zone(tmp_path: Path, in_new_york: None) -> None:
    with LocalEngine(1, 64 << 20, tmp_path / "spill") as engine:
        done = engine.run(partial(_dates), {"visits": visits(tmp_path / "visits")})
    assert done.results["dates"]["day"].to_pylist() == [MIDNIGHT.date()]


def _dates(task: Task) -> None:
    task.give("dates", task.database.rows("select distinct seen_at::date as day from visits"))


def test_values_reach_texts_with_their_types(tmp_path: Path) -> None:
    with Database(Limits(1, 64 << 20, tmp_path)) as database:
        database.set(number=3, share=0.5, word="it's", day=MIDNIGHT.date())
        names = "number", "share", "word", "day"
        text = ", ".join(f"getvariable('{name}') as {name}" for name in names)
        assert database.rows(f"select {text}").to_pylist() == [
            {"number": 3, "share": 0.5, "word": "it's", "day": MIDNIGHT.date()}
        ]


def _bar(task: Task) -> None:
    task.give("bar", task.database.rows("select current_setting('enable_progress_bar') as shown"))


def test_a_long_query_writes_nothing_between_a_command_s_lines(engine: Engine, tmp_path: Path) -> None:
    """In a process that runs no file, as those of a pool, DuckDB's default is a bar on standard output."""
    done = engine.run(_bar, {"visits": visits(tmp_path / "visits")}, by="user_id", row_seconds=1e-6)
    assert set(done.results["bar"]["shown"].to_pylist()) == {False}


@pytest.mark.parametrize(
    ("given", "spark"),
    [
        ({}, False),
        ({"master": "local[2]"}, True),
        ({"root": "hdfs://namenode:8020/data"}, True),
        ({"master": "local[2]", "engine": "local"}, False),
        ({"engine": "spark"}, True),
    ],
)
def test_spark_is_taken_where_it_is_asked_for_or_needed(given: dict[str, str], spark: bool) -> None:
    assert wants_spark(load_settings(**given)) == spark


def test_spark_that_is_not_installed_is_named_before_anything_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "pyspark" else found(name))
    settings = load_settings(root=str(tmp_path / "root"), engine="spark")
    with pytest.raises(SparkMissingError, match=r"`make setup SPARK=1`"), open_engine(settings, "clean"):
        pytest.fail("opened")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("row_bytes", "shares"), [(1, 1), (400_000, 4)])
def test_shares_of_a_relation_hold_each_row_once_and_equal_ones_together(
    tmp_path: Path, row_bytes: int, shares: int
) -> None:
    with Database(Limits(2, 64 << 20, tmp_path)) as database:
        database.register("seen", pa.table({"user_id": [number % 50 for number in range(200)]}))
        database.view("visits", "select * from seen")
        users = [
            database.rows("select distinct user_id from visits order by user_id")["user_id"].to_pylist()
            for _ in database.in_shares("visits", "user_id", row_bytes)
        ]
    assert len(users) == shares
    assert [user for share in users for user in share] == list(range(50))
