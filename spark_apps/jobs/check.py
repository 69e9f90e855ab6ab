"""`shopstream check`: counts every table of a root again, each against the one that it was made from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from operator import attrgetter

from pydantic import BaseModel, Field, ValidationError

from spark_apps.analysis.reconciliation import (
    SHOWN_PLACES,
    Reconciliation,
    Sides,
    compare,
    count_places,
    counted,
    counts_of,
    distinct,
    reconcile,
    reconciliations,
    summed,
)
from spark_apps.engine.base import Engine, Relation
from spark_apps.engine.database import sql
from spark_apps.engine.published import applied_again, files_by_date, stored_schema, table_relation
from spark_apps.errors import NothingToDoError, UnusableFileError
from spark_apps.ingestion.manifests import date_key, raw_rows, read_manifests
from spark_apps.provenance import AppliedBatch, EventsRead
from spark_apps.registry.serving import current, stale_tables
from spark_apps.registry.versions import SEGMENTS, newest
from spark_apps.settings import Settings
from spark_apps.storage import Entry, StoragePath, count_rows, entries
from spark_apps.storage.catalog import cleaned_dates, published_dates, read_features_read, table_exists
from spark_apps.storage.transaction import Transaction
from spark_apps.streaming.intake import HASH_LETTERS, hash_in_name, shown
from spark_apps.tables import (
    BATCH_LOG,
    DONE,
    EVENTS,
    INCOMING,
    INTERACTIONS,
    PRODUCT_FEATURES,
    QUARANTINE,
    RECOMMENDATIONS,
    STREAM_EVENTS,
    STREAM_PRODUCTS,
    STREAM_QUARANTINE,
    STREAM_RECOMMENDATIONS,
    STREAM_WINDOWS,
    USER_FEATURES,
    USER_SEGMENTS,
    DateRange,
    Table,
    part_of,
)

_TRAIN = "shopstream train"
_REPLAY = "bring back the files below processed/stream_* from a copy, or remove them all with temp/stream and replay"
_DROP_AGAIN = f"move them from {DONE} to {INCOMING}, where what was applied is a duplicate, or remove them"


class _Lists(BaseModel):
    users: int


class _Record(AppliedBatch):
    """Of a batch's record (streaming/records.py), what is counted here, with what it says together."""

    file: str
    bytes: int
    outcome: str
    rows: int = 0
    held: int = 0
    late: int = 0
    quarantined: dict[str, int] = Field(default_factory=dict)
    lists: _Lists | None = None

    @property
    def bad(self) -> int:
        """Lines that were quarantined."""
        return sum(self.quarantined.values())

    @property
    def accounted(self) -> int:
        """Lines of which it is said what became of them."""
        return self.clean + self.bad

    @property
    def learned(self) -> int:
        """Clean events that the stream had not taken over from clean."""
        return self.clean - self.held

    @property
    def in_time(self) -> int:
        """Those of them that windows count."""
        return self.learned - self.late

    @property
    def users(self) -> int:
        """Users with a new list."""
        return self.lists.users if self.lists is not None else 0


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
        done: files that were put away, a row a file of the days it is kept; None where there is no such folder.
        records: of the batches in their order, one small row a batch; None where the stream never ran.
    """

    done: list[Entry] | None
    records: list[_Record] | None


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
    landed = raw_rows(read_manifests(root), DateRange())
    cleaned = {day for table in (EVENTS, QUARANTINE) for day in published_dates(root, table)}
    waiting = [rows for day, rows in landed.items() if day not in cleaned]
    stream = _read_stream(root)
    records = stream.records or []
    with Transaction(root, []) as transaction:
        behind = _events_behind(root, records, transaction.scratch("behind"))
        parts = (
            _lines_landed(root, {day: rows for day, rows in landed.items() if day in cleaned}),
            _stale_dates(root),
            _features(engine, root, records, behind),
            _lists(engine, settings, root),
            _stream(engine, root, records),
            _put_away(stream),
        )
        found = [one for part in parts for one in part]
        if not found:
            raise NothingToDoError(f"There is nothing to count under {root}: run `shopstream clean` first.")
        beside = _not_in_features(root, records, behind, transaction.scratch("now"))
    return Counted(found, len(waiting), sum(waiting), *beside)


def _read_stream(root: StoragePath) -> _Stream:
    # first done, then the log, which has the record before the file is put away; then tables, which may hold more
    done = list(_files_below(root / DONE)) if (root / DONE).is_dir() else None
    if not (root / BATCH_LOG).is_dir():
        return _Stream(done, None)
    names = sorted(path.name for path in (root / BATCH_LOG).glob("batch-*.json"))
    return _Stream(done, [_read_record(root / BATCH_LOG / name) for name in names])


def _read_record(path: StoragePath) -> _Record:
    try:
        return _Record.model_validate_json(path.read_bytes())
    except ValidationError:
        raise UnusableFileError(f"{path}, the record of a batch, is damaged: {_REPLAY}.") from None


def _lines_landed(root: StoragePath, landed: dict[date | None, int]) -> Iterator[Reconciliation]:
    """Lines landed against the tables that `clean` made of them: a row a date, of what the files' footers say."""
    if not landed:
        return  # raw rows that are kept elsewhere are no fault
    found: Counter[str] = Counter()
    for table in (EVENTS, QUARANTINE):
        for day, files in files_by_date(root, table, published_dates(root, table)).items():
            found[date_key(day)] += sum(map(count_rows, files))
    expected = {date_key(day): rows for day, rows in landed.items()}
    yield reconcile("lines landed = events + quarantine, per date", expected, found, "shopstream clean")


