"""The stream's state store: what is known of users, and which files were applied (SPEC T2, T3, T6).

What is known of users stands in buckets (see streaming/state.py), which tasks read and write. Which bytes were applied
is an index of the batch log: 256 small files, by the first two digits of a SHA-256, with a line for each content. It
never forgets one, and a batch reads and writes one file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import itemgetter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from spark_apps.engine.base import Engine, Task
from spark_apps.features.units import EVENT_COLUMNS
from spark_apps.progress import step
from spark_apps.runtime.memory import release_unused
from spark_apps.storage import StoragePath, count_rows, for_another_thread, open_parquet, write_durably, write_parts
from spark_apps.storage.transaction import Transaction
from spark_apps.streaming import state as limits
from spark_apps.streaming.merging import Join, cut, merged
from spark_apps.streaming.records import BatchRecord
from spark_apps.streaming.state import Bucket, StreamState, places_of
from spark_apps.streaming.user_update import FRESH, newest_profiles
from spark_apps.streaming.user_update import PROFILES as PROFILE_ROWS
from spark_apps.tables import (
    HISTORY,
    PROFILES,
    STREAM_CONTENTS,
    STREAM_STATE,
    STREAM_STATE_FILE,
    batch_log_path,
    contents_file,
)
from spark_apps.telemetry.batch_log import BatchLog

# Rows of a base that are read or skipped together: those of some thousands of users, of whom a batch has some.
_ROWS_PER_GROUP = 32_768
# Rows that are in memory together while a base is read or made anew: some 10 MB, however large the base.
_ROWS_AT_ONCE = 2 * _ROWS_PER_GROUP
# columns of few values, which are read as numbers and decoded where a row is wanted
_FEW_VALUES = {"category_code", "brand", "event_type", "segment"}


def _sorted(parts: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(parts).sort_by("user_id")


_SCHEMAS = {HISTORY: EVENT_COLUMNS, PROFILES: PROFILE_ROWS}
# how rows of the same users that come from a base and from later batches become one table
_JOINS: dict[str, Join] = {HISTORY: _sorted, PROFILES: newest_profiles}
# which users' rows are wanted, of some users' ids
UserFilter = Callable[[NDArray[np.int64]], NDArray[np.bool_]]
# bucket -> what it is after its base was made anew: itself or its halves
Renewed = Mapping[Bucket, Sequence[Bucket]]


@dataclass(frozen=True)
class Known:
    """Some users of a batch.

    Attributes:
        fresh: the batch's events of them, columns of FRESH.
        history: their former events, columns of EVENT_COLUMNS.
        profiles: the newest of each, columns of user_update.PROFILES.
    """

    fresh: pa.Table
    history: pa.Table
    profiles: pa.Table


@dataclass(frozen=True)
class StateStore:
    """The state under a root: read, changed by batches, compacted. It can be sent to tasks.

    Attributes:
        root: folder of the tables.
    """

    root: StoragePath

    def in_task(self) -> StateStore:
        """Returns the same store for one of several tasks of a process."""
        return StateStore(for_another_thread(self.root))

    def read(self) -> StreamState | None:
        """Returns the state in force; None before the stream's first start."""
        try:
            return StreamState.model_validate_json((self.root / STREAM_STATE_FILE).read_bytes())
        except FileNotFoundError:
            return None

    @contextmanager
    def change(self, batch: int) -> Iterator[StateChange]:
        """Opens a change of the state; what was staged is dropped unless it is committed.

        Args:
            batch: the state holds all batches before this one.

        Raises:
            BusyRootError: when another process changes it.
        """
        with Transaction(self.root, [STREAM_STATE, batch_log_path(batch)]) as transaction:
            yield StateChange(self, transaction)

    def batch_of(self, sha256: str) -> int | None:
        """Returns the batch as which a content was applied; None for one that is new."""
        for line in self.lines_beside(sha256):
            content, _, batch = line.partition(" ")
            if content == sha256:
                return int(batch)
        return None

    def lines_beside(self, sha256: str) -> list[str]:
        """Returns the lines of the file that a content has its line in, once it was applied."""
        try:
            return (self.root / contents_file(sha256)).read_text(encoding="ascii").splitlines()
        except FileNotFoundError:
            return []

    def ensure_contents(self) -> None:
        """Makes the record of contents from the batch log where a state of an earlier version, or a loss, left none."""
        if (self.root / STREAM_CONTENTS).is_dir():
            return
        with Transaction(self.root, [STREAM_STATE]) as transaction, step("Contents of former files") as shown:
            batch_log = BatchLog(self.root)
            files: defaultdict[str, list[str]] = defaultdict(list)  # some 100 bytes of memory a batch
            for batch in (numbers := batch_log.numbers()):
                record = batch_log.record(batch)
                if record is not None and record.outcome == "applied":
                    files[contents_file(record.sha256)].append(f"{record.sha256} {batch}")
            transaction.stage(STREAM_CONTENTS).mkdir(parents=True)
            for path, lines in files.items():
                write_durably(transaction.stage(path), "\n".join(lines) + "\n")
            transaction.replace(STREAM_CONTENTS)
            transaction.commit()
            shown.done = f"{len(numbers):,} records"

    def known(self, state: StreamState, places: Sequence[int], events: Iterable[str]) -> Iterator[Known]:
        """Reads a batch's events of some buckets, and what is known of their users.

        Args:
            state: before the batch.
            places: of the buckets in the state.
            events: the batch's files, paths below the root.

        Yields:
            The users of so many buckets as have EVENTS_PER_BUCKET former events of the batch's users at most, or of one
            bucket. Those of one bucket more are in memory, and of the batch's users what the latest batches brought.
        """

        def inside(users: NDArray[np.int64]) -> NDArray[np.bool_]:
            return np.isin(places_of(users, state.buckets), places)

        fresh = pa.concat_tables(
            [FRESH.empty_table(), *(part for path in events for part in self._rows(FRESH, path, inside))]
        )
        for users, history, profiles in self._former(state, pc.unique(fresh["user_id"])):
            yield Known(fresh.filter(pc.is_in(fresh["user_id"], value_set=users)), history, profiles)

    def user(self, state: StreamState, user_id: int) -> tuple[pa.Table, pa.Table]:
        """Returns a user's former events and newest profile: columns of EVENT_COLUMNS and of user_update.PROFILES."""
        ((_, history, profiles),) = self._former(state, pa.array([user_id], pa.int64()))
        return history, profiles

    def profiles(self, state: StreamState, bucket: Bucket) -> pa.Table:
        """Returns the newest profile of each of a bucket's users."""
        return newest_profiles([*self._base(PROFILES, bucket), *self._newer(PROFILES, state, bucket)])

    def profiles_below(self, folder: str, bucket: Bucket) -> pa.Table:
        """Returns the profiles of a bucket's base that stands below a folder of the root (see `StateChange.folder`)."""
        return _whole(PROFILES, self._rows(PROFILE_ROWS, f"{folder}{bucket.file(PROFILES)}"))

    def compact(self, engine: Engine, state: StreamState) -> StreamState:
        """Makes bases anew whose turn it is, splits those that have grown past EVENTS_PER_BUCKET, and publishes them.

        A task holds some 65,000 rows of a base and what the latest batches brought to it.

        Args:
            engine: reads and writes.
            state: between two batches.

        Returns:
            The state that names the new bases.
        """
        renewed = {bucket: self._renewed(bucket, state.next_batch) for bucket in state.due()}
        if not renewed:
            return state
        after = state.with_bases(renewed)
        with self.change(state.next_batch) as change:
            about = _Compaction(self, state, change.folder)
            bases = [(kind, old, new) for kind in _SCHEMAS for old, news in renewed.items() for new in news]
            engine.map(_write_base, bases, shared=about)
            change.replace_bases(renewed)
            change.commit(after)
        return after

    def _renewed(self, bucket: Bucket, batch: int) -> tuple[Bucket, ...]:
        is_small = count_rows(self.root / bucket.file(HISTORY)) <= limits.EVENTS_PER_BUCKET
        return (bucket.renewed(batch),) if is_small or bucket.modulus >= limits.MAX_MODULUS else bucket.halves(batch)

    def renew(self, kind: str, folder: str, state: StreamState, old: Bucket, new: Bucket) -> None:
        """Writes a base anew, with what the latest batches brought, a part of it at a time.

        Args:
            kind: HISTORY or PROFILES.
            folder: see `StateChange.folder`.
            state: before the batch.
            old: whose base is read.
            new: the same users or half of them.
        """
        newer = _whole(kind, self._newer(kind, state, old, new.holds))
        base = self._rows(_SCHEMAS[kind], old.file(kind), new.holds)
        self._write(kind, folder, new, merged(base, newer, _JOINS[kind]))

    def write(self, kind: str, folder: str, bucket: Bucket, rows: pa.Table) -> None:
        """Writes a base.

        Args:
            kind: HISTORY or PROFILES.
            folder: see `StateChange.folder`.
            bucket: whose.
            rows: all of it, in any order.
        """
        self._write(kind, folder, bucket, [rows.sort_by("user_id")])

    def write_sorted(self, kind: str, folder: str, buckets: Sequence[Bucket], parts: Iterable[pa.Table]) -> list[int]:
        """Writes the bases of the buckets that some rows are of.

        Args:
            kind: HISTORY or PROFILES.
            folder: see `StateChange.folder`.
            buckets: all of a state.
            parts: the rows, all of each bucket, sorted by the bucket's place and user.

        Returns:
            The places of the buckets.
        """
        written = []
        for place, runs in groupby(_runs(parts, buckets), key=itemgetter(0)):
            self._write(kind, folder, buckets[place], (run for _, run in runs))
            written.append(place)
        return written

    def _former(self, state: StreamState, users: pa.Array) -> Iterator[tuple[pa.Array, pa.Table, pa.Table]]:
        """Users, their former events and newest profiles, as many at a time as `known` says."""
        places = places_of(users.to_numpy(), state.buckets)
        newer = {kind: _whole(kind, self._newer_of(kind, state, users, places)) for kind in _SCHEMAS}
        held: list[_Former] = []
        for place in np.unique(places).tolist():
            some = users.filter(pa.array(places == place))
            bases = {kind: _whole(kind, self._base(kind, state.buckets[place], some)) for kind in _SCHEMAS}
            one = _Former(some, bases[HISTORY], bases[PROFILES])
            if held and sum(len(former.history) for former in (*held, one)) > limits.EVENTS_PER_BUCKET:
                yield _together(held, newer)
                held = []
            held.append(one)
        if held:
            yield _together(held, newer)

    def _base(self, kind: str, bucket: Bucket, users: pa.Array | None = None) -> Iterator[pa.Table]:
        """A bucket's base in parts, sorted by user; all of it, or the rows of some users."""
        return self._rows(_SCHEMAS[kind], bucket.file(kind), users=users)

    def _newer(
        self, kind: str, state: StreamState, bucket: Bucket, wanted: UserFilter | None = None
    ) -> Iterator[pa.Table]:
        """What a bucket's base does not hold yet, of all its users or some, oldest first."""
        for path in (
            path for batch in state.recent if batch.batch >= bucket.base for path in batch.paths(kind == HISTORY)
        ):
            yield from self._rows(_SCHEMAS[kind], path, wanted or bucket.holds)

    def _newer_of(
        self, kind: str, state: StreamState, users: pa.Array, places: NDArray[np.int32]
    ) -> Iterator[pa.Table]:
        """What bases do not hold yet of some users, who are in the buckets of these places, oldest first."""
        bases = np.array([bucket.base for bucket in state.buckets])[places]
        for batch in state.recent:
            some = users.filter(pa.array(bases <= batch.batch))
            for path in batch.paths(kind == HISTORY) if len(some) else ():
                yield from self._rows(_SCHEMAS[kind], path, users=some)

    def _rows(
        self, schema: pa.Schema, path: str, wanted: UserFilter | None = None, users: pa.Array | None = None
    ) -> Iterator[pa.Table]:
        """Reads rows, all or some users', a part at a time: of most parts few rows are wanted."""
        stored = open_parquet(self.root / path, [name for name in schema.names if name in _FEW_VALUES])
        groups = list(range(stored.num_row_groups)) if users is None else _groups_of(stored, users)
        # without groups Arrow reads all of them
        parts = stored.iter_batches(_ROWS_AT_ONCE, groups, schema.names, use_threads=False) if groups else ()
        for part in parts:
            found, ids = pa.Table.from_batches([part]), part.column("user_id")
            if users is not None:
                found = found.filter(pc.is_in(ids, value_set=users))
            elif wanted is not None:
                found = found.filter(pa.array(wanted(ids.to_numpy())))
            if len(found):
                yield found.select(schema.names).cast(schema)

    def _write(self, kind: str, folder: str, bucket: Bucket, parts: Iterable[pa.Table]) -> None:
        """Writes a base of sorted rows; a second try of the same task replaces it."""
        schema, path = _SCHEMAS[kind], self.root / f"{folder}{bucket.file(kind)}"
        many_values = [name for name in schema.names if name not in _FEW_VALUES]
        rows = cut(parts, _ROWS_AT_ONCE)  # no row group without a row
        write_parts(path, schema, rows, _ROWS_PER_GROUP, many_values, compression="lz4")


