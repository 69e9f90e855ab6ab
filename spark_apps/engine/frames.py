"""Published tables as Spark's frames, and frames as files of a table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import reduce

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from spark_apps.errors import MissingTableError, NothingToDoError
from spark_apps.provenance import LEDGER, EventsRead, Holding, applied_batch, held_by_clean
from spark_apps.publication import standing_still
from spark_apps.storage import StoragePath
from spark_apps.tables import EVENTS, STREAM_EVENTS, DateRange, Table, list_applied, published_dates

# of the stream's records (streaming/records.py), the fields of provenance.AppliedBatch
_APPLIED_BATCH = (
    "batch int, sequence int, sha256 string, clean long, first_event string, last_event string, last_ahead string, "
    "committed_at string, replayed map<string, array<string>>"
)


def read_files(spark: SparkSession, folder: StoragePath, table: Table) -> DataFrame:
    """Reads files laid out like a table from a folder that need not be its published place."""
    return spark.read.schema(from_arrow_schema(table.schema)).parquet(str(folder))


def read_table(spark: SparkSession, root: StoragePath, table: Table, dates: DateRange | None = None) -> DataFrame:
    """Reads a published table, whole or for some dates.

    Args:
        spark: the session.
        root: folder of the tables.
        table: which one.
        dates: for a table partitioned by date, the dates wanted; all by default.

    Raises:
        MissingTableError: when it was never written.
        NothingToDoError: when it holds none of the dates.
    """
    with standing_still(root):
        if not (root / table.path).is_dir():
            raise MissingTableError(table.name, table.command)
        frame, days = read_files(spark, root / table.path, table), published_dates(root, table)
    if dates is None or table.partition is None:
        return frame
    if not days:
        raise NothingToDoError(f"Table {table.name} is empty: run `shopstream {table.command}` first.")
    if not any(day in dates for day in days):
        raise NothingToDoError(f"Table {table.name} holds no date in {dates}: choose another --from and --to.")
    if dates.first is not None:
        frame = frame.where(F.col(table.partition) >= F.lit(dates.first))
    if dates.last is not None:
        frame = frame.where(F.col(table.partition) <= F.lit(dates.last))
    return frame


@dataclass(frozen=True)
class AppliedEvents:
    """Events of clean and stream, each once.

    Attributes:
        events: columns of schemas.EVENTS.
        days: the dates that there are of them, in order.
        read: which they are, but for the rows of each date.
    """

    events: DataFrame
    days: list[date]
    read: EventsRead


def read_applied(spark: SparkSession, root: StoragePath, dates: DateRange) -> AppliedEvents:
    """Reads the events of some dates, each once: what `clean` published, and what else the stream took in.

    Args:
        spark: the session.
        root: folder of the tables.
        dates: which dates.

    Raises:
        MissingTableError: when `clean` never ran.
        NothingToDoError: when there is no event of these dates.
    """
    with standing_still(root):  # one state of all tables
        found = list_applied(root, dates)
        clean = read_files(spark, root / EVENTS.path, EVENTS) if found.cleaned else None
        taken = read_files(spark, root / STREAM_EVENTS.path, STREAM_EVENTS) if found.streamed else None
        records = _read_records(spark, root) if found.streamed and (root / LEDGER).is_dir() else None
    if clean is None and taken is None:
        read_table(spark, root, EVENTS, dates)  # says why there is none
    parts = [_within(clean, dates)] if clean is not None else []
    if taken is not None:
        taken = _within(taken, dates)
        parts.append(_not_held(spark, taken, records, found.holdings) if records is not None else taken)
    events = reduce(DataFrame.unionByName, [part.select(*EVENTS.schema.names) for part in parts])
    return AppliedEvents(events, found.days, found.read)


def _within(frame: DataFrame, dates: DateRange) -> DataFrame:
    if dates.first is not None:
        frame = frame.where(F.col("date") >= F.lit(dates.first))
    if dates.last is not None:
        frame = frame.where(F.col("date") <= F.lit(dates.last))
    return frame


def _not_held(spark: SparkSession, taken: DataFrame, records: DataFrame, holdings: dict[date, Holding]) -> DataFrame:
    """The stream's events that clean's do not hold."""
    if not holdings:
        return taken
    batches = [applied_batch(row.asDict()) for row in records.collect()]  # a few fields of each batch
    held = held_by_clean(batches, holdings)  # at most batches x dates of a batch
    if not held:
        return taken
    pairs = spark.createDataFrame(held, "batch int, date date")
    return taken.join(F.broadcast(pairs), ["batch", "date"], "left_anti")


def _read_records(spark: SparkSession, root: StoragePath) -> DataFrame:
    return spark.read.schema(_APPLIED_BATCH).option("multiLine", True).json(str(root / LEDGER))


def fit_schema(frame: DataFrame, table: Table) -> DataFrame:
    """Puts a frame's columns in the table's order and checks their types.

    Raises:
        ValueError: naming the columns whose type differs from the table's, which is a fault of the program.
    """
    fitted = frame.select(*table.schema.names)
    wrong = [
        f"{have.name} is {have.dataType.simpleString()}, not {want.dataType.simpleString()}"
        for have, want in zip(fitted.schema, from_arrow_schema(table.schema), strict=True)
        if have.dataType.simpleString() != want.dataType.simpleString()
    ]
    if wrong:
        raise ValueError(f"table {table.name}: {'; '.join(wrong)}")
    return fitted


def write_files(frame: DataFrame, folder: StoragePath, table: Table) -> None:
    """Writes a frame's rows as the files of a table into a new folder, not yet published."""
    writer = fit_schema(frame, table).write.mode("error")
    if table.partition:
        writer = writer.partitionBy(table.partition)
    writer.parquet(str(folder))
