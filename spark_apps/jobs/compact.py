"""`shopstream hdfs compact`: many small files of one date to few, published by rename (SPEC H2)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from spark_apps.engine.base import Done, Engine, Task
from spark_apps.engine.published import stored_schema
from spark_apps.errors import BalanceError, MissingTableError, NothingToDoError, UserError
from spark_apps.hdfs.compaction import Partition, partitions
from spark_apps.storage import StoragePath, for_another_thread, parquet_files, read_batches
from spark_apps.storage.catalog import table_exists
from spark_apps.storage.transaction import Transaction, commit_lock, recover
from spark_apps.tables import Table, partition_folder

_OUTPUT = "compacted"
_ROWS_AT_ONCE = 1 << 16
_ROWS = pa.schema([("rows", pa.int64()), ("hashes", pa.decimal128(38, 0))])


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
    with commit_lock(root):
        found = [one for one in partitions(root, table) if wanted(one.day)]
    if not found:
        raise NothingToDoError(f"Table {table.name} does not hold this date: choose another --date.")
    return [one for one in found if one.worth_merging()]


def run(engine: Engine, root: StoragePath, table: Table, day: date | None) -> Compacted:
    """Rewrites one date of a table into as few files as its size needs.

    Readers see the old files or the new ones, never both. Writers of the table are kept out meanwhile.

    Raises:
        BusyRootError: when a job is writing the table.
        BalanceError: when the new files do not hold the old rows; nothing is published then.
    """
    recover(root)
    target = f"{table.path}/{partition_folder(day)}"
    with Transaction(root, [target]) as transaction:
        before = _partition_of(root, table, day)
        staged, schema = transaction.scratch("compacted"), stored_schema(table)
        merged = engine.map(_merge, _groups(root / target, before.wanted_files), {_OUTPUT: staged}, schema)
        written = parquet_files(staged)
        counted = _fingerprint(merged)
        if _fingerprint(engine.map(_read_again, written, shared=schema)) != counted:
            raise BalanceError(
                f"The merged files of {target} do not hold the rows that they should replace: nothing was changed; "
                "run the command again."
            )
        after = [path.stat().st_size for path in written]
        transaction.replace(target, staged)
        transaction.commit()
    return Compacted(day, counted[0], before.files, len(after), before.bytes, sum(after))


def _groups(folder: StoragePath, number: int) -> list[list[StoragePath]]:
    """The files of a date in so many groups of about the same size, in the order of their names."""
    files = parquet_files(folder)
    sizes = [path.stat().st_size for path in files]
    groups: list[list[StoragePath]] = [[] for _ in range(number)]
    before, whole = 0, sum(sizes)
    for file, size in zip(files, sizes, strict=True):
        groups[min(number - 1, (before + size // 2) * number // max(1, whole))].append(file)
        before += size
    return [group for group in groups if group]


def _merge(task: Task) -> None:
    """Writes the rows of a group of files as one. Item: the files. Shared: their schema. Gives `rows`, _ROWS."""

    def rows() -> Iterator[pa.Table]:
        for file in task.item:
            yield from _counted(task, file)

    task.output(_OUTPUT, task.shared, rows())


def _read_again(task: Task) -> None:
    """Counts the rows of a file. Item: the file. Shared: its schema. Gives `rows`, _ROWS."""
    for _ in _counted(task, task.item):
        pass


def _counted(task: Task, file: StoragePath) -> Iterator[pa.Table]:
    """Yields a file's rows in parts and gives, of each part, their number and what their hashes add up to."""
    for batch in read_batches(for_another_thread(file), _ROWS_AT_ONCE, task.shared.names):
        part = pa.Table.from_batches([batch]).select(task.shared.names).cast(task.shared)
        task.database.register("part", part)
        text = "select count(*) as rows, sum(hash(part)::hugeint)::decimal(38, 0) as hashes from part"
        task.give("rows", task.database.rows(text, _ROWS))
        yield part


def _fingerprint(done: Done) -> tuple[int, int]:
    """Adds up rows and their hashes, in any order: the same for the same rows."""
    found = done.result("rows", _ROWS)  # a row a part of a file
    return sum(found["rows"].to_pylist()), sum(int(one) for one in found["hashes"].to_pylist())


def _partition_of(root: StoragePath, table: Table, day: date | None) -> Partition:
    found = [one for one in partitions(root, table) if one.day == day]
    if not found or not found[0].files:
        raise NothingToDoError(f"Table {table.name} does not hold {day or 'rows without a date'} any more.")
    return found[0]
