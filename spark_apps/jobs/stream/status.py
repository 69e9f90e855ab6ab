"""`shopstream stream status`: how far the stream is, by what stands below the root."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone

from spark_apps.jobs.stream.incoming import names_taken
from spark_apps.jobs.stream.state_store import StateStore
from spark_apps.storage import Entry, StoragePath, entries
from spark_apps.streaming.intake import in_turn, moment_of, shown, why_left
from spark_apps.streaming.records import BatchRecord, Reason
from spark_apps.tables import INCOMING, STREAM_STATE
from spark_apps.telemetry.batch_log import BatchLog
from spark_apps.telemetry.sender import SinkStatus, describe_status

# Records that are read for sums.
_LATEST = 100
_AT_WORK, _IN_TURN = "it was taken: a stream that runs applies it, or the next start", "it waits its turn"


@dataclass(frozen=True)
class Undone:
    """Something dropped that is not applied, and why; `for_stream` where the stream will take it."""

    name: str
    why: str
    for_stream: bool


@dataclass(frozen=True)
class Refused:
    """A file of the latest batches that was refused; the reason is None in records of earlier versions."""

    batch: int
    file: str
    reason: Reason | None


@dataclass(frozen=True)
class StreamStatus:
    """How far the stream is.

    Attributes:
        batches: applied so far.
        waiting: files dropped and not applied.
        incoming: these in their turn, and after them whatever else stands there, each with the reason.
        waiting_seconds: since the oldest of them was dropped; None without one.
        looked_at: latest batches that the next four are of.
        clean, quarantined, late, ahead: rows.
        refused: files of them.
        state_bytes, state_files: of what the stream keeps between batches.
        last: the last batch.
        sinks: how far the points are.
    """

    batches: int
    waiting: int
    waiting_seconds: float | None
    incoming: list[Undone]
    looked_at: int
    clean: int
    quarantined: int
    late: int
    ahead: int
    refused: list[Refused]
    state_bytes: int
    state_files: int
    last: BatchRecord | None
    sinks: list[SinkStatus]


@dataclass(frozen=True)
class Waiting:
    """Files dropped and not applied, and the seconds since the oldest was dropped; None without one."""

    files: int
    seconds: float | None


def read_waiting(root: StoragePath, batches: int) -> Waiting:
    """Looks for files that wait.

    Args:
        root: of the stream.
        batches: how many the state says are applied; a file taken for one of them waits no more.
    """
    waiting, taken = in_turn(_entries(root)), names_taken(root, batches)
    dropped = [moment_of(one.name, one.modified) for one in waiting]
    seconds = (datetime.now(timezone.utc) - min(dropped)).total_seconds() if dropped else None
    return Waiting(len(waiting) + len(taken), seconds)


def read_incoming(root: StoragePath, batches: int) -> list[Undone]:
    """Says of everything that was dropped and not applied why: see `read_waiting`."""
    found = _entries(root)
    others = sorted((entry for entry in found if why_left(entry) is not None), key=lambda entry: entry.name)
    return [
        *(Undone(name, _AT_WORK, True) for name in names_taken(root, batches)),
        *(Undone(shown(entry.name), _IN_TURN, True) for entry in in_turn(found)),
        *(Undone(shown(entry.name), why_left(entry) or "", False) for entry in others),
    ]


def _entries(root: StoragePath) -> list[Entry]:
    with suppress(FileNotFoundError):  # nothing was dropped under this root yet
        return entries(root / INCOMING)
    return []


def read_status(root: StoragePath) -> StreamStatus:
    """Reads how far the stream under a root is; it need not run."""
    state, batch_log = StateStore(root).read(), BatchLog(root)
    batches = state.next_batch if state else 0
    read = [batch_log.record(batch) for batch in range(max(0, batches - _LATEST), batches)]
    latest = [record for record in read if record is not None]
    waiting = read_waiting(root, batches)
    files = [path.stat().st_size for path in (root / STREAM_STATE).rglob("*") if path.is_file()]
    return StreamStatus(
        batches=batches,
        waiting=waiting.files,
        waiting_seconds=waiting.seconds,
        incoming=read_incoming(root, batches),
        looked_at=len(latest),
        clean=sum(record.clean for record in latest),
        quarantined=sum(sum(record.quarantined.values()) for record in latest),
        late=sum(record.late for record in latest),
        ahead=sum(record.ahead for record in latest),
        refused=[Refused(one.batch, one.file, one.reason) for one in latest if one.outcome == "refused"],
        state_bytes=sum(files),
        state_files=len(files),
        last=latest[-1] if latest else None,
        sinks=describe_status(root),
    )
