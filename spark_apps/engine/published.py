"""Published tables as inputs of units: the files under a root, chosen as `tables.read_table` chooses rows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

import pyarrow as pa
from pyspark.sql.pandas.types import to_arrow_schema

from spark_apps.engine.base import Relation
from spark_apps.errors import MissingTableError, NothingToDoError
from spark_apps.publication import standing_still
from spark_apps.storage import StoragePath
from spark_apps.tables import EVENTS, STREAM_EVENTS, DateRange, Table, partition_folder, published_dates


def table_relation(root: StoragePath, table: Table, dates: DateRange | None = None) -> Relation:
    """Returns the rows of a published table, whole or of some dates.

    Args:
        root: folder of the tables.
        table: which one.
        dates: for a table partitioned by date, the dates wanted; all by default.

    Returns:
        Its files, with the columns that are stored in them: all but the partition.

    Raises:
        MissingTableError: when it was never written.
        NothingToDoError: when it holds none of the dates.
    """
    with standing_still(root):
        if not (root / table.path).is_dir():
            raise MissingTableError(table.name, table.command)
        if table.partition is None:
            return Relation.of(root / table.path, stored_schema(table))
        wanted = [day for day in published_dates(root, table) if dates is None or day in dates]
        if dates is not None and not wanted:
            raise NothingToDoError(f"Table {table.name} holds no date in {dates}: choose another --from and --to.")
        return Relation(_files(root, table, wanted), stored_schema(table))


def events_relation(root: StoragePath, dates: DateRange) -> tuple[Relation, list[date]]:
    """Returns the clean events of some dates, by the rule of `tables.read_events`.

    Args:
        root: folder of the tables.
        dates: which dates.

    Returns:
        The events, with the columns of schemas.EVENTS but for `date`, and the dates that there are of them, in order.

    Raises:
        MissingTableError: when `clean` never ran.
        NothingToDoError: when there is no event of these dates.
    """
    with standing_still(root):
        published = set(published_dates(root, EVENTS))
        cleaned = {day for day in published if day in dates}
        streamed = {day for day in published_dates(root, STREAM_EVENTS) if day in dates} - published
        files = (*_files(root, EVENTS, cleaned), *_files(root, STREAM_EVENTS, streamed))
    if not cleaned and not streamed:
        return table_relation(root, EVENTS, dates), []  # raises, and says what is missing
    return Relation(files, stored_schema(EVENTS)), sorted(day for day in cleaned | streamed if day is not None)


def files_by_date(
    root: StoragePath, table: Table, days: Iterable[date | None]
) -> dict[date | None, tuple[StoragePath, ...]]:
    """Returns the files of a table that is partitioned by date, by their date; none where there is nothing."""
    with standing_still(root):
        return {day: _files(root, table, [day]) for day in days}


def stored_schema(table: Table) -> pa.Schema:
    """Returns the columns that a table's files hold: the partition stands in the names of their folders."""
    schema: pa.Schema = to_arrow_schema(table.schema)
    return pa.schema([field for field in schema if field.name != table.partition])


def _files(root: StoragePath, table: Table, days: Iterable[date | None]) -> tuple[StoragePath, ...]:
    found: list[StoragePath] = []
    for day in sorted(days, key=str):
        found += sorted((root / table.path / partition_folder(day)).glob("*.parquet"), key=str)
    return tuple(found)
