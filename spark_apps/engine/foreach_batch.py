"""Runs the batches of a stream by Structured Streaming: its `foreachBatch`, on a cluster.

Whenever something waits, a trigger is written where the query's source looks, and `foreachBatch` has one step of the
work done. Neither decides what is new: Spark's checkpoint knows triggers only, and is made anew at each start.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pyspark.errors import StreamingQueryException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.streaming.query import StreamingQuery

from spark_apps.engine.base import Engine
from spark_apps.engine.spark import SparkEngine
from spark_apps.storage import StoragePath, write_durably

_TRIGGERS_AHEAD = 2
# How often the query looks for triggers; its batches follow each other at once.
_POLLING_MILLISECONDS = 200


class Work(Protocol):
    """What is done one step at a time."""

    def apply_next(self) -> bool:
        """Does a step; false when there is nothing to do."""

    def is_over(self) -> bool:
        """Says, when there is nothing to do, whether more is waited for."""

    def is_stopping(self) -> bool:
        """Says whether no further step is to begin."""


@dataclass(frozen=True)
class Waiting:
    """What the work is on.

    Attributes:
        names: of what waits.
        taken: how many steps were begun, and are not finished.
    """

    names: set[str]
    taken: int


@dataclass(frozen=True)
class Triggers:
    """Where triggers are written, and when.

    Attributes:
        folder: of the triggers, a new one.
        checkpoint: of the query, a new one.
        look: returns what waits; called in another thread than the work.
        look_seconds: how often to look.
        again_seconds: after so long a step is tried again that found nothing although something waits.
    """

    folder: StoragePath
    checkpoint: StoragePath
    look: Callable[[], Waiting]
    look_seconds: float
    again_seconds: float


def run_batches(engine: Engine, triggers: Triggers, work: Work) -> None:
    """Has Structured Streaming do the work until it is to stop, or nothing is left.

    Args:
        engine: Spark's.
        triggers: where and when.
        work: a step of it that has begun is finished first.

    Raises:
        Whatever a step raises.
    """
    assert isinstance(engine, SparkEngine)
    handled = _Handled(work)
    query = _start(engine.session, triggers, handled.handle)
    announcer = _Announcer(triggers, handled)
    try:
        while not query.awaitTermination(triggers.look_seconds):  # type: ignore[arg-type]  # it takes parts of seconds
            over = work.is_stopping() or (handled.idle and work.is_over())
            if not over:
                over = not announcer.look() and work.is_over()
            if over and not handled.under_way():
                query.stop()
                return
    except StreamingQueryException as error:
        raise handled.failure or error from error


class _Handled:
    """The triggers that were written, and what the query made of them."""

    def __init__(self, work: Work) -> None:
        self._work, self._announced, self._handled = work, 0, 0
        self.failure: Exception | None = None
        # whether the last one found nothing to do
        self.idle = False

    def announce(self) -> int:
        """Counts a trigger and returns its number."""
        self._announced += 1
        return self._announced

    def under_way(self) -> int:
        """Returns how many were announced and not handled; without one, no batch is at work."""
        return self._announced - self._handled

    def handle(self, triggers: DataFrame, number: int) -> None:
        """Does one step for each trigger, which is one row: see `foreachBatch`."""
        try:
            for _ in triggers.collect():  # one, by maxFilesPerTrigger
                self.idle = self._work.is_stopping() or not self._work.apply_next()
                self._handled += 1
        except Exception as error:
            self.failure = error
            raise


class _Announcer:
    """Writes a trigger for each thing that waits, two ahead at most, so that a batch can follow on the one before."""

    def __init__(self, triggers: Triggers, handled: _Handled) -> None:
        self._triggers, self._handled = triggers, handled
        self._seen: set[str] = set()
        self._again = 0.0

    def look(self) -> bool:
        """Writes what triggers are due; says whether any is under way."""
        found = self._triggers.look()
        if not self._is_stuck(found.names):
            while self._handled.under_way() < min(_TRIGGERS_AHEAD, len(found.names) + found.taken):
                path = self._triggers.folder / f"{self._handled.announce():08d}.txt"
                write_durably(path, "a file waits\n")
                self._seen, self._again = found.names, time.monotonic() + self._triggers.again_seconds
        return self._handled.under_way() > 0

    def _is_stuck(self, waiting: set[str]) -> bool:
        """Whether nothing waits but what cannot be taken, as the last trigger has shown."""
        return self._handled.idle and waiting <= self._seen and time.monotonic() < self._again


def _start(session: SparkSession, triggers: Triggers, handle: Callable[[DataFrame, int], None]) -> StreamingQuery:
    triggers.folder.mkdir(parents=True)
    session.conf.set("spark.sql.streaming.pollingDelay", _POLLING_MILLISECONDS)
    source = session.readStream.option("maxFilesPerTrigger", 1).option("cleanSource", "delete")
    source = source.option("pathGlobFilter", "*.txt")  # no draft of one
    writer = source.text(str(triggers.folder)).writeStream.foreachBatch(handle)
    writer = writer.option("checkpointLocation", str(triggers.checkpoint))
    # without an interval: with one, Spark warns of each batch that takes longer
    return writer.trigger(processingTime="0 seconds").queryName("shopstream stream").start()
