"""Sends the batch log's points to a sink, in order and beside the stream, and resumes after a restart (SPEC I1).

The batch log is the source of truth; the sink gets what it lacks. A batch may be sent twice, when the process is
killed before it notes that it was sent; its points are the same, at the same time: they replace themselves.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timezone

from spark_apps.errors import UserError
from spark_apps.platform.retry import keep_trying
from spark_apps.storage import StoragePath, for_another_thread
from spark_apps.streaming.records import BatchRecord
from spark_apps.telemetry.batch_log import BatchLog
from spark_apps.telemetry.delivery_offset import DeliveryOffset, Sent
from spark_apps.telemetry.hours import HourSums, sums_before
from spark_apps.telemetry.points import lines_of, points_of
from spark_apps.telemetry.sinks import Sink

_POLL_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 10.0
_MARK_SECONDS = 1.0
# A number may be missing, if somebody removed a record: then the whole batch log is searched, but not at each poll.
_LOOK_SECONDS = 30.0


@dataclass(frozen=True)
class SinkStatus:
    """How far a sink is.

    Attributes:
        sink: its name.
        last: number of the last batch that it has, None before the first.
        waiting: batches of the batch log after it.
        moment: when the last was sent, UTC.
        expired: points that it would not take because they were too old.
        error: why the next batch could not be sent when it was tried last; None when nothing stands in the way.
    """

    sink: str
    last: int | None
    waiting: int
    moment: datetime | None
    expired: int
    error: str | None


def describe_status(root: StoragePath) -> list[SinkStatus]:
    """Returns how far every sink is that ever was sent something, by what stands below the root."""
    batch_log = BatchLog(root)
    return [
        _status(name, _still_valid(sent, batch_log), batch_log) for name, sent in DeliveryOffset(root).all().items()
    ]


class Delivery:
    """Sends a batch log's batches to a sink, one at a time."""

    def __init__(self, root: StoragePath, sink: Sink, again: bool = False) -> None:
        """Names what is sent where; nothing is read or sent yet.

        Args:
            root: folder of the tables.
            sink: where to.
            again: from the first batch on, whatever was sent before.
        """
        self._batch_log, self._offset, self._sink, self._again = BatchLog(root), DeliveryOffset(root), sink, again
        self._hour: HourSums | None = None  # of all before the next batch
        self._known: Sent | None = None
        self._noted: Sent | None = None
        self._next_mark = self._next_look = 0.0

    @property
    def sent(self) -> Sent:
        """What the sink has."""
        if self._known is None:
            self._noted = self._offset.read(self._sink.name)
            self._known = Sent() if self._again else _still_valid(self._noted, self._batch_log)
            if self._known != self._noted:
                self._mark(self._known)
        return self._known

    def step(self) -> bool:
        """Sends the next batch; false when none waits.

        Raises:
            UserError: when the sink did not take it; the next call tries it again.
        """
        try:
            return self._send_next()
        except UserError as error:
            self._mark(self.sent.model_copy(update={"error": str(error)}))
            raise

    def note_files(self, fingerprint: str | None, points: int, expired: int) -> None:
        """Notes that line-protocol files without a record were sent.

        Args:
            fingerprint: of these files.
            points: in them.
            expired: of which the sink would not take.
        """
        sums = {"points": self.sent.points + points, "expired": self.sent.expired + expired}
        self._mark(self.sent.model_copy(update={"files": fingerprint, **sums}))

    def close(self) -> None:
        """Notes how far it came, and closes the sink."""
        if self._known is not None:
            self._mark(self._known)
        self._sink.close()

    def _send_next(self) -> bool:
        record = self._next()
        if record is None:
            self._mark(self.sent)
            return False
        if self._hour is None:
            self._hour = sums_before(self._batch_log, record.batch)
        points = [*self._hour.ended_by(record), *points_of(record)]
        expired = self._sink.write(record.batch, lines_of(points))
        self._hour.add(record)
        self._next_look = 0.0
        self._known = self.sent.model_copy(
            update={
                "batch": record.batch,
                "file": record.file,
                "batches": self.sent.batches + 1,
                "points": self.sent.points + len(points),
                "expired": self.sent.expired + expired,
                "moment": datetime.now(timezone.utc),
                "error": None,
            }
        )
        if time.monotonic() >= self._next_mark:
            self._mark(self._known)
        return True

    def _next(self) -> BatchRecord | None:
        number = self.sent.batch + 1
        record = self._batch_log.record(number)
        if record is not None or time.monotonic() < self._next_look:
            return record
        self._next_look = time.monotonic() + _LOOK_SECONDS
        later = self._batch_log.numbers(number)
        # a record that came while the folder was listed goes first
        return self._batch_log.record(number) or (self._batch_log.record(later[0]) if later else None)

    def _mark(self, sent: Sent) -> None:
        self._known = sent
        if sent != self._noted:
            self._offset.write(self._sink.name, sent)
            self._noted = sent
        self._next_mark = time.monotonic() + _MARK_SECONDS


