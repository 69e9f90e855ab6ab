"""Published tables as inputs of units: the files under a root, whole or of some dates."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import ValidationError

from spark_apps.engine.base import Relation
from spark_apps.errors import MissingTableError, NothingToDoError, UnusableFileError
from spark_apps.provenance import AppliedBatch, CleanedDate, EventsRead, held_by_clean
from spark_apps.storage import StoragePath, count_rows, read_batches, write_parts
from spark_apps.storage.catalog import AppliedDates, list_applied, published_dates
from spark_apps.storage.transaction import commit_lock
from spark_apps.tables import BATCH_LOG, EVENTS, STREAM_EVENTS, DateRange, Table, batch_number, partition_folder

_ROWS_AT_ONCE = 1 << 16


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
    with commit_lock(root):
        if not (root / table.path).is_dir():
            raise MissingTableError(table.name, table.command)
        if table.partition is None:
            return Relation.of(root / table.path, stored_schema(table))
        wanted = [day for day in published_dates(root, table) if dates is None or day in dates]
        if dates is not None and not wanted:
            raise NothingToDoError(f"Table {table.name} holds no date in {dates}: choose another --from and --to.")
        return Relation(_files(root, table, wanted), stored_schema(table))


def events_relation(
    root: StoragePath, dates: DateRange, scratch: StoragePath | None = None
) -> tuple[Relation, list[date]]:
    """Returns the events of some dates, each once: what `clean` published, and what else the stream took in.

    Args:
        root: folder of the tables.
        dates: which dates.
        scratch: see `applied_relation`.

    Returns:
        The events, with the columns of schemas.EVENTS but for `date`, and the dates that there are of them, in order.

    Raises:
        MissingTableError: when `clean` never ran.
        NothingToDoError: when there is no event of these dates.
    """
    applied = applied_relation(root, dates, scratch)
    return applied.events, applied.days


@dataclass(frozen=True)
class AppliedRelation:
    """Events of clean and stream, each once.

    Attributes:
        events: columns of schemas.EVENTS but for `date`.
        days: the dates that there are of them, in order.
        read: which they are.
        by_day: the files of each of the dates.
    """

    events: Relation
    days: list[date]
    read: EventsRead
    by_day: Mapping[date, tuple[StoragePath, ...]]


def applied_relation(root: StoragePath, dates: DateRange, scratch: StoragePath | None = None) -> AppliedRelation:
    """Returns events as `events_relation` does, and says which they are.

    Args:
        root: folder of the tables.
        dates: which dates.
        scratch: a folder for copies, without the events that clean holds, of files merged from several batches.

    Raises:
        MissingTableError: when `clean` never ran.
        NothingToDoError: when there is no event of these dates.
    """
    found, clean, taken = _list_files(root, dates)
    batches = _batches(root, taken)
    held = set(held_by_clean(batches.values(), found.holdings))
    taken = {day: _not_held(day, files, held, scratch) for day, files in taken.items()}
    rows = {day: _clean_rows(found.cleaned[day], files) for day, files in clean.items()}
    for day, files in taken.items():
        rows[day] = rows.get(day, 0) + sum(_streamed_rows(file, batches) for file in files)
    read = found.read.model_copy(update={"rows": {str(day): rows[day] for day in sorted(rows) if rows[day]}})
    files = tuple(file for files in (*clean.values(), *taken.values()) for file in files)
    by_day = {day: (*clean.get(day, ()), *taken.get(day, ())) for day in found.days}
    return AppliedRelation(Relation(files, stored_schema(EVENTS)), found.days, read, by_day)


def applied_again(
    root: StoragePath,
    dates: DateRange,
    batches: Collection[AppliedBatch],
    scratch: StoragePath,
    again: EventsRead | None = None,
) -> dict[date, tuple[StoragePath, ...]]:
    """Returns the files of events by date, each event once, for one who counts them again.

    Args:
        root: folder of the tables.
        dates: which dates.
        batches: what the stream's records say; of a batch that has none, clean holds nothing.
        scratch: a folder for copies, without the events that are left out, of files merged from several batches.
        again: leaves out what came after an earlier reading, and takes in what that one should have read.

    Raises:
        MissingTableError: when `clean` never ran.
        NothingToDoError: when there is no event of these dates.
    """
    found, clean, taken = _list_files(root, dates)
    holdings, end = found.holdings, None
    if again is not None:
        clean = {day: files for day, files in clean.items() if again.covers_date(day, found.cleaned[day])}
        holdings = again.holdings({day: holdings[day] for day in clean})
        if batches:
            batches = [batch for batch in batches if again.covers_batch(batch)]
            read = max((batch.batch + 1 for batch in batches), default=0)
            end = read if read < found.read.batches else None
    held = set(held_by_clean(batches, holdings))
    kept = {day: _not_held(day, files, held, scratch, end) for day, files in taken.items()}
    return {day: (*clean.get(day, ()), *kept.get(day, ())) for day in found.days}


_FilesByDate = dict[date, tuple[StoragePath, ...]]


def _list_files(root: StoragePath, dates: DateRange) -> tuple[AppliedDates, _FilesByDate, _FilesByDate]:
    """Lists the dates of events, and the files of clean and of the stream."""
    with commit_lock(root):
        found = list_applied(root, dates)
        clean = {day: _files(root, EVENTS, [day]) for day in found.cleaned}
        taken = {day: _files(root, STREAM_EVENTS, [day]) for day in found.streamed}
    if not found.days:
        table_relation(root, EVENTS, dates)  # says why there is none
    return found, clean, taken


def _batches(root: StoragePath, taken: Mapping[date, Sequence[StoragePath]]) -> dict[int, AppliedBatch]:
    """The batches of files; all that there are, where files were merged."""
    numbers = {batch_number(file.name) for files in taken.values() for file in files}
    if None in numbers:
        numbers = {batch_number(path.name) for path in (root / BATCH_LOG).glob("batch-*.json")}
    named = sorted(number for number in numbers if number is not None)
    return {number: _read_batch(root / BATCH_LOG / f"batch-{number:08d}.json") for number in named}


def _read_batch(path: StoragePath) -> AppliedBatch:
    try:
        return AppliedBatch.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        raise UnusableFileError(
            f"{path}, the record of a batch, is missing or damaged: run `shopstream check`, which says what to do."
        ) from None


def _not_held(
    day: date,
    files: Sequence[StoragePath],
    held: Collection[tuple[int, date]],
    scratch: StoragePath | None,
    end: int | None = None,
) -> tuple[StoragePath, ...]:
    """Of a date's files of the stream, those whose events clean does not hold, cut down where they are merged.

    Args:
        day: the date.
        files: of the stream.
        held: batches and dates whose events clean holds.
        scratch: folder for files that are cut down.
        end: batches from this number on are left out, too; None leaves in all.
    """
    numbers = [batch for batch, one in held if one == day]
    return tuple(
        file if number is not None or not (numbers or end is not None) else _without(file, numbers, end, scratch, day)
        for file, number in ((file, batch_number(file.name)) for file in files)
        if number is None or (number not in numbers and (end is None or number < end))
    )


def _without(
    file: StoragePath, numbers: Sequence[int], end: int | None, scratch: StoragePath | None, day: date
) -> StoragePath:
    """Copies a merged file without the events of some batches, a part of it at a time."""
    if scratch is None:
        raise ValueError(
            f"{file} holds events that clean holds as well, and there is no folder for a copy without them"
        )
    folder, schema = scratch / str(day), stored_schema(STREAM_EVENTS)
    folder.mkdir(parents=True, exist_ok=True)
    parts = (pa.Table.from_batches([part]) for part in read_batches(file, _ROWS_AT_ONCE, schema.names))
    kept = (part.filter(_is_kept(part["batch"], numbers, end)) for part in parts)
    write_parts(folder / file.name, schema, (part.select(schema.names).cast(schema) for part in kept), _ROWS_AT_ONCE)
    return folder / file.name


def _is_kept(batches: pa.ChunkedArray, numbers: Sequence[int], end: int | None) -> pa.ChunkedArray:
    kept = pc.invert(pc.is_in(batches, value_set=pa.array(numbers, pa.int32())))
    return kept if end is None else pc.and_(kept, pc.less(batches, end))


def _clean_rows(note: CleanedDate | None, files: Sequence[StoragePath]) -> int:
    return note.clean if note is not None else sum(map(count_rows, files))


def _streamed_rows(file: StoragePath, batches: Mapping[int, AppliedBatch]) -> int:
    """Rows of a file of the stream: all of its batch, where that is of one date."""
    number = batch_number(file.name)
    batch = batches[number] if number is not None else None
    return (
        batch.clean
        if batch is not None and batch.dates is not None and batch.dates[0] == batch.dates[1]
        else count_rows(file)
    )


def files_by_date(
    root: StoragePath, table: Table, days: Iterable[date | None]
) -> dict[date | None, tuple[StoragePath, ...]]:
    """Returns the files of a table that is partitioned by date, by their date; none where there is nothing."""
    with commit_lock(root):
        return {day: _files(root, table, [day]) for day in days}


def stored_schema(table: Table) -> pa.Schema:
    """Returns the columns that a table's files hold: the partition stands in the names of their folders."""
    return pa.schema([field for field in table.schema if field.name != table.partition])


def _files(root: StoragePath, table: Table, days: Iterable[date | None]) -> tuple[StoragePath, ...]:
    found: list[StoragePath] = []
    for day in sorted(days, key=str):
        found += sorted((root / table.path / partition_folder(day)).glob("*.parquet"), key=str)
    return tuple(found)
