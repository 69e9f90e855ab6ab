"""The streaming query: one dropped file a micro-batch, each applied once, until it is told to stop (SPEC T2)."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

from filelock import Timeout
from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from spark_apps.errors import BusyRootError
from spark_apps.jobs.stream.batch import BatchProcessor
from spark_apps.jobs.stream.places import STATE, read_state
from spark_apps.jobs.stream.preparation import prepare
from spark_apps.publication import settle
from spark_apps.settings import Settings
from spark_apps.storage import StoragePath, lock_at
from spark_apps.streaming.drops import CHECKPOINT, DONE, INCOMING
from spark_apps.streaming.records import BatchRecord
from spark_apps.tables import STREAM_TABLES

_LOOK_SECONDS = 1
# a whole file is one row of Spark's source
_FILE = "path string, modificationTime timestamp, length bigint, content binary"
_TRIGGER = "500 milliseconds"
_STOPPED = "shopstream was told to stop"

Report = Callable[[BatchRecord], None]


@dataclass(frozen=True)
class Wishes:
    """When the stream ends by itself: when all files that are there are read, or after so many."""

    once: bool = False
    stop_after: int | None = None


class _StopError(Exception):
    """Ends the query before its next batch."""


def run(spark: SparkSession, settings: Settings, root: StoragePath, wishes: Wishes, report: Report) -> int:
    """Applies dropped files until it is told to stop, by a signal or by the wishes.

    A batch that has begun is finished first.

    Args:
        spark: the session.
        settings: the run's.
        root: folder of the tables and models.
        wishes: when to end without a signal.
        report: is told each batch, after it was published.

    Returns:
        Batches applied.

    Raises:
        BusyRootError: when another stream works under this root.
        MissingModelError: when nothing was trained yet.
    """
    settle(root)
    for folder in (INCOMING, DONE, STATE, *(table.path for table in STREAM_TABLES)):
        (root / folder).mkdir(parents=True, exist_ok=True)
    with _alone(root):
        state = read_state(root) or prepare(spark, settings, root)
        stream = _Stream(BatchProcessor(spark, settings, root, state), wishes, report)
        with _signals(stream.stop):
            _until_stopped(_start(spark, root, wishes, stream.apply), stream)
    return stream.applied


class _Stream:
    """What happens to each micro-batch, and whether there shall be another one."""

    def __init__(self, processor: BatchProcessor, wishes: Wishes, report: Report) -> None:
        self._processor, self._wishes, self._report = processor, wishes, report
        self.applied = 0
        self.stopping = threading.Event()
        # held while a batch is applied, so that nobody ends the query in the middle of one
        self.at_work = threading.Lock()

    def stop(self) -> None:
        self.stopping.set()

    def apply(self, files: DataFrame, number: int) -> None:
        with self.at_work:
            if self.stopping.is_set():
                raise _StopError(_STOPPED)
            for record in self._processor.apply(files):
                self.applied += 1
                self._report(record)
            if self._wishes.stop_after is not None and self.applied >= self._wishes.stop_after:
                self.stop()


def _start(spark: SparkSession, root: StoragePath, wishes: Wishes, apply: Callable[[Any, int], None]) -> StreamingQuery:
    source = (
        spark.readStream.format("binaryFile")
        .schema(_FILE)
        .option("pathGlobFilter", "*.csv")
        .option("maxFilesPerTrigger", 1)
        .option("cleanSource", "archive")
        .option("sourceArchiveDir", str(root / DONE))
        # a file that waited long is not forgotten
        .option("maxFileAge", "3650d")
        .load(str(root / INCOMING))
    )
    writer = source.writeStream.foreachBatch(apply).option("checkpointLocation", str(root / CHECKPOINT))
    once = writer.trigger(availableNow=True) if wishes.once else writer.trigger(processingTime=_TRIGGER)
    return once.queryName("shopstream stream").start()


def _until_stopped(query: StreamingQuery, stream: _Stream) -> None:
    """Waits for the query's end, and brings it about between two batches when it is told to."""
    try:
        while not query.awaitTermination(_LOOK_SECONDS):
            if stream.stopping.is_set():
                with stream.at_work:
                    query.stop()
                return
    except StreamingQueryException as error:
        if not stream.stopping.is_set() or _STOPPED not in str(error):
            raise


@contextmanager
def _alone(root: StoragePath) -> Iterator[None]:
    lock = lock_at(root / STATE / "stream.lock")
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
