"""Cuts a month's raw rows into batches, and says where a replay of them stands (SPEC T1).

Rows are copied as they are. Whole blocks are cut at once: numpy finds the line feeds, and for a cut by original time
the times at the heads of the rows, so no row is looked at one by one.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

Integers = npt.NDArray[np.int64]

_EPOCH = date(1970, 1, 1)
_DAY = 86_400
_LINE_FEED, _QUOTE, _COLON, _ZERO = b'\n":0'
# What a raw row begins with. Raw rows stand by date, so the time of day alone is read.
_CLOCK = re.compile(rb'"?\d{4}-\d\d-\d\d (\d\d):(\d\d):(\d\d)')
_CLOCK_AT, _CLOCK_BYTES = len("2019-11-01 "), len("00:00:00")
_DIGITS, _COLONS = [0, 1, 3, 4, 6, 7], [2, 5]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RawFile(_Frozen):
    """A raw file of the month: its path below the root, its size in bytes and its rows."""

    path: str
    bytes: int
    rows: int


class Position(_Frozen):
    """How far a replay has come: up to this offset of this file, which makes so many rows of the month."""

    file: str | None = None
    offset: int = 0
    rows: int = 0


class ReplayState(_Frozen):
    """How far a replay has come.

    Attributes:
        month: its first day.
        files: what is replayed, in order, as it was found at the beginning.
        sequence: number of the last dropped file, 0 before the first.
        name: its name.
        position: what is dropped up to.
    """

    month: date
    files: tuple[RawFile, ...]
    sequence: int = 0
    name: str | None = None
    position: Position = Position()

    @property
    def rows(self) -> int:
        """Rows of the whole month."""
        return sum(file.rows for file in self.files)

    def remaining(self) -> Iterator[tuple[RawFile, int]]:
        """Yields the files that are not dropped to their ends, in order, each with the offset to go on from."""
        paths = [file.path for file in self.files]
        reached = paths.index(self.position.file) if self.position.file is not None else 0
        for number, file in enumerate(self.files[reached:]):
            yield file, 0 if number else self.position.offset

    def change(self, files: Sequence[RawFile]) -> str | None:
        """Says what is other with the month's raw files than at the beginning; None when nothing is."""
        before, now = {file.path: file for file in self.files}, {file.path: file for file in files}
        for path in sorted({*before, *now}):
            if path not in before:
                return f"{path} is new"
            if path not in now:
                return f"{path} is gone"
            if before[path] != now[path]:
                return f"{path} has {now[path].bytes:,} bytes instead of {before[path].bytes:,}"
        return None


@dataclass(frozen=True)
class Block:
    """Whole rows of a raw file; only the last row of a file may lack its line feed.

    Attributes:
        file: its path below the root.
        day: the date of its rows.
        offset: of the block's first byte.
        rows: their bytes.
    """

    file: str
    day: date
    offset: int
    rows: bytes


@dataclass(frozen=True)
class Piece:
    """Rows of one batch that stand together in one file.

    Attributes:
        batch: the batch's number in this run, from 0; a batch's pieces follow one another.
        rows: their bytes, each row with its line feed.
        events: their number.
        file: the file they are from.
        end: offset after them in it.
        first: original time of the first row, UTC; None where it cannot be read.
        last: of the last row.
    """

    batch: int
    rows: bytes
    events: int
    file: str
    end: int
    first: datetime | None
    last: datetime | None


class Cutter(Protocol):
    """Says where batches begin; it remembers the batch that is being filled."""

    def breaks(self, block: Block, starts: Integers) -> Sequence[int]:
        """Returns the rows of the next block at which a new batch begins, in order.

        Args:
            block: the block that follows the one before.
            starts: offset of each of its rows in it.
        """


class EventCutter:
    """Batches of so many events."""

    def __init__(self, events: int) -> None:
        """Names the size, at least 1."""
        self._events = events
        self._seen = 0

    def breaks(self, block: Block, starts: Integers) -> Sequence[int]:
        """See Cutter."""
        first = -self._seen % self._events if self._seen else self._events
        self._seen += len(starts)
        return range(first, len(starts), self._events)


