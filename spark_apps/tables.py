"""Where each table lives, how it is read, and how a frame is made to fit it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from pyspark import TaskContext
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import StructType

from spark_apps import schemas
from spark_apps.errors import MissingTableError, NothingToDoError
from spark_apps.publication import settle, standing_still
from spark_apps.storage import StoragePath

# Hive's name for the partition of rows without a date; Spark reads it as null.
UNDATED = "__HIVE_DEFAULT_PARTITION__"
RAW_EVENTS = "raw/events"
RAW_MANIFESTS = "raw/manifests"
REPORTS = "reports"
# what `shopstream evaluate` finds
EVALUATION = f"{REPORTS}/evaluation.json"


@dataclass(frozen=True)
class Table:
    """A published table.

    Attributes:
        name: what people call it.
        path: its folder below the root.
        schema: its columns.
        command: the command that writes it.
        partition: its partition column, if it has one.
    """

    name: str
    path: str
    schema: StructType
    command: str
    partition: str | None = None


EVENTS = Table("events", "processed/events", schemas.EVENTS, "clean", "date")
QUARANTINE = Table("quarantine", "processed/quarantine", schemas.QUARANTINE, "clean", "date")
USER_FEATURES = Table("user_features", "processed/user_features", schemas.USER_FEATURES, "features")
PRODUCT_FEATURES = Table("product_features", "processed/product_features", schemas.PRODUCT_FEATURES, "features")
INTERACTIONS = Table("interactions", "processed/interactions", schemas.INTERACTIONS, "features")
USER_SEGMENTS = Table("user_segments", "processed/user_segments", schemas.USER_SEGMENTS, "segment")
RECOMMENDATIONS = Table("recommendations", "processed/recommendations", schemas.RECOMMENDATIONS, "train")
STREAM_EVENTS = Table("stream_events", "processed/stream_events", schemas.STREAM_EVENTS, "stream", "date")
STREAM_QUARANTINE = Table(
    "stream_quarantine", "processed/stream_quarantine", schemas.STREAM_QUARANTINE, "stream", "date"
)
STREAM_USERS = Table("stream_users", "processed/stream_users", schemas.STREAM_USERS, "stream")
STREAM_RECOMMENDATIONS = Table(
    "stream_recommendations", "processed/stream_recommendations", schemas.STREAM_RECOMMENDATIONS, "stream", "date"
)
STREAM_WINDOWS = Table("stream_windows", "processed/stream_windows", schemas.STREAM_WINDOWS, "stream")
STREAM_PRODUCTS = Table("stream_products", "processed/stream_products", schemas.STREAM_PRODUCTS, "stream")

BATCH_TABLES = (EVENTS, QUARANTINE, USER_FEATURES, PRODUCT_FEATURES, INTERACTIONS, USER_SEGMENTS, RECOMMENDATIONS)
STREAM_TABLES = (
    STREAM_EVENTS,
    STREAM_QUARANTINE,
    STREAM_USERS,
    STREAM_RECOMMENDATIONS,
    STREAM_WINDOWS,
    STREAM_PRODUCTS,
)
TABLES = (*BATCH_TABLES, *STREAM_TABLES)


@dataclass(frozen=True)
class DateRange:
    """An inclusive range of dates; an open end is None."""

    first: date | None = None
    last: date | None = None

    def __contains__(self, day: date | None) -> bool:
        if day is None:
            return self.first is None and self.last is None
        return (self.first is None or day >= self.first) and (self.last is None or day <= self.last)

    def __str__(self) -> str:
        return f"{self.first or 'the first date'} to {self.last or 'the last date'}"


def partition_folder(day: date | None) -> str:
    """Returns the folder name of a date's partition; None stands for rows without a date."""
    return f"date={day.isoformat() if day else UNDATED}"


def partition_date(folder: str) -> date | None:
    """Returns the date behind a partition folder's name: the inverse of `partition_folder`."""
    value = folder.removeprefix("date=")
    return None if value == UNDATED else date.fromisoformat(value)


def table_exists(root: StoragePath, table: Table) -> bool:
    """Says whether a published table stands under the root."""
    settle(root)
    return (root / table.path).is_dir()


def read_files(spark: SparkSession, folder: StoragePath, table: Table) -> DataFrame:
    """Reads files laid out like a table from a folder that need not be its published place."""
    return spark.read.schema(table.schema).parquet(str(folder))


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


def read_events(spark: SparkSession, root: StoragePath, dates: DateRange) -> tuple[DataFrame, list[date]]:
    """Reads clean events of some dates: of each date what `clean` published, else what the stream took in.

    Args:
        spark: the session.
        root: folder of the tables.
        dates: which dates.

    Returns:
        The events, and the dates that there are of them, in order.

    Raises:
        MissingTableError: when `clean` never ran.
        NothingToDoError: when there is no event of these dates.
    """
    published = set(published_dates(root, EVENTS))
    cleaned = {day for day in published if day in dates}
    streamed = {day for day in published_dates(root, STREAM_EVENTS) if day in dates} - published
    if not streamed:
        events = read_table(spark, root, EVENTS, dates)
    else:
        more = read_table(spark, root, STREAM_EVENTS).where(F.col("date").isin(sorted(streamed - {None})))
        events = more.select(*EVENTS.schema.fieldNames())
        events = read_table(spark, root, EVENTS, dates).unionByName(events) if cleaned else events
    return events, sorted(day for day in cleaned | streamed if day is not None)


def published_dates(root: StoragePath, table: Table) -> list[date | None]:
    """Returns the dates that a date-partitioned table holds, in order, undated rows last."""
    folders = sorted(path.name for path in (root / table.path).glob("date=*") if path.is_dir())
    return [partition_date(name) for name in folders]


def fit_schema(frame: DataFrame, table: Table) -> DataFrame:
    """Puts a frame's columns in the table's order and checks their types.

    Raises:
        ValueError: naming the columns whose type differs from the table's, which is a fault of the program.
    """
    fitted = frame.select(*table.schema.fieldNames())
    wrong = [
        f"{have.name} is {have.dataType.simpleString()}, not {want.dataType.simpleString()}"
        for have, want in zip(fitted.schema, table.schema, strict=True)
        if have.dataType.simpleString() != want.dataType.simpleString()
    ]
    if wrong:
        raise ValueError(f"table {table.name}: {'; '.join(wrong)}")
    return fitted


def try_of_task() -> str:
    """Returns the beginning of the names of the running task's files, which no other try of the task has."""
    context = TaskContext.get()
    assert context is not None
    return f"part-{context.partitionId():05d}-{context.taskAttemptId()}"


def write_files(frame: DataFrame, folder: StoragePath, table: Table) -> None:
    """Writes a frame's rows as the files of a table into a new folder, not yet published."""
    writer = fit_schema(frame, table).write.mode("error")
    if table.partition:
        writer = writer.partitionBy(table.partition)
    writer.parquet(str(folder))
