"""Which five minutes an event belongs to, and when these are over (SPEC T2).

The rule is Spark's: the watermark of a batch is the latest event time of the batches before it less ten minutes, and
an event whose window ends at or before the watermark comes too late for its window. Only, what the latest time is does
not hang on one event: see streaming.clock.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

WINDOW = timedelta(minutes=5)
DELAY = timedelta(minutes=10)
WINDOW_MICROS = WINDOW // timedelta(microseconds=1)


def watermark_after(latest: datetime | None) -> datetime | None:
    """Returns the watermark that follows from the stream's time; None before the first event."""
    return None if latest is None else latest - DELAY


def window_ends(times: pa.ChunkedArray) -> NDArray[np.int64]:
    """Returns the ends of the windows of event times, in microseconds since 1970."""
    micros: NDArray[np.int64] = times.cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    return (micros // WINDOW_MICROS + 1) * WINDOW_MICROS


def late_events(times: pa.ChunkedArray, watermark: datetime | None) -> pa.Array:
    """Says of each event whether it comes after its window was closed."""
    if watermark is None:
        return pa.repeat(pa.scalar(False), len(times))
    return pc.less_equal(pa.array(window_ends(times)), micros(watermark))


def micros(moment: datetime) -> int:
    """Returns microseconds since 1970."""
    return int((moment - datetime.fromtimestamp(0, moment.tzinfo)) / timedelta(microseconds=1))