class StateChange:
    """A change of the state while it is staged: all of it appears at one moment.

    Attributes:
        store: of the state.
        transaction: what tables are staged with.
        folder: what stands before a path below the root while it is staged, as a path below the root itself.
    """

    def __init__(self, store: StateStore, transaction: Transaction) -> None:
        """Names the store and the transaction."""
        self.store, self.transaction = store, transaction
        self.folder = staged_below(transaction, store.root)

    def stage_record(self, record: BatchRecord) -> None:
        """Stages a batch's record, and, of a file that is applied, its content."""
        self._stage(batch_log_path(record.batch), record.model_dump_json())
        if record.outcome == "applied":
            lines = [*self.store.lines_beside(record.sha256), f"{record.sha256} {record.batch}"]
            self._stage(contents_file(record.sha256), "\n".join(lines) + "\n")

    def replace_bases(self, renewed: Renewed) -> None:
        """Has bases that tasks wrote below `folder` take the place of the former ones."""
        for kind in _SCHEMAS:
            old = {bucket.file(kind) for bucket in renewed}
            new = {bucket.file(kind) for made in renewed.values() for bucket in made}
            for path in sorted(new):
                self.transaction.replace(path)
            for path in sorted(old - new):
                self.transaction.remove(path)

    def commit(self, state: StreamState) -> None:
        """Makes the state the one in force, with all that is staged."""
        self._stage(STREAM_STATE_FILE, state.model_dump_json())
        self.transaction.commit()

    def _stage(self, path: str, text: str) -> None:
        write_durably(self.transaction.stage(path), text)
        self.transaction.replace(path)


