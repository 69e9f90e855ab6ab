"""`shopstream check`: counts every table of a root again, each against the one that it was made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from pydantic import ValidationError

from spark_apps.engine.base import Engine, Relation
from spark_apps.engine.published import applied_again, files_by_date, stored_schema, table_relation
from spark_apps.errors import NothingToDoError, UnusableFileError
from spark_apps.ingestion.manifests import date_key, raw_rows, read_manifests
from spark_apps.provenance import EventsRead
from spark_apps.reconciliation.batch_tables import (
    CLEAN,
    FEATURES_BY_PRODUCT,
    FEATURES_BY_USER,
    Comparison,
    left_out,
    lists_comparison,
    stale_dates,
)
from spark_apps.reconciliation.reconcile import (
    Reconciliation,
    compare,
    count_places,
    counts_of,
    nothing_of,
    reconcile,
    reconciliations,
)
from spark_apps.reconciliation.stream_tables import (
    REPLAY,
    STREAMED,
    CountedBatch,
    batches_recorded,
    batches_stored,
    files_recorded,
)
from spark_apps.registry.serving import current, stale_tables
from spark_apps.registry.versions import SEGMENTS, newest
from spark_apps.settings import Settings
from spark_apps.storage import Entry, StoragePath, count_rows, entries
from spark_apps.storage.catalog import cleaned_dates, published_dates, read_features_read, table_exists
from spark_apps.storage.transaction import Transaction
from spark_apps.tables import (
    BATCH_LOG,
    DONE,
    EVENTS,
    INTERACTIONS,
    PRODUCT_FEATURES,
    QUARANTINE,
    RECOMMENDATIONS,
    USER_FEATURES,
    USER_SEGMENTS,
    DateRange,
)


@dataclass(frozen=True)
class Counted:
    """What was counted again.

    Attributes:
        balances: in the order in which the tables are made.
        uncleaned_dates, uncleaned_lines: landed and not cleaned, as what `simulate` replays.
        events_since: applied after the features were made, of the dates that these are of.
        events_outside: applied, of other dates than those that were asked for when the features were made.
    """

    balances: list[Reconciliation]
    uncleaned_dates: int
    uncleaned_lines: int
    events_since: int = 0
    events_outside: int = 0


@dataclass(frozen=True)
class _Stream:
    """What stood beside the stream's tables before they were listed.

    Attributes:
        done: files that were put away, a row a file of the days it is kept; none where the stream never ran.
        batches: in their order, one small row a batch.
    """

    done: list[Entry]
    batches: list[CountedBatch]


def run(engine: Engine, settings: Settings, root: StoragePath) -> Counted:
    """Counts again whatever tables there are.

    Args:
        engine: counts what is many.
        settings: say whether lists leave out what their users bought.
        root: folder of the tables.

    Raises:
        NothingToDoError: when there is neither an event nor a batch.
        UnusableFileError: when a record is damaged.
    """
    manifests = read_manifests(root)
    landed = raw_rows(manifests, DateRange())
    published = {day for table in (EVENTS, QUARANTINE) for day in published_dates(root, table)}
    waiting = [rows for day, rows in landed.items() if day not in published]
    stream = _read_stream(root)
    cleaned = cleaned_dates(root, published_dates(root, EVENTS))
    with Transaction(root, []) as transaction:
        behind = _events_behind(root, stream.batches, transaction.scratch("behind"))
        parts = (
            _lines_landed(root, {day: rows for day, rows in landed.items() if day in published}),
            stale_dates(manifests, cleaned),
            () if behind is None else left_out(read_features_read(root), cleaned, stream.batches),
            () if behind is None else _features(engine, root, behind),
            _lists(engine, settings, root),
            _streamed(engine, root, stream),
        )
        found = [one for part in parts for one in part]
        if not found:
            raise NothingToDoError(f"There is nothing to count under {root}: run `shopstream clean` first.")
        beside = _not_in_features(root, stream.batches, behind, transaction.scratch("now"))
    return Counted(found, len(waiting), sum(waiting), *beside)


def _read_stream(root: StoragePath) -> _Stream:
    # first done, then the log, which has the record before the file is put away; then tables, which may hold more
    done = list(_files_below(root / DONE)) if (root / DONE).is_dir() else []
    if not (root / BATCH_LOG).is_dir():
        return _Stream([], [])
    names = sorted(path.name for path in (root / BATCH_LOG).glob("batch-*.json"))
    return _Stream(done, [_read_record(root / BATCH_LOG / name) for name in names])


def _read_record(path: StoragePath) -> CountedBatch:
    try:
        return CountedBatch.model_validate_json(path.read_bytes())
    except ValidationError:
        raise UnusableFileError(f"{path}, the record of a batch, is damaged: {REPLAY}.") from None


def _files_below(folder: StoragePath) -> Iterator[Entry]:
    """Yields the files in a folder and in the folders that earlier versions made in it."""
    for entry in entries(folder):
        if entry.kind == "folder":
            yield from _files_below(folder / entry.name)
        else:
            yield entry


def _lines_landed(root: StoragePath, landed: dict[date | None, int]) -> Iterator[Reconciliation]:
    """Lines landed against the tables that `clean` made of them: a row a date, of what the files' footers say."""
    if not landed:
        return  # raw rows that are kept elsewhere are no fault
    found: Counter[str] = Counter()
    for table in (EVENTS, QUARANTINE):
        for day, files in files_by_date(root, table, published_dates(root, table)).items():
            found[date_key(day)] += sum(map(count_rows, files))
    expected = {date_key(day): rows for day, rows in landed.items()}
    yield reconcile("lines landed = events + quarantine, per date", expected, found, CLEAN)


