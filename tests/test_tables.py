"""Tables: where they are, what is read of them, and that a reader never sees two transactions mixed."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from spark_apps.engine.base import Relation, Task
from spark_apps.engine.published import table_relation
from spark_apps.errors import MissingTableError, NothingToDoError, from_engine_error
from spark_apps.storage.catalog import published_dates, table_exists
from spark_apps.storage.transaction import Transaction
from spark_apps.tables import EVENTS, TABLES, UNDATED, DateRange, Table, partition_date, partition_folder
from tests.engines import local_engine
from tests.factory import clean_event, published_rows, rows_of_files, write_events_table

REPOSITORY = Path(__file__).resolve().parents[1]
FIRST, SECOND, THIRD = date(2019, 10, 1), date(2019, 10, 2), date(2019, 10, 3)


def publish_events(root: Path, *days: date) -> None:
    with Transaction(root, [EVENTS.path]) as transaction:
        write_events_table(Path(transaction.stage(EVENTS.path)), [{"event_time": f"{day} 12:00:00"} for day in days])
        transaction.replace(EVENTS.path)
        transaction.commit()


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    # characters that mean something to a shell, a URI or a person, but must not to us
    root = tmp_path_factory.mktemp("my shop's 100% ürün #1 & more")
    publish_events(root, FIRST, SECOND, THIRD)
    return root


def test_what_is_written_is_read(published: Path) -> None:
    expected = [clean_event(event_time=f"{day} 12:00:00") for day in (FIRST, SECOND, THIRD)]
    for row in expected:
        row |= {name: f"{row[name]:%Y-%m-%d %H:%M:%S}" for name in ("event_time", "hour_bucket")}
    assert published_rows(published, EVENTS, "date") == expected
    assert counted(table_relation(published, EVENTS), "event_time") == Counter(row["event_time"] for row in expected)
    assert published_dates(published, EVENTS) == [FIRST, SECOND, THIRD]


def counted(rows: Relation, column: str) -> Counter[str]:
    """Rows by the value of a column, as a unit sees them."""
    return Counter(local_engine().run(_values, {"rows": rows.select(column)}).results["found"]["value"].to_pylist())


def _values(task: Task) -> None:
    task.give("found", task.database.rows("select columns(*)::varchar as value from rows"))


@pytest.mark.parametrize(
    ("dates", "expected"),
    [
        (DateRange(), [FIRST, SECOND, THIRD]),
        (DateRange(first=SECOND), [SECOND, THIRD]),
        (DateRange(last=SECOND), [FIRST, SECOND]),
        (DateRange(SECOND, SECOND), [SECOND]),
        (DateRange(date(2019, 1, 1), date(2019, 10, 1)), [FIRST]),
    ],
)
def test_dates_are_picked(dates: DateRange, expected: list[date], published: Path) -> None:
    rows = rows_of_files(table_relation(published, EVENTS, dates), "event_time")
    assert [date.fromisoformat(row["event_time"][:10]) for row in rows] == expected


@pytest.mark.parametrize("dates", [DateRange(date(2020, 1, 1)), DateRange(THIRD, FIRST)])
def test_dates_that_the_table_lacks_are_named(dates: DateRange, published: Path) -> None:
    with pytest.raises(NothingToDoError, match=f"Table events holds no date in {dates}: choose another --from"):
        table_relation(published, EVENTS, dates)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_missing_table_names_the_command_that_makes_it(table: Table, tmp_path: Path) -> None:
    assert not table_exists(tmp_path, table)
    with pytest.raises(MissingTableError, match=rf"no table {table.name} yet: run `shopstream {table.command}` first"):
        table_relation(tmp_path, table)


def test_a_range_with_an_end_leaves_undated_rows_out() -> None:
    assert None in DateRange()
    assert None not in DateRange(first=FIRST)
    assert None not in DateRange(last=FIRST)
    assert FIRST in DateRange(FIRST, FIRST)
    assert str(DateRange()) == "the first date to the last date"
    assert str(DateRange(FIRST, SECOND)) == "2019-10-01 to 2019-10-02"


@pytest.mark.parametrize("day", [FIRST, date(1, 1, 1), date(9999, 12, 31), None])
def test_a_partition_folder_names_its_date(day: date | None) -> None:
    assert partition_date(partition_folder(day)) == day


def test_undated_rows_have_hive_s_partition(tmp_path: Path) -> None:
    assert partition_folder(None) == f"date={UNDATED}"
    for name in (partition_folder(None), partition_folder(FIRST)):
        (tmp_path / EVENTS.path / name).mkdir(parents=True)
    assert published_dates(tmp_path, EVENTS) == [FIRST, None]


DATES = 40
READS = 20
GENERATIONS = Table(
    "generations",
    "processed/generations",
    pa.schema([("generation", pa.int32()), ("date", pa.date32())]),
    "generate",
    "date",
)
# Publishes a whole new generation of every date, again and again, until its standard input ends.
WRITER = """
import select, sys
from pathlib import Path
import pyarrow as pa, pyarrow.parquet as pq
from spark_apps.storage.transaction import Transaction

root, dates, generation = Path(sys.argv[1]), int(sys.argv[2]), 0
while not select.select([sys.stdin], [], [], 0)[0]:
    generation += 1
    with Transaction(root, ["processed/generations"]) as transaction:
        for number in range(1, dates + 1):
            target = f"processed/generations/date=20{number:02}-01-01"
            staged = transaction.stage(target)
            staged.mkdir(parents=True)
            rows = pa.table({"generation": pa.array([generation] * 2, pa.int32())})
            pq.write_table(rows, staged / f"{generation}.parquet")
            transaction.replace(target)
        transaction.commit()
    if generation == 1:
        print("begun", flush=True)
"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[Path]:
    command = [sys.executable, "-c", WRITER, str(tmp_path), str(DATES)]
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, cwd=REPOSITORY, text=True, **streams) as child:
        assert child.stdout is not None and child.stdin is not None
        assert child.stdout.readline() == "begun\n"
        yield tmp_path
        child.stdin.close()
        assert child.wait(timeout=60) == 0


def rows_seen(rows: Relation, root: Path) -> list[Counter[str]]:
    """Rows per generation; nothing where the read ended in the error that says that the table was replaced."""
    try:
        return [counted(rows, "generation")]
    except duckdb.Error as error:
        if from_engine_error(str(error), root) is None:
            raise
        return []


def test_a_reader_never_sees_two_transactions_mixed(writer: Path) -> None:
    listed, read = [], []
    for _ in range(READS):
        rows = table_relation(writer, GENERATIONS)
        listed.append(Counter(file.name for file in rows.files))
        read += rows_seen(rows, writer)
    assert [files for files in listed if list(files.values()) != [DATES]] == []
    assert [seen for seen in read if list(seen.values()) != [2 * DATES]] == []
    assert len({name for files in listed for name in files}) > 1
