"""What takes, judges and publishes dropped files as the stream does, and learns nothing from them."""

from __future__ import annotations

from spark_apps.jobs.stream.contents import batch_of, ensure_contents, stage_content
from spark_apps.jobs.stream.incoming import Incoming
from spark_apps.storage import StoragePath, write_durably
from spark_apps.storage.transaction import Transaction
from spark_apps.streaming.intake import Dropped, judge
from spark_apps.streaming.records import BatchRecord
from spark_apps.tables import DONE, INCOMING, REFUSED, TAKEN, batch_log_path
from spark_apps.telemetry.batch_log import BatchLog
from tests.factory import HEADER

FOLDERS = (INCOMING, TAKEN, DONE, REFUSED)


class Applier:
    """A stream without Spark; it goes on where the batch log under its root ends."""

    def __init__(self, root: StoragePath) -> None:
        self.root, self.incoming = root, Incoming(root)
        for folder in FOLDERS:
            (root / folder).mkdir(parents=True, exist_ok=True)
        ensure_contents(root)

    def take(self) -> Dropped | None:
        return self.incoming.take(self.next_batch())

    def next_batch(self) -> int:
        return len(BatchLog(self.root).numbers())

    def publish(self, file: Dropped) -> BatchRecord:
        content = file.content
        known = content is not None and batch_of(self.root, content.sha256) is not None
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
        with Transaction(self.root, ["processed"]) as transaction:
            path = batch_log_path(record.batch)
            write_durably(transaction.stage(path), record.model_dump_json())
            transaction.replace(path)
            if outcome == "applied":
                stage_content(transaction, self.root, record.sha256, record.batch)
            transaction.commit()
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
