"""When a replay may drop its next file: after the interval, and when the stream is not too far behind."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import timedelta

from spark_apps.jobs.stream.incoming import names_taken
from spark_apps.platform.signals import Wait
from spark_apps.progress import notice
from spark_apps.storage import StoragePath
from spark_apps.streaming.drop_files import read_drop
from spark_apps.tables import BATCH_LOG, INCOMING
from spark_apps.telemetry.batch_log import read_record

_LOOK_AGAIN_SECONDS = 0.5


class Backlog:
    """Counts the dropped files that the stream has not applied, which are those without a record in its batch log."""

    def __init__(self, root: StoragePath) -> None:
        """Names the folder of the tables; nothing is read yet."""
        self._root, self._batch_log = root, root / BATCH_LOG
        self._read: set[str] = set()
        self._applied: set[str] = set()

    def count(self, enough: int) -> int:
        """Returns how many there are, or some number up to `enough` once it is sure that there are no more.

        The newest records are read first: what still stands in incoming was applied lately, so only the end of a long
        batch log is read while the stream keeps up.
        """
        dropped = dropped_names(self._root)
        self._applied &= dropped
        unread = sorted({path.name for path in self._batch_log.glob("*.json")} - self._read)
        while unread and len(dropped - self._applied) > enough:
            self._read.add(unread[-1])
            self._applied.add(read_record(self._batch_log / unread.pop()).file)
        return len(dropped - self._applied)


def dropped_names(root: StoragePath) -> set[str]:
    """Returns the names of the replay's files that the stream has not put away."""
    # in the order in which a file goes, so that none is missed on its way
    names = [path.name for path in (root / INCOMING).glob("*.csv")] + names_taken(root)
    return {name for name in names if read_drop(name) is not None}


class Pace:
    """Says when the next file may be dropped.

    Attributes:
        held_back: seconds for which files waited for the stream.
    """

    def __init__(
        self, interval: timedelta, backlog: Backlog, ahead: int, wait: Wait, show: Callable[[str], None]
    ) -> None:
        """Starts the clock; the first file may be dropped at once.

        Args:
            interval: from one drop to the next; 0 for none.
            backlog: what the stream has not applied.
            ahead: with more files than this in the backlog, the next one waits.
            wait: waits, or only looks, and says whether the replay was asked to end.
            show: is told what is waited for.
        """
        self.held_back = 0.0
        self._interval, self._backlog, self._ahead = interval.total_seconds(), backlog, ahead
        self._wait, self._show = wait, show
        self._due = time.monotonic()
        self._room = 0  # files that may be dropped before the backlog is counted again
        self._told = False

    def ended(self) -> bool:
        """Says whether the replay was asked to end."""
        return self._wait(0)

    def turn(self) -> bool:
        """Waits for the moment to drop a file; false when the replay was asked to end before."""
        if self._wait(self._due - time.monotonic()) or not self._stream_keeps_up():
            return False
        self._room -= 1
        # counted from when this drop was due, so that times do not drift; drops that were missed are not made up for
        self._due = max(self._due, time.monotonic() - self._interval) + self._interval
        return True

    def _stream_keeps_up(self) -> bool:
        if self._room > 0:
            return True
        began = time.monotonic()
        while (waiting := self._backlog.count(self._ahead)) > self._ahead:
            self._tell(waiting)
            ended = self._wait(_LOOK_AGAIN_SECONDS)  # neither a folder nor HDFS tells when a record is written
            self.held_back, began = self.held_back + time.monotonic() - began, time.monotonic()
            if ended:
                return False
        self._room = self._ahead + 1 - waiting
        return True

    def _tell(self, waiting: int) -> None:
        about = f"{waiting} dropped files wait for `shopstream stream`, more than {self._ahead} (--ahead)"
        self._show(f"held back: {about}")
        if not self._told:
            notice(f"Held back: {about}. The replay goes on when it has applied some.")
            self._told = True
