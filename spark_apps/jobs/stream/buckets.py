"""The stream's files of users' events and lists, cut into buckets: read and made anew inside tasks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from operator import itemgetter

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from spark_apps.features.units import EVENT_COLUMNS
from spark_apps.storage import StoragePath, for_another_thread, open_parquet, write_parts
from spark_apps.streaming.merging import Join, cut, merged
from spark_apps.streaming.state import StreamState
from spark_apps.streaming.user_update import FRESH, newest_profiles
from spark_apps.streaming.user_update import PROFILES as PROFILE_ROWS
from spark_apps.tables import HISTORY, PROFILES, base_file

# Rows of a base that are read or skipped together: those of some thousands of users, of whom a batch has some.
_ROWS_PER_GROUP = 32_768
# Rows that are in memory together while a base is read or made anew: some 10 MB, however large the base.
_ROWS_AT_ONCE = 2 * _ROWS_PER_GROUP
# columns of few values, which are read as numbers and decoded where a row is wanted
_FEW_VALUES = {HISTORY: ("category_code", "brand", "event_type"), PROFILES: ("segment",)}


def _sorted(parts: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(parts).sort_by("user_id")


_SCHEMAS = {HISTORY: EVENT_COLUMNS, PROFILES: PROFILE_ROWS}
# how rows of the same users that come from a base and from later batches become one table
_JOINS: dict[str, Join] = {HISTORY: _sorted, PROFILES: newest_profiles}


@dataclass(frozen=True)
class BucketFiles:
    """Where the files are, in a form that travels to tasks.

    Attributes:
        root: folder of the tables.
        buckets: how many there are.
    """

    root: StoragePath
    buckets: int

    def in_task(self) -> BucketFiles:
        """Returns the same files for one of several tasks of a process."""
        return BucketFiles(for_another_thread(self.root), self.buckets)

    def fresh(self, paths: Iterable[str], buckets: Sequence[int]) -> pa.Table:
        """Reads a batch's own events of some buckets: columns of FRESH, in their order.

        Args:
            paths: of its files, below the root.
            buckets: which.
        """
        parts = [part for path in paths for part in self._read(FRESH, path, buckets, None, _FEW_VALUES[HISTORY])]
        return pa.concat_tables([FRESH.empty_table(), *parts])

    def known(self, state: StreamState, buckets: Sequence[int], users: pa.Array) -> tuple[pa.Table, pa.Table]:
        """Reads what is known of some users.

        Args:
            state: before the batch.
            buckets: of the users.
            users: their ids.

        Returns:
            Former events, columns of EVENT_COLUMNS, and the newest profile of each, columns of user_update.PROFILES.
        """
        numbers = np.mod(users.to_numpy(), self.buckets)
        theirs = {bucket: users.filter(pa.array(numbers == bucket)) for bucket in buckets}
        history, profiles = (
            [
                part
                for bucket, some in theirs.items()
                if len(some)
                for part in (*self._base(kind, state, bucket, some), *self._newer(kind, state, bucket, some))
            ]
            for kind in (HISTORY, PROFILES)
        )
        return pa.concat_tables([EVENT_COLUMNS.empty_table(), *history]), newest_profiles([*profiles])

    def trained(self, below: str, batch: int, bucket: int) -> pa.Table:
        """Reads the profiles of a base of a bucket that was written below another place."""
        path = f"{below}{base_file(PROFILES, batch, bucket)}"
        parts = self._read(PROFILE_ROWS, path, [bucket], None, _FEW_VALUES[PROFILES])
        return pa.concat_tables([PROFILE_ROWS.empty_table(), *parts])

    def profiles(self, state: StreamState, bucket: int) -> pa.Table:
        """Reads the newest profile of each of a bucket's users."""
        return newest_profiles([*self._base(PROFILES, state, bucket), *self._newer(PROFILES, state, bucket)])

    def renew(self, kind: str, below: str, state: StreamState, bucket: int) -> None:
        """Writes a base of a bucket anew, with what the latest batches brought, a part of it at a time.

        Args:
            kind: HISTORY or PROFILES.
            below: see `paths.staged_below`.
            state: before the batch.
            bucket: which.
        """
        newer = pa.concat_tables([_SCHEMAS[kind].empty_table(), *self._newer(kind, state, bucket)])
        rows = cut(merged(self._base(kind, state, bucket), newer, _JOINS[kind]), _ROWS_AT_ONCE)
        self._write(kind, f"{below}{base_file(kind, state.next_batch, bucket)}", rows)

    def write_sorted(self, kind: str, below: str, batch: int, parts: Iterable[pa.Table]) -> list[int]:
        """Writes the bases of the buckets that some rows are of.

        Args:
            kind: HISTORY or PROFILES.
            below: see `paths.staged_below`.
            batch: the first one that they do not hold.
            parts: the rows, all of each bucket, sorted by bucket and user.

        Returns:
            The buckets.
        """
        written = []
        for bucket, runs in groupby(self._runs(parts), key=itemgetter(0)):
            rows = cut((run for _, run in runs), _ROWS_AT_ONCE)
            self._write(kind, f"{below}{base_file(kind, batch, bucket)}", rows)
            written.append(bucket)
        return written

    def _runs(self, parts: Iterable[pa.Table]) -> Iterator[tuple[int, pa.Table]]:
        """Cuts rows that are sorted by bucket where another one begins."""
        for part in parts:
            buckets = np.mod(part["user_id"].to_numpy(), self.buckets)
            starts = [0, *(np.flatnonzero(np.diff(buckets)) + 1).tolist(), len(part)]
            for start, end in pairwise(starts):
                if start < end:
                    yield int(buckets[start]), part.slice(start, end - start)

    def write(self, kind: str, below: str, batch: int, bucket: int, rows: pa.Table) -> None:
        """Writes a base of a bucket.

        Args:
            kind: HISTORY or PROFILES.
            below: see `paths.staged_below`.
            batch: the first one that it does not hold.
            bucket: which.
            rows: all of it, in any order.
        """
        parts = cut([rows.sort_by("user_id")], _ROWS_AT_ONCE)  # no row group of a bucket without a row
        self._write(kind, f"{below}{base_file(kind, batch, bucket)}", parts)

    def _write(self, kind: str, path: str, parts: Iterable[pa.Table]) -> None:
        """Writes a base; a second try of the same task replaces it."""
        schema = _SCHEMAS[kind]
        many_values = [name for name in schema.names if name not in _FEW_VALUES[kind]]
        write_parts(self.root / path, schema, parts, _ROWS_PER_GROUP, many_values, compression="lz4")

    def _base(self, kind: str, state: StreamState, bucket: int, users: pa.Array | None = None) -> Iterator[pa.Table]:
        """A bucket's base in parts, sorted by user; all of it, or the rows of some users."""
        path = base_file(kind, state.bases[bucket], bucket)
        return self._read(_SCHEMAS[kind], path, [bucket], users, _FEW_VALUES[kind])

    def _newer(self, kind: str, state: StreamState, bucket: int, users: pa.Array | None = None) -> Iterator[pa.Table]:
        """What a bucket's base does not hold yet, oldest first."""
        for batch in state.newer(bucket):
            for path in batch.events if kind == HISTORY else filter(None, [batch.users]):
                yield from self._read(_SCHEMAS[kind], path, [bucket], users, _FEW_VALUES[kind])

    def _read(
        self, schema: pa.Schema, path: str, buckets: Sequence[int], users: pa.Array | None, few_values: Sequence[str]
    ) -> Iterator[pa.Table]:
        """Reads rows of some buckets a part at a time: of most parts few rows are wanted."""
        stored = open_parquet(self.root / path, few_values)
        groups = list(range(stored.num_row_groups)) if users is None else _groups_of(stored, users)
        # without groups Arrow reads all of them
        parts = stored.iter_batches(_ROWS_AT_ONCE, groups, schema.names, use_threads=False) if groups else ()
        for part in parts:
            ids = part.column("user_id")
            wanted = pc.is_in(ids, value_set=users) if users is not None else self._inside(buckets, ids)
            found = pa.Table.from_batches([part]).filter(wanted)
            if len(found):
                yield found.select(schema.names).cast(schema)

    def _inside(self, buckets: Sequence[int], users: pa.Array) -> pa.Array:
        return pa.array(np.isin(np.mod(users.to_numpy(), self.buckets), buckets))


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