class SpanCutter:
    """Batches of a span of original time, from one multiple of the span to the next, as from 10:00 to 11:00.

    A row of the span before stays in the batch it arrives in, so that a few rows out of order make no batches of
    their own. One from further back begins a new batch, and so does the first of another file if it is earlier at all:
    where several files were landed for a date, the clock goes back at each of them. A row whose time cannot be read
    stays with the row before it.
    """

    def __init__(self, span: timedelta) -> None:
        """Names the span, at least a second."""
        self._seconds = int(span.total_seconds())
        self._window: int | None = None
        self._file: str | None = None

    def breaks(self, block: Block, starts: Integers) -> Sequence[int]:
        """See Cutter."""
        seconds = _seconds_of_day(block.rows, starts)
        readable = np.flatnonzero(seconds >= 0)
        windows = ((block.day - _EPOCH).days * _DAY + seconds[readable]) // self._seconds
        found = []
        for place in _changes(windows):
            if self._leaves(int(windows[place]), tolerance=0 if block.file != self._file else 1):
                found.append(int(readable[place]))
            self._file = block.file
        return found

    def _leaves(self, window: int, tolerance: int) -> bool:
        before = self._window
        if before is not None and before - tolerance <= window <= before:
            return False
        self._window = window
        return before is not None


class PartCutter:
    """Batches of another cutter, cut once more where one of two files of a date is in clean's events and one is not.

    So all rows that a batch has of a date were clean's when it was cut, or none was.
    """

    def __init__(self, batches: Cutter, cleaned: Container[str]) -> None:
        """Names the other cutter, and the files that clean's events were made of."""
        self._batches, self._cleaned = batches, cleaned
        self._before: Block | None = None

    def breaks(self, block: Block, starts: Integers) -> Sequence[int]:
        """See Cutter."""
        before, self._before = self._before, block
        found = self._batches.breaks(block, starts)
        if before is None or before.day != block.day or 0 in found:
            return found
        changes = (before.file in self._cleaned) != (block.file in self._cleaned)
        return [0, *found] if changes else found


def pieces(blocks: Iterable[Block], cutter: Cutter) -> Iterator[Piece]:
    """Cuts rows into batches; all pieces together are the rows of all blocks, in order.

    Args:
        blocks: what follows the end of an earlier batch, in order.
        cutter: a new one.

    Yields:
        Each batch's rows, piece by piece, so that a batch of any size takes no more memory than a block.
    """
    batch = 0
    for block in blocks:
        starts = _row_starts(block.rows)
        breaks = set(cutter.breaks(block, starts))
        for first, after in pairwise(sorted({0, *breaks, len(starts)})):
            batch += first in breaks
            yield _piece(batch, block, starts, first, after)


def _piece(batch: int, block: Block, starts: Integers, first: int, after: int) -> Piece:
    begin, last_row = int(starts[first]), int(starts[after - 1])
    end = int(starts[after]) if after < len(starts) else len(block.rows)
    rows = block.rows[begin:end]
    return Piece(
        batch,
        rows if rows.endswith(b"\n") else rows + b"\n",
        after - first,
        block.file,
        block.offset + end,
        _original_time(block, begin),
        _original_time(block, last_row),
    )


def _original_time(block: Block, start: int) -> datetime | None:
    found = _CLOCK.match(block.rows, start)
    if found is None:
        return None
    hour, minute, second = map(int, found.groups())
    try:
        return datetime.combine(block.day, time(hour, minute, second), timezone.utc)
    except ValueError:
        return None


def _row_starts(rows: bytes) -> Integers:
    feeds = np.flatnonzero(np.frombuffer(rows, np.uint8) == _LINE_FEED)
    starts = np.concatenate([[0], feeds + 1])
    return starts[starts < len(rows)]


def _seconds_of_day(rows: bytes, starts: Integers) -> Integers:
    """Returns the seconds since midnight of each row's time, -1 where it has none that can be read."""
    text: npt.NDArray[Any] = np.frombuffer(rows, np.uint8)
    clocks = starts + _CLOCK_AT + (text[starts] == _QUOTE)
    signs = text[np.minimum(clocks[:, None] + np.arange(_CLOCK_BYTES), len(text) - 1)]
    digits = signs[:, _DIGITS].astype(np.int64) - _ZERO
    hours, minutes, seconds = (digits[:, [0, 2, 4]] * 10 + digits[:, [1, 3, 5]]).T
    is_clock = (signs[:, _COLONS] == _COLON).all(axis=1) & ((digits >= 0) & (digits <= 9)).all(axis=1)
    usable = is_clock & (hours < 24) & (minutes < 60) & (seconds < 60)
    return np.where(usable, hours * 3600 + minutes * 60 + seconds, -1)


def _changes(windows: Integers) -> Integers:
    """Returns the places whose window is another than that of the place before, the first place always."""
    return np.concatenate([np.zeros(min(1, len(windows)), np.int64), np.flatnonzero(np.diff(windows)) + 1])