def _features(
    engine: Engine, root: StoragePath, records: Sequence[_Record], behind: _FilesByDate | None
) -> Iterator[Reconciliation]:
    """Events against the feature tables, each of which holds all of them."""
    if behind is None:
        return
    yield from _left_out(root, records)
    files = tuple(file for files in behind.values() for file in files)
    inputs = {
        "events": Relation(files, stored_schema(EVENTS)),
        "users": table_relation(root, USER_FEATURES),
        "products": table_relation(root, PRODUCT_FEATURES),
        "pairs": table_relation(root, INTERACTIONS),
    }
    of_users = _compared(engine, inputs, "user_id", _OF_USERS, _FEATURES_BY_USER)
    of_products = _compared(engine, inputs, "product_id", _OF_PRODUCTS, _FEATURES_BY_PRODUCT)
    yield from (of_users[0], *of_products, of_users[1])


# the columns that are read of each input
_Columns = Mapping[str, tuple[str, ...]]
_OF_USERS: _Columns = {
    "events": ("user_id", "event_type"),
    "users": ("user_id", "total_events"),
    "pairs": ("user_id", "purchases"),
}
_OF_PRODUCTS: _Columns = {
    "events": ("product_id",),
    "products": ("product_id", "events"),
    "pairs": ("product_id", "interaction_count"),
}
_FEATURES_BY_USER = (
    Sides(
        "events = those of user_features, per user",
        counted("events", "user_id"),
        summed("users", "user_id", "total_events"),
        _TRAIN,
    ),
    Sides(
        "purchases = those of interactions, per user",
        counted("events", "user_id", "event_type = 'purchase'"),
        summed("pairs", "user_id", "purchases", "purchases > 0"),
        _TRAIN,
    ),
)
_FEATURES_BY_PRODUCT = (
    Sides(
        "events = those of product_features, per product",
        counted("events", "product_id"),
        summed("products", "product_id", "events"),
        _TRAIN,
    ),
    Sides(
        "events = those of interactions, per product",
        counted("events", "product_id"),
        summed("pairs", "product_id", "interaction_count"),
        _TRAIN,
    ),
)


def _compared(
    engine: Engine, inputs: Mapping[str, Relation], place: str, columns: _Columns, sides: Sequence[Sides]
) -> list[Reconciliation]:
    narrow = {name: inputs[name].select(*wanted) for name, wanted in columns.items()}
    return reconciliations(engine.run(compare, narrow, by=place, shared=tuple(sides)), sides)


_FilesByDate = dict[date, tuple[StoragePath, ...]]


def _events_behind(root: StoragePath, records: Sequence[_Record], scratch: StoragePath) -> _FilesByDate | None:
    """The events that were applied when the features were made, of the dates asked for; None without features."""
    if not table_exists(root, USER_FEATURES):
        return None
    read = read_features_read(root)
    dates = DateRange(read.first, read.last) if read is not None else DateRange()
    return _applied(root, dates, records, scratch, again=read)


def _applied(
    root: StoragePath,
    dates: DateRange,
    records: Sequence[_Record],
    scratch: StoragePath,
    again: EventsRead | None = None,
) -> _FilesByDate:
    """Files of the events of clean and stream, none where all were taken out."""
    try:
        return applied_again(root, dates, records, scratch, again)
    except NothingToDoError:
        return {}


