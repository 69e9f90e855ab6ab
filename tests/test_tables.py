"""Tables: where they are, what is read of them, and that a reader never sees two publications mixed."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from spark_apps.engine.frames import fit_schema, read_table, write_files
from spark_apps.errors import MissingTableError, NothingToDoError, from_engine_error
from spark_apps.publication import Publication
from spark_apps.tables import (
    EVENTS,
    INTERACTIONS,
    TABLES,
    UNDATED,
    DateRange,
    Table,
    partition_date,
    partition_folder,
    published_dates,
    table_exists,
)
from tests.factory import events_frame, rows_of

REPOSITORY = Path(__file__).resolve().parents[1]
FIRST, SECOND, THIRD = date(2019, 10, 1), date(2019, 10, 2), date(2019, 10, 3)


def publish_events(spark: SparkSession, root: Path, *days: date) -> None:
    frame = events_frame(spark, [{"event_time": f"{day} 12:00:00"} for day in days])
    with Publication(root, [EVENTS.path]) as publication:
        write_files(frame, publication.stage(EVENTS.path), EVENTS)
        publication.replace(EVENTS.path)
        publication.commit()


@pytest.fixture(scope="module")
def published(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Path:
    # characters that mean something to a shell, a URI or a person, but must not to us
    root = tmp_path_factory.mktemp("my shop's 100% ürün #1 & more")
    publish_events(spark, root, FIRST, SECOND, THIRD)
    return root


def test_what_is_written_is_read(spark: SparkSession, published: Path) -> None:
    found = rows_of(read_table(spark, published, EVENTS))
    expected = rows_of(events_frame(spark, [{"event_time": f"{day} 12:00:00"} for day in (FIRST, SECOND, THIRD)]))
    assert sorted(found, key=str) == sorted(expected, key=str)
    assert published_dates(published, EVENTS) == [FIRST, SECOND, THIRD]


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
def test_dates_are_picked(dates: DateRange, expected: list[date], spark: SparkSession, published: Path) -> None:
    assert [row["date"] for row in rows_of(read_table(spark, published, EVENTS, dates), "date")] == expected


@pytest.mark.parametrize("dates", [DateRange(date(2020, 1, 1)), DateRange(THIRD, FIRST)])
def test_dates_that_the_table_lacks_are_named(dates: DateRange, spark: SparkSession, published: Path) -> None:
    with pytest.raises(NothingToDoError, match=f"Table events holds no date in {dates}: choose another --from"):
        read_table(spark, published, EVENTS, dates)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_a_missing_table_names_the_command_that_makes_it(table: Table, spark: SparkSession, tmp_path: Path) -> None:
    assert not table_exists(tmp_path, table)
    with pytest.raises(MissingTableError, match=rf"no table {table.name} yet: run `shopstream {table.command}` first"):
        read_table(spark, tmp_path, table)


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


def test_a_frame_is_put_into_the_table_s_order(spark: SparkSession) -> None:
    names = INTERACTIONS.schema.names
    frame = (
        spark.createDataFrame([], from_arrow_schema(INTERACTIONS.schema))
        .select(*reversed(names))
        .withColumn("more", F.lit(1))
    )
    assert fit_schema(frame, INTERACTIONS).columns == names


def test_a_wrong_type_is_refused_naming_the_column(spark: SparkSession) -> None:
    frame = spark.createDataFrame([], from_arrow_schema(INTERACTIONS.schema)).withColumn("score", F.lit("1"))
    with pytest.raises(ValueError, match="table interactions: score is string, not double"):
        fit_schema(frame, INTERACTIONS)


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
from spark_apps.publication import Publication

root, dates, generation = Path(sys.argv[1]), int(sys.argv[2]), 0
while not select.select([sys.stdin], [], [], 0)[0]:
    generation += 1
    with Publication(root, ["processed/generations"]) as publication:
        for number in range(1, dates + 1):
            target = f"processed/generations/date=20{number:02}-01-01"
            staged = publication.stage(target)
            staged.mkdir(parents=True)
            rows = pa.table({"generation": pa.array([generation] * 2, pa.int32())})
            pq.write_table(rows, staged / f"{generation}.parquet")
            publication.replace(target)
        publication.commit()
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


def rows_seen(frame: DataFrame, root: Path) -> list[Counter[int]]:
    """Rows per generation; nothing where the read ended in the error that says that the table was replaced."""
    try:
        return [Counter(row["generation"] for row in frame.select("generation").collect())]
    except (PySparkException, Py4JError) as error:
        if from_engine_error(str(error), root) is None:
            raise
        return []


def test_a_reader_never_sees_two_publications_mixed(spark: SparkSession, writer: Path) -> None:
    listed, read = [], []
    for _ in range(READS):
        frame = read_table(spark, writer, GENERATIONS)
        listed.append(Counter(file.rsplit("/", 1)[1] for file in frame.inputFiles()))
        read += rows_seen(frame, writer)
    assert [files for files in listed if list(files.values()) != [DATES]] == []
    assert [rows for rows in read if list(rows.values()) != [2 * DATES]] == []
    assert len({name for files in listed for name in files}) > 1