class Sender:
    """A thread that sends what the batch log gets, for as long as the stream runs; the stream never waits for it."""

    def __init__(self, root: StoragePath, sink: Sink) -> None:
        """Names what is sent where; nothing happens before `start`.

        Args:
            root: folder of the tables.
            sink: where to; it is the thread's alone from now on.
        """
        self._root, self._sink_name = root, sink.name
        self._delivery = Delivery(for_another_thread(root), sink)
        self._thread = threading.Thread(target=self._run, name="metrics-sender", daemon=True)
        self._wake, self._stopping = threading.Event(), threading.Event()
        self._give_up_at = float("inf")
        self._sent: Sent | None = None
        self._error: str | None = None

    def start(self) -> None:
        """Begins to send."""
        self._thread.start()

    def wake(self) -> None:
        """Says that the batch log has a new record; without it the sender finds it within a second."""
        self._wake.set()

    def stop(self, deadline: float) -> SinkStatus:
        """Sends what waits, and ends: when all is sent, when the sink does not take it, or when time is up.

        What was not sent then is sent by the next sender or by `metrics push`.

        Args:
            deadline: seconds that it may take.
        """
        self._give_up_at = time.monotonic() + deadline
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:  # it was started
            self._thread.join(deadline)
        return self.status()

    def status(self) -> SinkStatus:
        """Returns how far it is; it lists the batch log, so it is for now and then."""
        batch_log = BatchLog(self._root)
        sent = self._sent or _still_valid(DeliveryOffset(self._root).read(self._sink_name), batch_log)
        return _status(self._sink_name, sent.model_copy(update={"error": self._error}), batch_log)

    def _run(self) -> None:
        while True:
            ending = self._stopping.is_set()
            more = self._send_next()
            if ending and (not more or time.monotonic() >= self._give_up_at):
                break
            if not more:
                self._wake.wait(_POLL_SECONDS)
                self._wake.clear()
        self._close()

    def _send_next(self) -> bool:
        """Sends one batch, which is tried again until it is sent or the stream ends; says whether another may wait."""
        with suppress(Exception):  # of any kind: it was noted, and `status` reports it
            return keep_trying(
                self._step,
                lambda error: isinstance(error, Exception),
                lambda: 0.0 if self._stopping.is_set() else float("inf"),
                _LONGEST_PAUSE_SECONDS,
                sleep=self._stopping.wait,
            )
        return False

    def _step(self) -> bool:
        try:
            more = self._delivery.step()
        except Exception as error:
            self._error = _sentence(error)
            raise
        self._error, self._sent = None, self._delivery.sent
        return more

    def _close(self) -> None:
        try:
            self._delivery.close()
        except Exception as error:  # what could not be noted is sent again by the next sender
            self._error = _sentence(error)


def _still_valid(sent: Sent, batch_log: BatchLog) -> Sent:
    """What a sink has of this batch log: nothing, if what was sent is of another one that was there before it."""
    if sent.batch < 0:
        return sent
    record = batch_log.record(sent.batch)
    return sent if record is not None and record.file == sent.file else Sent()


def _status(name: str, sent: Sent, batch_log: BatchLog) -> SinkStatus:
    last = sent.batch if sent.batch >= 0 else None
    return SinkStatus(name, last, len(batch_log.numbers(sent.batch)), sent.moment, sent.expired, sent.error)


def _sentence(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text.splitlines()[0][:300]}"