def _left_out(root: StoragePath, records: Sequence[_Record]) -> Iterator[Reconciliation]:
    """What was applied when features were made, and is not written down among what they were made of."""
    read = read_features_read(root)
    if read is None:
        missed = ["features were made by an earlier version, which did not write down of what"]
    else:
        missed = [*_dates_left_out(root, read), *_batches_left_out(records, read)]
    if missed:
        what = "events applied = events that features were made of, per date or batch"
        yield Reconciliation(what, len(missed), 0, len(missed), len(missed), tuple(missed[:SHOWN_PLACES]), _TRAIN)


def _dates_left_out(root: StoragePath, read: EventsRead) -> Iterator[str]:
    asked = DateRange(read.first, read.last)
    for day, note in cleaned_dates(root, (day for day in published_dates(root, EVENTS) if day in asked)).items():
        parts = read.cleaned.get(day.isoformat())
        if day.isoformat() not in read.cleaned and read.covers_date(day, note):
            yield f"{day}: {note.clean if note else 0:,} and 0"
        elif note is not None and parts is not None and set(parts) != set(note.parts):
            yield f"{day} was cleaned of other files since"


def _batches_left_out(records: Sequence[_Record], read: EventsRead) -> Iterator[str]:
    asked = DateRange(read.first, read.last)
    for batch in records:
        missed = batch.batch >= read.batches and read.covers_batch(batch)
        if missed and batch.dates is not None and any(day in asked for day in batch.dates):
            yield f"batch {batch.batch}: {batch.clean:,} and 0"


def _not_in_features(
    root: StoragePath, records: Sequence[_Record], behind: _FilesByDate | None, scratch: StoragePath
) -> tuple[int, int]:
    """Events that were applied after the features were made, and those of other dates than were asked for."""
    read = read_features_read(root)
    if read is None:
        return 0, 0
    now = _rows_by_date(_applied(root, DateRange(), records, scratch))
    asked = sum(rows for day, rows in now.items() if day in DateRange(read.first, read.last))
    return max(0, asked - sum(_rows_by_date(behind or {}).values())), sum(now.values()) - asked


def _rows_by_date(files: _FilesByDate) -> dict[date, int]:
    return {day: sum(map(count_rows, of_day)) for day, of_day in files.items()}


def _stale_dates(root: StoragePath) -> Iterator[Reconciliation]:
    """Dates that `clean` made of other files than those that are landed now."""
    manifests = read_manifests(root)
    if not manifests:
        return  # raw rows are kept elsewhere, or not at all
    stale = []
    for day, note in cleaned_dates(root, published_dates(root, EVENTS)).items():
        landed = sorted(part_of(one.sha256) for one in manifests if day.isoformat() in one.rows_per_date)
        if note is not None and landed and landed != sorted(note.parts):  # dates without a file have other counts, too
            stale.append(f"{day}: {len(landed)} files landed, cleaned from {len(note.parts)}")
    if stale:
        what = "dates cleaned = dates cleaned of the files that are landed"
        yield Reconciliation(
            what, len(stale), 0, len(stale), len(stale), tuple(stale[:SHOWN_PLACES]), "shopstream clean"
        )


def _lists(engine: Engine, settings: Settings, root: StoragePath) -> Iterator[Reconciliation]:
    """The users of the features against their segments and lists."""
    if not all(table_exists(root, table) for table in (USER_FEATURES, USER_SEGMENTS)):
        return
    # a training that the promotion policy refuses leaves its features beside older segments and lists
    fits_features = current(root, SEGMENTS)[1].version == newest(root, SEGMENTS)[1].version
    has_lists = table_exists(root, RECOMMENDATIONS)
    wanted = [
        (_SEGMENTED, fits_features),
        (_WHOLE, has_lists),
        (_NOT_BOUGHT, has_lists and fits_features and settings.exclude_purchased),
    ]
    sides = [one for one, applies in wanted if applies]
    tables = {"users": USER_FEATURES, "segments": USER_SEGMENTS}
    if has_lists:
        tables |= {"lists": RECOMMENDATIONS, "pairs": INTERACTIONS}
    if sides:
        inputs = {name: table_relation(root, table) for name, table in tables.items()}
        yield from _compared(engine, inputs, "user_id", {name: _OF_LISTS[name] for name in tables}, sides)
    for stale in stale_tables(root):
        yield Reconciliation("tables made with the models in use", 1, 0, 1, 1, (str(stale),), stale.command)


