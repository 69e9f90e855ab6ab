"""The stream at work: one dropped file a batch, each applied once, until it is told to stop (SPEC T2).

On one machine a loop looks for files; on a cluster Structured Streaming runs the batches (engine/foreach_batch.py).
Both do the same for a file, and neither decides which one is new.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from filelock import Timeout

from spark_apps.engine.base import Engine
from spark_apps.errors import BadInputError, BusyRootError, UserError, from_engine_error, from_os_error
from spark_apps.jobs.stream.batch import BatchProcessor
from spark_apps.jobs.stream.incoming import TRIED_AGAIN_SECONDS, Incoming, names_taken
from spark_apps.jobs.stream.preparation import prepare
from spark_apps.jobs.stream.state_store import StateStore
from spark_apps.platform.signals import Wait, asked_to_end
from spark_apps.settings import Settings
from spark_apps.storage import StoragePath, for_another_thread, lock_at
from spark_apps.storage.staging import discard
from spark_apps.storage.transaction import recover
from spark_apps.streaming.intake import Dropped
from spark_apps.streaming.records import BatchRecord
from spark_apps.tables import (
    CHECKPOINT,
    DONE,
    INCOMING,
    REFUSED,
    STREAM_STATE,
    STREAM_TABLES,
    STREAM_TEMP,
    TAKEN,
    TRIGGERS,
)

# neither a folder nor HDFS tells that a file was dropped
_LOOK_SECONDS = 0.5

Report = Callable[[BatchRecord], None]


@dataclass(frozen=True)
class StopPolicy:
    """When the stream ends by itself: when all files that are there are read, or after so many."""

    once: bool = False
    stop_after: int | None = None


def run(engine: Engine, settings: Settings, root: StoragePath, stop: StopPolicy, report: Report) -> int:
    """Applies dropped files until it is told to stop, by a signal or by the policy.

    A batch that has begun is finished first.

    Args:
        engine: applies them; on a cluster Structured Streaming runs the batches.
        settings: the run's.
        root: folder of the tables and models.
        stop: when to end without a signal.
        report: is told each batch, after it was published.

    Returns:
        Files that were applied or refused.

    Raises:
        BusyRootError: when another stream works under this root.
        MissingModelError: when nothing was trained yet.
    """
    recover(root)
    for folder in (INCOMING, TAKEN, DONE, REFUSED, STREAM_STATE, *(table.path for table in STREAM_TABLES)):
        (root / folder).mkdir(parents=True, exist_ok=True)
    with _alone(root):
        store = StateStore(root)
        state = store.read() or prepare(engine, settings, store)
        store.ensure_contents()
        for folder in (CHECKPOINT, TRIGGERS):
            discard(root / folder)
        processor = BatchProcessor(engine, settings, store, state)
        with asked_to_end() as wait:
            stream = _Stream(processor, Incoming(root), stop, report, wait)
            if engine.is_cluster:
                _by_spark(engine, root, stream)
            else:
                _loop(stream, wait)
    return stream.batches


class _Stream:
    """Takes files one after the other, and knows whether there shall be another one."""

    def __init__(
        self, processor: BatchProcessor, incoming: Incoming, stop: StopPolicy, report: Report, asked: Wait
    ) -> None:
        self._processor, self._incoming, self._stop, self._report = processor, incoming, stop, report
        self._asked = asked
        self._names = {entry.name for entry in incoming.waiting()} if stop.once else None
        self.batches = 0

    def apply_next(self) -> bool:
        """Takes a file, applies it, and puts it away; false when there is none."""
        file = self._incoming.take(self._processor.state.next_batch, self._names)
        if file is None:
            return False
        record = self._applied(file)
        self._incoming.put_away(record)
        self.batches += 1
        self._report(record)
        self._processor.maintain()
        return True

    def is_stopping(self) -> bool:
        """Says whether no further file is to be taken."""
        return self.batches == self._stop.stop_after or self._asked(0)

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
    if isinstance(error, OSError):
        return from_os_error(error, "") is None
    if isinstance(error, UserError):
        return isinstance(error, BadInputError)
    return from_engine_error(str(error), "") is None


def _loop(stream: _Stream, wait: Wait) -> None:
    while not stream.is_stopping():
        if not stream.apply_next():
            if stream.is_over():
                return
            wait(_LOOK_SECONDS)


def _by_spark(engine: Engine, root: StoragePath, stream: _Stream) -> None:
    from spark_apps.engine.foreach_batch import Triggers, Waiting, run_batches

    here = for_another_thread(root)  # batches are run by another thread
    incoming = Incoming(here)

    def look() -> Waiting:
        return Waiting({entry.name for entry in incoming.waiting()}, len(names_taken(here)))

    triggers = Triggers(here / TRIGGERS, here / CHECKPOINT, look, _LOOK_SECONDS, TRIED_AGAIN_SECONDS)
    run_batches(engine, triggers, stream)


@contextmanager
def _alone(root: StoragePath) -> Iterator[None]:
    lock = lock_at(root / STREAM_TEMP / "stream.lock")
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise BusyRootError("the stream's state", "another stream") from None
    try:
        yield
    finally:
        lock.release()
