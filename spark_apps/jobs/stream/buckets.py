"""The stream's files of users' events and lists, cut into buckets: read and made anew inside Spark's tasks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from spark_apps.jobs.stream.places import write_file
from spark_apps.settings import Settings
from spark_apps.storage import StoragePath, root_path
from spark_apps.streaming.learning import NEEDED, PROFILES, newest_profiles
from spark_apps.streaming.state import RecentBatch

# Rows of a base that are read or skipped together: those of some hundreds of users.
_ROWS_PER_GROUP = 8192


@dataclass(frozen=True)
class BucketFiles:
    """Where the files are, in a form that travels to tasks.

    Attributes:
        root, webhdfs, user: of the settings.
        buckets: how many there are.
    """

    root: str
    webhdfs: str | None
    user: str | None
    buckets: int

    @classmethod
    def of(cls, root: StoragePath, settings: Settings, buckets: int) -> BucketFiles:
        """Takes what is needed to find the root again."""
        return cls(str(root), settings.webhdfs, settings.hdfs_user, buckets)

    def history(self, base: str, recent: tuple[RecentBatch, ...], bucket: int, users: pa.Array | None) -> pa.Table:
        """Returns former events of a bucket: of some users, or of all where `users` is None; columns of NEEDED."""
        files = [path for batch in recent for path in batch.events]
        return pa.concat_tables([self._rows(path, NEEDED, bucket, users) for path in (base, *files)])

    def profiles(self, base: str, recent: tuple[RecentBatch, ...], bucket: int, users: pa.Array | None) -> pa.Table:
        """Returns what is known of a bucket's users, the newest row of each; columns of PROFILES."""
        files = [batch.users for batch in recent if batch.users]
        return newest_profiles([self._rows(path, PROFILES, bucket, users) for path in (base, *files)])

    def write(self, path: str, rows: pa.Table) -> None:
        """Writes a base, sorted by user; a second try of the same task replaces it."""
        write_file(self.place(path), rows.sort_by("user_id"), _ROWS_PER_GROUP)

    def place(self, path: str) -> StoragePath:
        """Returns a path below the root."""
        return root_path(self.root, self.webhdfs, self.user) / path

    def _rows(self, path: str, schema: pa.Schema, bucket: int, users: pa.Array | None) -> pa.Table:
        stored = pq.ParquetFile(pa.BufferReader(self.place(path).read_bytes()))
        groups = range(stored.num_row_groups) if users is None else _groups_of(stored, users)
        rows = stored.read_row_groups(list(groups), columns=schema.names, use_threads=False)
        if users is not None:
            rows = rows.filter(pc.is_in(rows["user_id"], value_set=users))
        else:
            rows = rows.filter(pa.array(np.mod(rows["user_id"].to_numpy(), self.buckets) == bucket))
        return rows.select(schema.names).cast(schema)


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
