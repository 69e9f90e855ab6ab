"""The stream at work: one dropped file a batch, each applied once, until it is told to stop (SPEC T2).

On one machine a loop looks for files. On a cluster Structured Streaming runs the batches: whenever a file waits, a
trigger is written where the query's source looks, and `foreachBatch` takes the file. Both do the same for a file, and
neither decides which one is new: Spark's checkpoint knows triggers only, and is made anew at each start.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

from filelock import Timeout
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException, StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from spark_apps.errors import BusyRootError, UserError, from_java_error, from_os_error
from spark_apps.jobs.stream.batch import BatchProcessor
from spark_apps.jobs.stream.contents import ensure_contents
from spark_apps.jobs.stream.incoming import TRIED_AGAIN_SECONDS, Incoming, names_taken
from spark_apps.jobs.stream.places import STATE, read_state
from spark_apps.jobs.stream.preparation import prepare
from spark_apps.publication import settle
from spark_apps.settings import Settings
from spark_apps.storage import StoragePath, for_another_thread, lock_at, write_durably
from spark_apps.streaming.drops import CHECKPOINT, DONE, INCOMING, REFUSED, STREAM, TAKEN, TRIGGERS
from spark_apps.streaming.intake import Dropped
from spark_apps.streaming.records import BatchRecord
from spark_apps.tables import STREAM_TABLES
from spark_apps.workspace import discard

# neither a folder nor HDFS tells that a file was dropped
_LOOK_SECONDS = 0.5
_TRIGGER = "500 milliseconds"
_TRIGGERS_AHEAD = 2

Report = Callable[[BatchRecord], None]


@dataclass(frozen=True)
class Wishes:
    """When the stream ends by itself: when all files that are there are read, or after so many."""

    once: bool = False
    stop_after: int | None = None


def run(spark: SparkSession, settings: Settings, root: StoragePath, wishes: Wishes, report: Report) -> int:
    """Applies dropped files until it is told to stop, by a signal or by the wishes.

    A batch that has begun is finished first.

    Args:
        spark: the session.
        settings: the run's; the master says whether Structured Streaming runs the batches.
        root: folder of the tables and models.
        wishes: when to end without a signal.
        report: is told each batch, after it was published.

    Returns:
        Files that were applied or refused.

    Raises:
        BusyRootError: when another stream works under this root.
        MissingModelError: when nothing was trained yet.
    """
    settle(root)
    for folder in (INCOMING, TAKEN, DONE, REFUSED, STATE, *(table.path for table in STREAM_TABLES)):
        (root / folder).mkdir(parents=True, exist_ok=True)
    with _alone(root):
        state = read_state(root) or prepare(spark, settings, root)
        ensure_contents(root)
        for folder in (CHECKPOINT, TRIGGERS):
            discard(root / folder)
        stream = _Stream(BatchProcessor(spark, settings, root, state), Incoming(root), wishes, report)
        with _signals(stream.stopping.set):
            if settings.master.startswith("local"):
                _loop(stream)
            else:
                _structured(spark, root, stream)
    return stream.batches


class _Stream:
    """Takes files one after the other, and knows whether there shall be another one."""

    def __init__(self, processor: BatchProcessor, incoming: Incoming, wishes: Wishes, report: Report) -> None:
        self._processor, self._incoming, self._wishes, self._report = processor, incoming, wishes, report
        self._names = {entry.name for entry in incoming.waiting()} if wishes.once else None
        self.batches = 0
        self.stopping = threading.Event()

    def apply_next(self) -> bool:
        """Takes a file, applies it, and puts it away; false when there is none."""
        file = self._incoming.take(self._processor.state.next_batch, self._names)
        if file is None:
            return False
        record = self._applied(file)
        self._incoming.put_away(record)
        self.batches += 1
        self._report(record)
        if self.batches == self._wishes.stop_after:
            self.stopping.set()
        return True

    def is_over(self) -> bool:
        """Says, when nothing is left to take, whether more is waited for."""
        return self._names is not None

    def _applied(self, file: Dropped) -> BatchRecord:
        batch = self._processor.state.next_batch
        try:
            return self._processor.apply(file)
        except Exception as error:
            if _may_be_the_files(error):
                self._incoming.count_fault(batch)
            raise


def _may_be_the_files(error: Exception) -> bool:
    """Whether a fault may come from what the file holds: not if user, disk, HDFS or another command is to blame."""
    if isinstance(error, PySparkException | Py4JError):
        return from_java_error(str(error), "") is None
    if isinstance(error, OSError):
        return from_os_error(error, "") is None
    return not isinstance(error, UserError)


def _loop(stream: _Stream) -> None:
    while not stream.stopping.is_set():
        if not stream.apply_next():
            if stream.is_over():
                return
            stream.stopping.wait(_LOOK_SECONDS)


def _structured(spark: SparkSession, root: StoragePath, stream: _Stream) -> None:
    triggers = _Triggers(stream)
    query = _start(spark, root, triggers.handle)
    announcer = _Announcer(for_another_thread(root), triggers)  # batches are run by another thread
    try:
        while not query.awaitTermination(_LOOK_SECONDS):  # type: ignore[arg-type]  # it takes parts of seconds
            over = stream.stopping.is_set() or (triggers.idle and stream.is_over())
            if not over:
                over = not announcer.look() and stream.is_over()
            if over and not triggers.under_way():
                query.stop()
                return
    except StreamingQueryException as error:
        raise triggers.failure or error from error


class _Triggers:
    """The triggers that were written, and what the query made of them."""

    def __init__(self, stream: _Stream) -> None:
        self._stream, self._announced, self._handled = stream, 0, 0
        self.failure: Exception | None = None
        # whether the last one found no file
        self.idle = False

    def announce(self) -> int:
        """Counts a trigger and returns its number."""
        self._announced += 1
        return self._announced

    def under_way(self) -> int:
        """Returns how many were announced and not handled; without one, no batch is at work."""
        return self._announced - self._handled

    def handle(self, triggers: DataFrame, number: int) -> None:
        """Applies one file for each trigger, which is one row: see `foreachBatch`."""
        try:
            for _ in triggers.collect():  # one, by maxFilesPerTrigger
                self.idle = self._stream.stopping.is_set() or not self._stream.apply_next()
                self._handled += 1
        except Exception as error:
            self.failure = error
            raise


class _Announcer:
    """Writes a trigger for each file that waits, two ahead at most, so that a batch can follow on the one before."""

    def __init__(self, root: StoragePath, triggers: _Triggers) -> None:
        self._root, self._triggers, self._incoming = root, triggers, Incoming(root)
        self._seen: set[str] = set()
        self._again = 0.0

    def look(self) -> bool:
        """Writes what triggers are due; says whether any is under way."""
        waiting = {entry.name for entry in self._incoming.waiting()}
        taken = names_taken(self._root)
        if not self._is_stuck(waiting):
            while self._triggers.under_way() < min(_TRIGGERS_AHEAD, len(waiting) + len(taken)):
                path = self._root / TRIGGERS / f"{self._triggers.announce():08d}.txt"
                write_durably(path, "a file waits\n")
                self._seen, self._again = waiting, time.monotonic() + TRIED_AGAIN_SECONDS
        return self._triggers.under_way() > 0

    def _is_stuck(self, waiting: set[str]) -> bool:
        """Whether nothing waits but what cannot be taken, as the last trigger has shown."""
        return self._triggers.idle and waiting <= self._seen and time.monotonic() < self._again


def _start(spark: SparkSession, root: StoragePath, handle: Callable[[DataFrame, int], None]) -> StreamingQuery:
    (root / TRIGGERS).mkdir(parents=True)
    source = spark.readStream.option("maxFilesPerTrigger", 1).option("cleanSource", "delete")
    source = source.option("pathGlobFilter", "*.txt")  # no draft of one
    rows = source.text(str(root / TRIGGERS))
    writer = rows.writeStream.foreachBatch(handle).option("checkpointLocation", str(root / CHECKPOINT))
    return writer.trigger(processingTime=_TRIGGER).queryName("shopstream stream").start()


@contextmanager
def _alone(root: StoragePath) -> Iterator[None]:
    lock = lock_at(root / STREAM / "stream.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise BusyRootError("the stream's state", "another stream") from None
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _signals(stop: Callable[[], None]) -> Iterator[None]:
    """Ctrl-C and SIGTERM stop the stream after the running batch."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, frame: FrameType | None) -> None:
        stop()

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
