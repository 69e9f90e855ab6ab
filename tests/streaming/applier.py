"""What takes, judges and publishes dropped files as the stream does, and learns nothing from them."""

from __future__ import annotations

from spark_apps.jobs.stream.incoming import Incoming
from spark_apps.jobs.stream.state_store import StateStore
from spark_apps.storage import StoragePath
from spark_apps.streaming.intake import Dropped, judge
from spark_apps.streaming.records import BatchRecord
from spark_apps.tables import DONE, INCOMING, REFUSED, TAKEN
from spark_apps.telemetry.batch_log import BatchLog
from tests.factory import HEADER

FOLDERS = (INCOMING, TAKEN, DONE, REFUSED)


class Applier:
    """A stream without Spark; it goes on where the batch log under its root ends."""

    def __init__(self, root: StoragePath) -> None:
        self.root, self.incoming, self.store = root, Incoming(root), StateStore(root)
        for folder in FOLDERS:
            (root / folder).mkdir(parents=True, exist_ok=True)
        self.store.ensure_contents()

    def take(self) -> Dropped | None:
        return self.incoming.take(self.next_batch())

    def next_batch(self) -> int:
        return len(BatchLog(self.root).numbers())

    def publish(self, file: Dropped) -> BatchRecord:
        content = file.content
        known = content is not None and self.store.batch_of(content.sha256) is not None
        outcome, reason = judge(file, known)
        record = BatchRecord(
            batch=self.next_batch(),
            file=file.name,
            sequence=file.sequence,
            sha256=content.sha256 if content else "",
            bytes=content.bytes if content else 0,
            dropped_at=file.dropped_at,
            committed_at=file.dropped_at,
            outcome=outcome,
            reason=reason,
        )
        with self.store.change(record.batch) as change:
            change.stage_record(record)
            change.transaction.commit()
        return record

    def apply_next(self) -> BatchRecord | None:
        file = self.take()
        if file is None:
            return None
        record = self.publish(file)
        self.incoming.put_away(record)
        return record

    def drain(self) -> list[BatchRecord]:
        return list(iter(self.apply_next, None))


def log_of(*lines: str) -> bytes:
    """An event log of some lines."""
    return "\n".join([HEADER, *lines, ""]).encode()


def outcomes(records: list[BatchRecord]) -> list[tuple[str, str, str | None]]:
    """Name, outcome and reason of each record."""
    return [(one.file, one.outcome, one.reason) for one in records]
