"""Cutting rows into batches: nothing is lost, nothing comes twice, wherever blocks end and a run begins again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from itertools import groupby
from operator import attrgetter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_apps.streaming.replay import (
    Block,
    Cutter,
    EventCutter,
    Piece,
    Position,
    RawFile,
    ReplayState,
    SpanCutter,
    pieces,
)

HOUR = timedelta(hours=1)
FIRST_DAY = date(2019, 11, 1)
# what may stand where a row has its time of day; the last ones cannot be read
CLOCKS = ["00:00:00", "00:59:59", "01:00:00", "02:30:00", "12:00:00", "23:59:59", "24:00:00", "1:00:00", "noon", ""]


@dataclass(frozen=True)
class File:
    """A raw file: a date and its rows, without line feeds."""

    name: str
    day: date
    rows: tuple[bytes, ...]
    ended: bool = True

    @property
    def content(self) -> bytes:
        return b"\n".join(self.rows) + b"\n" * self.ended


def row(day: date, clock: str, number: int = 0, quoted: bool = False, end: str = "") -> bytes:
    time = f"{day} {clock} UTC".replace("  ", " ")
    return f'"{time}",view,{number}{end}'.encode() if quoted else f"{time},view,{number}{end}".encode()


@st.composite
def months(draw: st.DrawFn) -> list[File]:
    files = []
    for number in range(draw(st.integers(1, 4))):
        day = FIRST_DAY + timedelta(days=draw(st.integers(0, 1)) + number // 2)
        clocks = draw(st.lists(st.sampled_from(CLOCKS), min_size=1, max_size=12))
        ends = st.tuples(st.booleans(), st.sampled_from(["", "\r", ",é"]))
        rows = tuple(row(day, clock, place, *draw(ends)) for place, clock in enumerate(clocks))
        files.append(File(f"file-{number}", day, rows, draw(st.booleans())))
    return files


def blocks(files: Sequence[File], rows_each: int, position: Position | None = None) -> Iterator[Block]:
    """What is left of files after a position, in blocks of a few rows."""
    names = [file.name for file in files]
    reached = names.index(position.file) if position and position.file else 0
    for number, file in enumerate(files[reached:]):
        offset = position.offset if position and not number else 0
        lines = file.content[offset:].splitlines(keepends=True)
        # splitlines also cuts at a lone carriage return, of which there is none
        for first in range(0, len(lines), rows_each):
            content = b"".join(lines[first : first + rows_each])
            yield Block(file.name, file.day, offset, content)
            offset += len(content)


def cut(found: Iterator[Block], cutter: Cutter) -> list[list[Piece]]:
    return [list(batch) for _, batch in groupby(pieces(found, cutter), key=attrgetter("batch"))]


def content(batches: list[list[Piece]]) -> list[bytes]:
    return [b"".join(piece.rows for piece in batch) for batch in batches]


CUTTERS = st.one_of(
    st.integers(1, 9).map(lambda events: lambda: EventCutter(events)),
    st.sampled_from([1, 60, 3600, 7200, 86_400, 604_800]).map(
        lambda seconds: lambda: SpanCutter(timedelta(seconds=seconds))
    ),
)


@given(months(), CUTTERS, st.integers(1, 9), st.data())
def test_all_batches_together_are_the_input_from_any_restart(
    files: list[File], cutter: Callable[[], Cutter], rows_each: int, data: st.DataObject
) -> None:
    whole = cut(blocks(files, rows_each), cutter())
    lines = [line + b"\n" for file in files for line in file.rows]
    assert b"".join(content(whole)) == b"".join(lines)
    assert sum(piece.events for batch in whole for piece in batch) == len(lines)
    stop = data.draw(st.integers(1, len(whole)))
    last = whole[stop - 1][-1]
    other_size = data.draw(st.integers(1, 9))
    resumed = cut(blocks(files, other_size, Position(file=last.file, offset=last.end)), cutter())
    assert content(resumed) == content(whole)[stop:]


@given(months(), st.integers(1, 9), st.integers(1, 9))
def test_batches_of_events_have_that_many(files: list[File], events: int, rows_each: int) -> None:
    sizes = [sum(piece.events for piece in batch) for batch in cut(blocks(files, rows_each), EventCutter(events))]
    assert all(size == events for size in sizes[:-1])
    assert 1 <= sizes[-1] <= events


def in_hours(*clocks: str, second_file: Sequence[str] = ()) -> list[list[str]]:
    """The clocks of each batch of an hour."""
    files = [File("a", FIRST_DAY, tuple(row(FIRST_DAY, clock) for clock in clocks))]
    if second_file:
        files.append(File("b", FIRST_DAY, tuple(row(FIRST_DAY, clock) for clock in second_file)))
    found = content(cut(blocks(files, 2), SpanCutter(HOUR)))
    return [[line.split(b" ")[1].decode() for line in batch.splitlines()] for batch in found]


def test_spans_begin_at_their_multiples_and_empty_ones_make_no_batch() -> None:
    assert in_hours("10:30:00", "10:59:59", "11:00:00", "14:20:00") == [
        ["10:30:00", "10:59:59"],
        ["11:00:00"],
        ["14:20:00"],
    ]


def test_a_row_of_the_span_before_stays_in_the_batch_it_arrives_in() -> None:
    assert in_hours("10:59:00", "11:00:01", "10:59:59", "11:00:02", "12:00:00") == [
        ["10:59:00"],
        ["11:00:01", "10:59:59", "11:00:02"],
        ["12:00:00"],
    ]


def test_a_row_from_further_back_begins_a_batch() -> None:
    assert in_hours("10:00:00", "13:00:00", "11:00:00", "11:30:00") == [
        ["10:00:00"],
        ["13:00:00"],
        ["11:00:00", "11:30:00"],
    ]


def test_where_another_file_goes_back_at_all_a_batch_begins() -> None:
    assert in_hours("10:00:00", "11:00:00", second_file=["10:30:00", "11:30:00"]) == [
        ["10:00:00"],
        ["11:00:00"],
        ["10:30:00"],
        ["11:30:00"],
    ]
    assert in_hours("10:00:00", second_file=["10:30:00"]) == [["10:00:00", "10:30:00"]]


@pytest.mark.parametrize("clock", ["24:00:00", "10:60:00", "10:00:60", "1:00:00,", "noon...."])
def test_a_row_whose_time_cannot_be_read_stays_with_the_row_before(clock: str) -> None:
    assert in_hours(clock, "10:00:00", clock, "11:00:00", clock) == [[clock, "10:00:00", clock], ["11:00:00", clock]]


def test_quoted_times_are_read() -> None:
    rows = tuple(row(FIRST_DAY, clock, quoted=True) for clock in ("10:00:00", "11:00:00"))
    found = cut(blocks([File("a", FIRST_DAY, rows)], 5), SpanCutter(HOUR))
    assert [batch[0].first for batch in found] == [
        datetime(2019, 11, 1, hour, tzinfo=timezone.utc) for hour in (10, 11)
    ]


def test_a_piece_tells_where_it_ends_and_its_original_times() -> None:
    rows = (row(FIRST_DAY, "10:00:00"), row(FIRST_DAY, "10:00:05"), row(FIRST_DAY, "nowhere"))
    file = File("a", FIRST_DAY, rows, ended=False)
    [[first], [second]] = cut(blocks([file], 3), EventCutter(2))
    start = datetime(2019, 11, 1, 10, tzinfo=timezone.utc)
    assert (first.events, first.first, first.last) == (2, start, start + timedelta(seconds=5))
    assert (first.file, first.end) == ("a", len(rows[0]) + len(rows[1]) + 2)
    assert (second.events, second.first, second.last, second.end) == (1, None, None, len(file.content))


ONE, TWO = RawFile(path="a", bytes=10, rows=1), RawFile(path="b", bytes=20, rows=2)


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ((ONE, TWO), None),
        ((ONE,), "b is gone"),
        ((ONE, TWO, RawFile(path="c", bytes=1, rows=1)), "c is new"),
        ((ONE, RawFile(path="b", bytes=21_000, rows=2)), "b has 21,000 bytes instead of 20"),
    ],
)
def test_a_replay_says_what_changed_since_it_began(files: tuple[RawFile, ...], said: str | None) -> None:
    assert ReplayState(month=FIRST_DAY, files=(ONE, TWO)).change(files) == said


def test_a_replay_says_what_is_left() -> None:
    state = ReplayState(month=FIRST_DAY, files=(ONE, TWO))
    assert list(state.remaining()) == [(ONE, 0), (TWO, 0)]
    later = state.model_copy(update={"position": Position(file="b", offset=7, rows=2)})
    assert list(later.remaining()) == [(TWO, 7)]