def staged_below(transaction: Transaction, root: StoragePath) -> str:
    """Returns what `StateChange.folder` says, of a transaction."""
    return transaction.stage(STREAM_STATE).relative_to(root).as_posix().removesuffix(STREAM_STATE)


@dataclass(frozen=True)
class _Former:
    """Users of a bucket, and what its base holds of them."""

    users: pa.Array
    history: pa.Table
    profiles: pa.Table


@dataclass(frozen=True)
class _Compaction:
    """What tasks need: the store, the state between two batches, and where bases are put (see `StateChange.folder`)."""

    store: StateStore
    state: StreamState
    folder: str


def _write_base(task: Task) -> None:
    """Writes a base anew. Item: its kind, the former bucket and the new one. Shared: _Compaction."""
    about: _Compaction = task.shared
    kind, old, new = task.item
    about.store.in_task().renew(kind, about.folder, about.state, old, new)
    release_unused()


def _whole(kind: str, parts: Iterable[pa.Table]) -> pa.Table:
    return pa.concat_tables([_SCHEMAS[kind].empty_table(), *parts])


def _together(held: Sequence[_Former], newer: Mapping[str, pa.Table]) -> tuple[pa.Array, pa.Table, pa.Table]:
    """Puts bases and newer rows of the same users together."""
    users = pa.concat_arrays([one.users for one in held])
    some = {kind: rows.filter(pc.is_in(rows["user_id"], value_set=users)) for kind, rows in newer.items()}
    history = pa.concat_tables([*(one.history for one in held), some[HISTORY]])
    return users, history, newest_profiles([*(one.profiles for one in held), some[PROFILES]])


def _runs(parts: Iterable[pa.Table], buckets: Sequence[Bucket]) -> Iterator[tuple[int, pa.Table]]:
    """Cuts rows that are sorted by the place of their bucket where another one begins."""
    for part in parts:
        places = places_of(part["user_id"].to_numpy(), buckets)
        starts = [0, *(np.flatnonzero(np.diff(places)) + 1).tolist(), len(part)]
        for start, end in pairwise(starts):
            if start < end:
                yield int(places[start]), part.slice(start, end - start)


def _groups_of(stored: pq.ParquetFile, users: pa.Array) -> list[int]:
    """The row groups between whose smallest and largest user there is one of the users."""
    column = stored.schema_arrow.get_field_index("user_id")
    wanted = np.sort(users.to_numpy())
    found = []
    for group in range(stored.num_row_groups):
        bounds = stored.metadata.row_group(group).column(column).statistics
        if np.searchsorted(wanted, bounds.min) < np.searchsorted(wanted, bounds.max, side="right"):
            found.append(group)
    return found
