"""Which five minutes an event belongs to, and when these are over (SPEC T2).

The rule is Spark's: the watermark of a batch is the latest event time of the batches before it less ten minutes, and
an event whose window ends at or before the watermark comes too late for its window. Only, what the latest time is does
not hang on one event: see streaming.clock.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from pyspark.sql import Column
from pyspark.sql import functions as F

WINDOW = timedelta(minutes=5)
DELAY = timedelta(minutes=10)


def watermark_after(latest: datetime | None) -> datetime | None:
    """Returns the watermark that follows from the stream's time; None before the first event."""
    return None if latest is None else latest - DELAY


def window_start(time: Column) -> Column:
    """Returns the start of the window of an event time."""
    seconds = int(WINDOW.total_seconds())
    return F.timestamp_seconds(F.floor(F.unix_seconds(time) / seconds) * seconds)


def is_late(time: Column, watermark: datetime | None) -> Column:
    """Says whether an event comes after its window was closed."""
    if watermark is None:
        return F.lit(False)
    ends = F.unix_micros(window_start(time)) + F.lit(int(WINDOW.total_seconds()) * 1_000_000)
    return ends <= F.lit(micros(watermark))


def micros(moment: datetime) -> int:
    """Returns microseconds since 1970."""
    return int((moment - datetime.fromtimestamp(0, moment.tzinfo)) / timedelta(microseconds=1))
