"""What `shopstream watch` looks at: the latest batches of the batch log, and the files that wait."""

from __future__ import annotations

from dataclasses import dataclass

from spark_apps.jobs.stream.state_store import StateStore
from spark_apps.jobs.stream.status import Waiting, read_waiting
from spark_apps.storage import StoragePath
from spark_apps.streaming.records import BatchRecord
from spark_apps.telemetry.batch_log import BatchLog

# The batches that are shown as one: ten minutes of them at one every 10 s.
LATEST = 60


@dataclass(frozen=True)
class Seen:
    """The newest batches, oldest first, and the files that wait to become the next ones."""

    records: list[BatchRecord]
    waiting: Waiting


class Watcher:
    """Looks at a root's stream again and again; a record is read once, for it never changes."""

    def __init__(self, root: StoragePath) -> None:
        """Names the root, under which a stream need not have run yet."""
        self._root, self._batch_log = root, BatchLog(root)
        self._read: dict[int, BatchRecord] = {}

    def look(self) -> Seen:
        """Reads what is new."""
        state = StateStore(self._root).read()
        batches = state.next_batch if state else 0
        wanted = range(max(0, batches - LATEST), batches)
        found = {batch: self._read.get(batch) or self._batch_log.record(batch) for batch in wanted}
        self._read = {batch: record for batch, record in found.items() if record is not None}
        return Seen(list(self._read.values()), read_waiting(self._root, batches))
