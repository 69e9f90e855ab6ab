"""How many events a session has, and how the events of many sessions lie in memory.

Sessions of a block are walked all at once, position by position, longest session first: the events at
position p of all sessions that get that far lie side by side, so one step is a few array operations.

Lengths here, and chances and times in the modules beside, are read from tables of 65,536 quantiles by 16
random bits: whole numbers that come out the same on every processor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from spark_apps.generator.calibration import load_calibration
from spark_apps.generator.hashing import Floats, Ints

QUANTILES = 1 << 16

Bits: TypeAlias = npt.NDArray[np.uint16]
Int32s: TypeAlias = npt.NDArray[np.int32]

# Weibull, rounded up: p25 1, p50 2, p75 5, mean 4.57, standard deviation 6.7; SPEC E7 has 1, 2, 5, 4.59
# and 6.77.
_LENGTH_SCALE, _LENGTH_SHAPE = 2.776, 0.62


@dataclass(frozen=True)
class Layout:
    """How the events of a block lie in flat arrays; n events of m sessions.

    Attributes:
        lengths: (m) events per session, longest first.
        alive: (longest + 1) sessions that have an event at position p; the last is 0.
        starts: (longest + 1) index of the first event at position p.
        session: (n) session of each event.
    """

    lengths: Int32s
    alive: Ints
    starts: Ints
    session: Int32s

    @classmethod
    def of(cls, lengths: Int32s) -> Layout:
        """Lays out sessions.

        Args:
            lengths: events per session, longest first, all above 0.

        Returns:
            The layout of their events.
        """
        alive = np.searchsorted(-lengths, -np.arange(int(lengths[0]) + 1), side="left")
        starts = np.concatenate([[0], np.cumsum(alive)[:-1]])
        session = np.arange(int(alive.sum())) - np.repeat(starts, alive)
        return cls(lengths, alive, starts, session.astype(np.int32))

    @property
    def events(self) -> int:
        """Number of events."""
        return len(self.session)

    @property
    def sessions(self) -> int:
        """Number of sessions. So many events, the first in the flat arrays, are the first of a session."""
        return len(self.lengths)

    def steps(self) -> list[tuple[slice, slice, int]]:
        """Every position after the first: its events, the event before each, and how many sessions go on."""
        return [
            (
                slice(int(self.starts[p]), int(self.starts[p] + self.alive[p])),
                slice(int(self.starts[p - 1]), int(self.starts[p - 1] + self.alive[p])),
                int(self.alive[p + 1]),
            )
            for p in range(1, len(self.alive) - 1)
        ]

    def last_events(self) -> Ints:
        """Index of each session's last event."""
        return np.asarray(self.starts[self.lengths - 1] + np.arange(self.sessions), dtype=np.int64)


def session_lengths(draw: Callable[[int], Bits], events: int) -> Int32s:
    """Draws sessions until they hold the events wanted; the last one drawn is cut to fit.

    Args:
        draw: gives n times 16 random bits.
        events: total length wanted, 1 or more.

    Returns:
        Lengths, longest first, with that sum.
    """
    table = length_table()
    lengths = np.zeros(0, dtype=np.int32)
    while (missing := events - int(lengths.sum())) > 0:
        lengths = np.concatenate([lengths, table[draw(int(missing / mean_length() * 1.02) + 16)]])
    running = np.cumsum(lengths)
    used = int(np.searchsorted(running, events)) + 1
    lengths = lengths[:used].copy()
    lengths[-1] -= running[used - 1] - events
    return np.sort(lengths)[::-1]


@lru_cache(maxsize=1)
def length_table() -> Int32s:
    """Quantiles of the number of events in a session, 65,536 of them."""
    lengths = np.ceil(_LENGTH_SCALE * (-np.log1p(-middle_quantiles())) ** (1 / _LENGTH_SHAPE))
    longest: int = load_calibration().october["events_per_session"]["max"]
    return np.asarray(np.minimum(lengths, longest), dtype=np.int32)


@lru_cache(maxsize=1)
def mean_length() -> float:
    """Mean number of events in a session."""
    return float(length_table().mean())


def middle_quantiles() -> Floats:
    """The quantiles that the tables of 65,536 entries stand for."""
    return (np.arange(QUANTILES) + 0.5) / QUANTILES


def random_bits(generator: np.random.Generator) -> Callable[[int], Bits]:
    """A source of 16-bit random numbers.

    Args:
        generator: the block's own generator.

    Returns:
        A function of a count that gives so many random numbers.
    """
    source: Any = generator.bit_generator

    def draw(count: int) -> Bits:
        return np.asarray(source.random_raw(-(-count // 4)), dtype="<u8").view("<u2")[:count]

    return draw