_OF_LISTS: _Columns = {
    "users": ("user_id",),
    "segments": ("user_id",),
    "lists": ("user_id", "product_id", "rank"),
    "pairs": ("user_id", "product_id", "purchases"),
}
_SEGMENTED = Sides(
    "users = rows of user_segments, per user", counted("users", "user_id"), counted("segments", "user_id"), _TRAIN
)
_WHOLE = Sides(
    "users in segments = whole lists of recommendations, per user",
    counted("segments", "user_id"),
    sql("spark_apps.analysis", "whole_lists"),
    _TRAIN,
)
_NOT_BOUGHT = Sides(
    "products listed though bought = none, per user",
    counted("lists", "user_id", "false"),
    sql("spark_apps.analysis", "listed_though_bought"),
    _TRAIN,
)


def _stream(engine: Engine, root: StoragePath, records: Sequence[_Record]) -> Iterator[Reconciliation]:
    """The stream's batch log against itself and against the tables, for each batch."""
    if not records:
        return
    last = max(record.batch for record in records)
    every = dict.fromkeys(range(last + 1), 1)
    yield reconcile("batches from 0 on = records, per batch", every, Counter(one.batch for one in records), _REPLAY)
    dropped, accounted = (_by_batch(records, attrgetter(name)) for name in ("rows", "accounted"))
    yield reconcile("lines dropped = clean + quarantined, per batch", dropped, accounted, _REPLAY)
    streamed = [one for one in _STREAMED if table_exists(root, one.table)]
    # a batch that is applied meanwhile is in a table and not in the batch log as it was read
    inputs = {
        one.table.name: replace(table_relation(root, one.table).select(*one.columns), where=f"batch <= {last}")
        for one in streamed
    }
    if not inputs:
        return
    # a row a batch and table, as few as the records
    done = engine.run(count_places, inputs, by="batch", shared={one.table.name: one.query for one in streamed})
    for one in streamed:
        recorded = _by_batch(records, attrgetter(one.recorded))
        yield reconcile(f"{one.what}, per batch", recorded, counts_of(done, one.table.name), _REPLAY)


def _by_batch(records: Sequence[_Record], number: Callable[[_Record], int]) -> Counter[int | None]:
    found: Counter[int | None] = Counter()
    for record in records:
        found[record.batch] += number(record)
    return found


@dataclass(frozen=True)
class _Streamed:
    """How a table of the stream is counted.

    Attributes:
        what: in words.
        recorded: the record's number.
        table: the table.
        query: for what it holds of each batch.
        columns: that are read of it.
    """

    what: str
    recorded: str
    table: Table
    query: str
    columns: tuple[str, ...]


def _lines(what: str, recorded: str, table: Table) -> _Streamed:
    return _Streamed(what, recorded, table, counted(table.name, "batch"), ("batch",))


def _events(what: str, recorded: str, table: Table) -> _Streamed:
    return _Streamed(what, recorded, table, summed(table.name, "batch", "events"), ("batch", "events"))


def _users(what: str, recorded: str, table: Table) -> _Streamed:
    return _Streamed(what, recorded, table, distinct(table.name, "batch", "user_id"), ("batch", "user_id"))


_STREAMED = (
    _lines("clean lines = rows of stream_events", "clean", STREAM_EVENTS),
    _lines("quarantined lines = rows of stream_quarantine", "bad", STREAM_QUARANTINE),
    _events("clean lines = events of stream_products", "learned", STREAM_PRODUCTS),
    _events("clean lines in time = events of stream_windows", "in_time", STREAM_WINDOWS),
    _users("new lists = users of stream_recommendations", "users", STREAM_RECOMMENDATIONS),
)


def _put_away(stream: _Stream) -> Iterator[Reconciliation]:
    """What stands in done against the batch log: nothing is put away that is in no table."""
    if not stream.done or stream.records is None:
        return
    records = [record for record in stream.records if record.outcome != "refused"]
    hashes = {record.sha256[:HASH_LETTERS] for record in records}
    # put away by an earlier version, under the name with which it was dropped
    names = {(record.file, record.bytes) for record in records}
    files, known = Counter[str](), Counter[str]()
    for one in stream.done:
        name, begins = shown(one.name), hash_in_name(one.name)
        files[name] += 1
        known[name] += begins in hashes if begins is not None else (name, one.bytes) in names
    yield reconcile("files in done = files with a record", files, known, _DROP_AGAIN)


def _files_below(folder: StoragePath) -> Iterator[Entry]:
    """Yields the files in a folder and in the folders that earlier versions made in it."""
    for entry in entries(folder):
        if entry.kind == "folder":
            yield from _files_below(folder / entry.name)
        else:
            yield entry
