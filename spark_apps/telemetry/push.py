"""Sends a sink what it lacks: the batch log's batches, and line-protocol files of batches without a record."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from spark_apps.errors import NothingToDoError
from spark_apps.storage import StoragePath
from spark_apps.tables import LINE_PROTOCOL
from spark_apps.telemetry.batch_log import BatchLog
from spark_apps.telemetry.sender import Delivery
from spark_apps.telemetry.sinks import FileSink, Sink

_FILE = re.compile(r"batch-(\d{8})\.lp")


@dataclass(frozen=True)
class Pushed:
    """What was sent.

    Attributes:
        sink: where to.
        batches: of the batch log, sent now.
        files: line-protocol files without a record, sent now.
        points: in all of these.
        expired: of which InfluxDB would not take, because they are older than its bucket keeps.
        last: number of the last batch that the sink has, None without one.
    """

    sink: str
    batches: int
    files: int
    points: int
    expired: int
    last: int | None


class Push:
    """One sending of all that waits. When it is cut short, the next one goes on from there."""

    def __init__(self, root: StoragePath, sink: Sink, again: bool = False) -> None:
        """Looks what waits.

        Args:
            root: folder of the tables.
            sink: where to.
            again: everything anew, whatever was sent before.

        Raises:
            NothingToDoError: when there is neither a batch log nor a file.
        """
        numbers = BatchLog(root).numbers()
        self._sink, self._delivery = sink, Delivery(root, sink, again)
        # a sink of files needs none of its own
        self._files = [] if isinstance(sink, FileSink) else _files_without_record(root, set(numbers))
        if not numbers and not self._files:
            raise NothingToDoError("There are no points yet: run `shopstream stream` first (with the same --root).")
        self._fingerprint = _fingerprint(self._files)
        if self._fingerprint == self._delivery.sent.files:
            self._files = []
        self._before, self._files_sent = self._delivery.sent, 0
        self.total = sum(number > self._before.batch for number in numbers) + len(self._files)

    def steps(self) -> Iterator[int]:
        """Sends, and yields the number of batches and files sent so far after each.

        Raises:
            UserError: when the sink does not take the points.
        """
        with closing(self._delivery):
            done = 0
            while self._delivery.step():
                done += 1
                yield done
            if self._files:
                yield from (done + sent for sent in self._send_files())

    def outcome(self) -> Pushed:
        """Returns what was sent."""
        before, now = self._before, self._delivery.sent
        return Pushed(
            sink=self._sink.name,
            batches=now.batches - before.batches,
            files=self._files_sent,
            points=now.points - before.points,
            expired=now.expired - before.expired,
            last=now.batch if now.batch >= 0 else None,
        )

    def _send_files(self) -> Iterator[int]:
        """Sends the files; they are noted together, so that the marker stays small."""
        points = expired = 0
        for path in self._files:
            lines = path.read_bytes()
            expired += self._sink.write(_number(path), lines)
            points += lines.count(b"\n")
            self._files_sent += 1
            yield self._files_sent
        self._delivery.note_files(self._fingerprint, points, expired)


def _files_without_record(root: StoragePath, numbers: set[int]) -> list[StoragePath]:
    """Line-protocol files, at most as many as are kept, whose points the batch log does not give."""
    found = (path for path in (root / LINE_PROTOCOL).glob("batch-*.lp") if _FILE.fullmatch(path.name))
    return sorted((path for path in found if _number(path) not in numbers), key=lambda path: path.name)


def _number(path: StoragePath) -> int:
    match = _FILE.fullmatch(path.name)
    assert match is not None
    return int(match[1])


def _fingerprint(files: list[StoragePath]) -> str | None:
    """What tells these files from others, and from themselves when they were changed; None for no file."""
    stats = [(path.name, path.stat()) for path in files]
    reported = [f"{name} {stat.st_size} {stat.st_mtime}" for name, stat in stats]
    return hashlib.sha256("\n".join(reported).encode()).hexdigest() if reported else None
