"""The stream's files of users' events and lists, cut into buckets: read and made anew inside Spark's tasks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from spark_apps.features.gathering import NEEDED
from spark_apps.jobs.stream.places import HISTORY, base_file
from spark_apps.jobs.stream.places import PROFILES as PROFILES_KIND
from spark_apps.settings import Settings
from spark_apps.storage import StoragePath, open_parquet, root_path, write_parquet
from spark_apps.streaming.learning import PROFILES, newest_profiles
from spark_apps.streaming.state import StreamState

# Rows of a base that are read or skipped together: those of some hundreds of users.
_ROWS_PER_GROUP = 8192


@dataclass(frozen=True)
class BucketFiles:
    """Where the files are, in a form that travels to tasks.

    Attributes:
        root, webhdfs, user, copies: of the settings.
        buckets: how many there are.
    """

    root: str
    webhdfs: str | None
    user: str | None
    copies: int | None
    buckets: int

    @classmethod
    def of(cls, root: StoragePath, settings: Settings, buckets: int) -> BucketFiles:
        """Takes what is needed to find the root again."""
        return cls(str(root), settings.webhdfs, settings.hdfs_user, settings.replication, buckets)

    def known(self, state: StreamState, bucket: int, users: pa.Array | None) -> tuple[pa.Table, pa.Table]:
        """Reads what is known of a bucket's users.

        Args:
            state: before the batch.
            bucket: which.
            users: ids of those wanted; None for all.

        Returns:
            Former events, columns of NEEDED, and the newest profile of each, columns of PROFILES.
        """
        recent, held = state.newer(bucket), state.bases[bucket]
        events = [base_file(HISTORY, held, bucket), *(path for batch in recent for path in batch.events)]
        seen = [base_file(PROFILES_KIND, held, bucket), *(batch.users for batch in recent if batch.users)]
        history = pa.concat_tables([self._rows(path, NEEDED, bucket, users) for path in events])
        return history, newest_profiles([self._rows(path, PROFILES, bucket, users) for path in seen])

    def write_bases(self, below: str, batch: int, bucket: int, history: pa.Table, profiles: pa.Table) -> None:
        """Writes both bases of a bucket, made anew.

        Args:
            below: see `places.staged_below`.
            batch: the first one that they do not hold.
            bucket: which.
            history: all its former events.
            profiles: all its users.
        """
        for kind, rows in ((HISTORY, history), (PROFILES_KIND, profiles)):
            self.write(f"{below}{base_file(kind, batch, bucket)}", rows)

    def write(self, path: str, rows: pa.Table) -> None:
        """Writes a base, sorted by user; a second try of the same task replaces it."""
        write_parquet(self._place(path), rows.sort_by("user_id"), _ROWS_PER_GROUP)

    def _place(self, path: str) -> StoragePath:
        return root_path(self.root, self.webhdfs, self.user, self.copies) / path

    def _rows(self, path: str, schema: pa.Schema, bucket: int, users: pa.Array | None) -> pa.Table:
        stored = open_parquet(self._place(path))
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
