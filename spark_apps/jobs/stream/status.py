"""`shopstream stream status`: how far the stream is, by what stands below the root."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timezone

from spark_apps.jobs.stream.places import STATE, read_state
from spark_apps.metrics.ledger import Ledger
from spark_apps.metrics.sender import SinkStatus, describe_status
from spark_apps.storage import StoragePath
from spark_apps.streaming.drops import INCOMING, read_drop
from spark_apps.streaming.records import BatchRecord

# Records that are read for sums.
_LATEST = 100


@dataclass(frozen=True)
class StreamStatus:
    """How far the stream is.

    Attributes:
        batches: applied so far.
        waiting: files dropped and not applied.
        waiting_seconds: since the oldest of them was dropped; None without one.
        looked_at: latest batches that the next four are of.
        clean, quarantined, late, ahead: rows.
        state_bytes, state_files: of what the stream keeps between batches.
        last: the last batch.
        sinks: how far the points are.
    """

    batches: int
    waiting: int
    waiting_seconds: float | None
    looked_at: int
    clean: int
    quarantined: int
    late: int
    ahead: int
    state_bytes: int
    state_files: int
    last: BatchRecord | None
    sinks: list[SinkStatus]


@dataclass(frozen=True)
class Waiting:
    """Files dropped and not applied, and the seconds since the oldest was dropped; None without one."""

    files: int
    seconds: float | None


def read_waiting(root: StoragePath, applied: Collection[str]) -> Waiting:
    """Looks for files that wait.

    Args:
        root: of the stream.
        applied: names of files that were applied and may still stand there.
    """
    waiting = sorted(path.name for path in (root / INCOMING).glob("*.csv") if path.name not in applied)
    dropped = [drop.dropped_at for drop in map(read_drop, waiting) if drop is not None]
    seconds = (datetime.now(timezone.utc) - min(dropped)).total_seconds() if dropped else None
    return Waiting(len(waiting), seconds)


def read_status(root: StoragePath) -> StreamStatus:
    """Reads how far the stream under a root is; it need not run."""
    state, ledger = read_state(root), Ledger(root)
    batches = state.next_batch if state else 0
    read = [ledger.record(batch) for batch in range(max(0, batches - _LATEST), batches)]
    latest = [record for record in read if record is not None]
    waiting = read_waiting(root, state.files if state else {})
    files = [path.stat().st_size for path in (root / STATE).rglob("*") if path.is_file()]
    return StreamStatus(
        batches=batches,
        waiting=waiting.files,
        waiting_seconds=waiting.seconds,
        looked_at=len(latest),
        clean=sum(record.clean for record in latest),
        quarantined=sum(sum(record.quarantined.values()) for record in latest),
        late=sum(record.late for record in latest),
        ahead=sum(record.ahead for record in latest),
        state_bytes=sum(files),
        state_files=len(files),
        last=latest[-1] if latest else None,
        sinks=describe_status(root),
    )
