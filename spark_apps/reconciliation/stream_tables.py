"""The stream's batch log against itself, against the stream's tables and against the files that were put away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from pydantic import BaseModel, Field

from spark_apps.provenance import AppliedBatch
from spark_apps.reconciliation.reconcile import Reconciliation, counted, distinct, reconcile, summed
from spark_apps.storage import Entry
from spark_apps.streaming.intake import HASH_LETTERS, hash_in_name, shown
from spark_apps.tables import (
    DONE,
    INCOMING,
    STREAM_EVENTS,
    STREAM_PRODUCTS,
    STREAM_QUARANTINE,
    STREAM_RECOMMENDATIONS,
    STREAM_WINDOWS,
    Table,
)

REPLAY = "bring back the files below processed/stream_* from a copy, or remove them all with temp/stream and replay"
_DROP_AGAIN = f"move them from {DONE} to {INCOMING}, where what was applied is a duplicate, or remove them"


class _Lists(BaseModel):
    users: int


class CountedBatch(AppliedBatch):
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
class StreamedTable:
    """How a table of the stream is counted.

    Attributes:
        what: the two sides, in words.
        recorded: the number of CountedBatch that it is compared with.
        table: the table.
        query: for what it holds of each batch.
        columns: that are read of it.
    """

    what: str
    recorded: str
    table: Table
    query: str
    columns: tuple[str, ...]


def _lines(what: str, recorded: str, table: Table) -> StreamedTable:
    return StreamedTable(what, recorded, table, counted(table.name, "batch"), ("batch",))


def _events(what: str, recorded: str, table: Table) -> StreamedTable:
    return StreamedTable(what, recorded, table, summed(table.name, "batch", "events"), ("batch", "events"))


def _users(what: str, recorded: str, table: Table) -> StreamedTable:
    return StreamedTable(what, recorded, table, distinct(table.name, "batch", "user_id"), ("batch", "user_id"))


STREAMED = (
    _lines("clean lines = rows of stream_events", "clean", STREAM_EVENTS),
    _lines("quarantined lines = rows of stream_quarantine", "bad", STREAM_QUARANTINE),
    _events("clean lines = events of stream_products", "learned", STREAM_PRODUCTS),
    _events("clean lines in time = events of stream_windows", "in_time", STREAM_WINDOWS),
    _users("new lists = users of stream_recommendations", "users", STREAM_RECOMMENDATIONS),
)


def batches_recorded(batches: Sequence[CountedBatch]) -> Iterator[Reconciliation]:
    """Compares the batch log with itself: every batch has one record, every line of it became something."""
    every = dict.fromkeys(range(max(one.batch for one in batches) + 1), 1)
    yield reconcile("batches from 0 on = records, per batch", every, Counter(one.batch for one in batches), REPLAY)
    dropped, accounted = (_by_batch(batches, attrgetter(name)) for name in ("rows", "accounted"))
    yield reconcile("lines dropped = clean + quarantined, per batch", dropped, accounted, REPLAY)


def batches_stored(
    table: StreamedTable, batches: Sequence[CountedBatch], found: Mapping[int | None, int]
) -> Reconciliation:
    """Compares the batch log with what a table of the stream holds of each batch.

    Args:
        table: which.
        batches: the log.
        found: batch -> what `table.query` counts.
    """
    return reconcile(f"{table.what}, per batch", _by_batch(batches, attrgetter(table.recorded)), found, REPLAY)


def files_recorded(done: Iterable[Entry], batches: Sequence[CountedBatch]) -> Reconciliation:
    """Compares the files in done with the batch log: nothing is put away that is in no table."""
    applied = [batch for batch in batches if batch.outcome != "refused"]
    hashes = {batch.sha256[:HASH_LETTERS] for batch in applied}
    # put away by an earlier version, under the name with which it was dropped
    names = {(batch.file, batch.bytes) for batch in applied}
    files, known = Counter[str](), Counter[str]()
    for one in done:
        name, begins = shown(one.name), hash_in_name(one.name)
        files[name] += 1
        known[name] += begins in hashes if begins is not None else (name, one.bytes) in names
    return reconcile("files in done = files with a record", files, known, _DROP_AGAIN)


def _by_batch(batches: Sequence[CountedBatch], number: Callable[[CountedBatch], int]) -> Counter[int | None]:
    found: Counter[int | None] = Counter()
    for batch in batches:
        found[batch.batch] += number(batch)
    return found
