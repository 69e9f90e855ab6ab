"""When the events of a session happen: seconds or minutes apart, and now and then hours or days."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from spark_apps.generator.sessions import QUANTILES, Bits, Int32s, Layout, middle_quantiles

# Seconds between two events of a visit: log-normal. Sessions last a median of 1.05 minutes (SPEC D7).
_MEDIAN, _SPREAD = 62.0, 1.2
# The chance that a session's id is taken up again later, and after how long (log-uniform seconds): brings
# the mean to 17.4 minutes.
_RESUME_CHANCE = 0.0036
_RESUME_SHORTEST, _RESUME_LONGEST = 1800.0, 60 * 3600.0


def event_seconds(layout: Layout, starts: Int32s, end: int, bits: Bits, draw: Callable[[int], Bits]) -> Int32s:
    """Adds up the times between events.

    Args:
        layout: the block's sessions.
        starts: (m) second of each session's first event.
        end: the month's length in seconds; sessions that would pass it have them squeezed.
        bits: (2, n) 16 random bits: for the time before each event, and for whether the session was left.
        draw: gives n times 16 random bits.

    Returns:
        (n) seconds since the month's start, below `end`, never falling inside a session.
    """
    seconds: Int32s = _inter_event_table()[bits[0]]
    resumed = np.flatnonzero(bits[1] < int(_RESUME_CHANCE * QUANTILES))
    seconds[resumed] += _resume_table()[draw(len(resumed))]
    seconds[: layout.sessions] = starts
    for here, before, _ in layout.steps():
        seconds[here] += seconds[before]
    _squeeze(layout, seconds, starts, end)
    return seconds


def _squeeze(layout: Layout, seconds: Int32s, starts: Int32s, end: int) -> None:
    last = seconds[layout.last_events()]
    late = np.flatnonzero((last >= end)[layout.session])
    session = layout.session[late]
    start = starts[session].astype(np.int64)
    seconds[late] = start + (seconds[late] - start) * (end - 1 - start) // (last[session] - start)


@lru_cache(maxsize=1)
def _inter_event_table() -> Int32s:
    normal = NormalDist(math.log(_MEDIAN), _SPREAD)
    logs = [normal.inv_cdf(float(quantile)) for quantile in middle_quantiles()]
    return np.asarray(np.floor(np.exp(logs)), dtype=np.int32)


@lru_cache(maxsize=1)
def _resume_table() -> Int32s:
    ratio = _RESUME_LONGEST / _RESUME_SHORTEST
    return np.asarray(np.floor(_RESUME_SHORTEST * ratio ** middle_quantiles()), dtype=np.int32)