_FilesByDate = dict[date, tuple[StoragePath, ...]]


def _events_behind(root: StoragePath, batches: Sequence[CountedBatch], scratch: StoragePath) -> _FilesByDate | None:
    """The events that were applied when the features were made, of the dates asked for; None without features."""
    if not table_exists(root, USER_FEATURES):
        return None
    read = read_features_read(root)
    dates = DateRange(read.first, read.last) if read is not None else DateRange()
    return _applied(root, dates, batches, scratch, again=read)


def _applied(
    root: StoragePath,
    dates: DateRange,
    batches: Sequence[CountedBatch],
    scratch: StoragePath,
    again: EventsRead | None = None,
) -> _FilesByDate:
    """Files of the events of clean and stream, none where all were taken out."""
    try:
        return applied_again(root, dates, batches, scratch, again)
    except NothingToDoError:
        return {}


def _features(engine: Engine, root: StoragePath, behind: _FilesByDate) -> Iterator[Reconciliation]:
    """Events against the feature tables, each of which holds all of them."""
    inputs = {
        "events": Relation(tuple(file for files in behind.values() for file in files), stored_schema(EVENTS)),
        "users": table_relation(root, USER_FEATURES),
        "products": table_relation(root, PRODUCT_FEATURES),
        "pairs": table_relation(root, INTERACTIONS),
    }
    of_users, of_products = (_compared(engine, inputs, one) for one in (FEATURES_BY_USER, FEATURES_BY_PRODUCT))
    yield from (of_users[0], *of_products, of_users[1])


def _lists(engine: Engine, settings: Settings, root: StoragePath) -> Iterator[Reconciliation]:
    """The users of the features against their segments and lists."""
    if not all(table_exists(root, table) for table in (USER_FEATURES, USER_SEGMENTS)):
        return
    # a training that the promotion policy refuses leaves its features beside older segments and lists
    fits_features = current(root, SEGMENTS)[1].version == newest(root, SEGMENTS)[1].version
    comparison = lists_comparison(table_exists(root, RECOMMENDATIONS), fits_features, settings.exclude_purchased)
    if comparison is not None:
        tables = {"users": USER_FEATURES, "segments": USER_SEGMENTS, "lists": RECOMMENDATIONS, "pairs": INTERACTIONS}
        inputs = {name: table_relation(root, tables[name]) for name in comparison.columns}
        yield from _compared(engine, inputs, comparison)
    for stale in stale_tables(root):
        yield from nothing_of("tables made with the models in use", [str(stale)], stale.command)


def _compared(engine: Engine, inputs: Mapping[str, Relation], comparison: Comparison) -> list[Reconciliation]:
    narrow = {name: inputs[name].select(*wanted) for name, wanted in comparison.columns.items()}
    done = engine.run(compare, narrow, by=comparison.by, shared=comparison.sides)
    return reconciliations(done, comparison.sides)


def _streamed(engine: Engine, root: StoragePath, stream: _Stream) -> Iterator[Reconciliation]:
    """The batch log against itself, the stream's tables and the files in done."""
    if stream.batches:
        yield from batches_recorded(stream.batches)
        yield from _stored(engine, root, stream.batches)
    if stream.done:
        yield files_recorded(stream.done, stream.batches)


def _stored(engine: Engine, root: StoragePath, batches: Sequence[CountedBatch]) -> Iterator[Reconciliation]:
    # a batch that is applied meanwhile is in a table and not in the batch log as it was read
    read = f"batch <= {max(one.batch for one in batches)}"
    streamed = [one for one in STREAMED if table_exists(root, one.table)]
    inputs = {
        one.table.name: replace(table_relation(root, one.table).select(*one.columns), where=read) for one in streamed
    }
    if not inputs:
        return
    # a row a batch and table, as few as the records
    done = engine.run(count_places, inputs, by="batch", shared={one.table.name: one.query for one in streamed})
    for one in streamed:
        yield batches_stored(one, batches, counts_of(done, one.table.name))


def _not_in_features(
    root: StoragePath, batches: Sequence[CountedBatch], behind: _FilesByDate | None, scratch: StoragePath
) -> tuple[int, int]:
    """Events that were applied after the features were made, and those of other dates than were asked for."""
    read = read_features_read(root)
    if read is None:
        return 0, 0
    now = _rows_by_date(_applied(root, DateRange(), batches, scratch))
    asked = sum(rows for day, rows in now.items() if day in DateRange(read.first, read.last))
    return max(0, asked - sum(_rows_by_date(behind or {}).values())), sum(now.values()) - asked


def _rows_by_date(files: _FilesByDate) -> dict[date, int]:
    return {day: sum(map(count_rows, of_day)) for day, of_day in files.items()}
