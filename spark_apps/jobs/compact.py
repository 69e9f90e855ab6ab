"""`shopstream hdfs compact`: many small files of one date to few, published by rename (SPEC H2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from spark_apps.engine.frames import read_files, write_files
from spark_apps.errors import BalanceError, MissingTableError, NothingToDoError, UserError
from spark_apps.hdfs.compaction import Partition, partitions
from spark_apps.publication import Publication, settle, standing_still
from spark_apps.storage import StoragePath
from spark_apps.tables import Table, partition_folder, table_exists


@dataclass(frozen=True)
class Compacted:
    """One date before and after.

    Attributes:
        day: the date; None for rows without one.
        rows: its rows, the same before and after.
        files_before: data files that were replaced.
        files_after: data files that replaced them.
        bytes_before: size of the former, one copy.
        bytes_after: size of the latter, one copy.
    """

    day: date | None
    rows: int
    files_before: int
    files_after: int
    bytes_before: int
    bytes_after: int


def plan(root: StoragePath, table: Table, wanted: Callable[[date | None], bool]) -> list[Partition]:
    """Returns the dates whose small files would be merged.

    Args:
        root: folder of the tables.
        table: which table.
        wanted: says of a date whether it is asked for.

    Raises:
        UserError: when the table is not cut by date.
        MissingTableError: when it was never written.
        NothingToDoError: when it has none of the dates asked for.
    """
    if table.partition is None:
        raise UserError(f"Table {table.name} is not cut by date: `shopstream {table.command}` writes it whole, anew.")
    if not table_exists(root, table):
        raise MissingTableError(table.name, table.command)
    with standing_still(root):
        found = [one for one in partitions(root, table) if wanted(one.day)]
    if not found:
        raise NothingToDoError(f"Table {table.name} does not hold this date: choose another --date.")
    return [one for one in found if one.worth_merging()]


def run(spark: SparkSession, root: StoragePath, table: Table, day: date | None) -> Compacted:
    """Rewrites one date of a table into as few files as its size needs.

    Readers see the old files or the new ones, never both. Writers of the table are kept out meanwhile.

    Raises:
        BusyRootError: when a job is writing the table.
        BalanceError: when the new files do not hold the old rows; nothing is published then.
    """
    settle(root)
    target = f"{table.path}/{partition_folder(day)}"
    with Publication(root, [target]) as publication:
        before = _partition_of(root, table, day)
        rows = _read_date(spark, root, table, target)
        staged = publication.scratch("compacted")
        write_files(rows.coalesce(before.wanted_files), staged, table)
        counted = _fingerprint(rows)
        if _fingerprint(read_files(spark, staged, table)) != counted:
            raise BalanceError(
                f"The merged files of {target} do not hold the rows that they should replace: nothing was changed; "
                "run the command again."
            )
        after = _sizes(staged / partition_folder(day))
        publication.replace(target, staged / partition_folder(day))
        publication.commit()
    return Compacted(day, counted[0], before.files, len(after), before.bytes, sum(after))


def _partition_of(root: StoragePath, table: Table, day: date | None) -> Partition:
    found = [one for one in partitions(root, table) if one.day == day]
    if not found or not found[0].files:
        raise NothingToDoError(f"Table {table.name} does not hold {day or 'rows without a date'} any more.")
    return found[0]


def _read_date(spark: SparkSession, root: StoragePath, table: Table, target: str) -> DataFrame:
    reader = spark.read.schema(from_arrow_schema(table.schema)).option("basePath", str(root / table.path))
    return reader.parquet(str(root / target))


def _fingerprint(rows: DataFrame) -> tuple[int, int]:
    """Counts rows and adds up their hashes, in any order: the same for the same rows."""
    hashed = F.xxhash64(*rows.columns).cast("decimal(38,0)")
    counted, added = rows.agg(F.count("*"), F.sum(hashed)).first() or (0, 0)
    return counted, int(added or 0)


def _sizes(folder: StoragePath) -> list[int]:
    return [path.stat().st_size for path in folder.glob("*.parquet")]
