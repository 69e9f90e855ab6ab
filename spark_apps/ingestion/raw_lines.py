"""Pieces of raw files as items of work, and the unit that makes events and quarantine of them (SPEC D3, D4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.compute as pc

from spark_apps.engine.base import Task
from spark_apps.ingestion.landing import whole_rows
from spark_apps.ingestion.lines import REJECTED, lines_of, read_lines
from spark_apps.ingestion.plain_lines import EVENT_COLUMNS
from spark_apps.storage import StoragePath
from spark_apps.tables import partition_folder

# A file is cut into pieces of so many bytes, so that the cores have equal shares of few large files.
PIECE_BYTES = 64 << 20
EVENTS, QUARANTINE = "events", "quarantine"
STORED_EVENTS = EVENT_COLUMNS.remove(EVENT_COLUMNS.get_field_index("date"))
_SELDOM_REPEATED = ("event_time", "user_session")
READ = pa.schema([("date", pa.date32()), ("reason", pa.string()), ("rows", pa.int64()), ("example", pa.string())])


@dataclass(frozen=True)
class Piece:
    """The rows of a raw file that begin in a range of its bytes.

    Attributes:
        path: the file.
        day: the date at the heads of its rows; None where they have none.
        start, end: the range, in bytes.
        latest: the latest time that an event of it can have; None where any is possible.
    """

    path: StoragePath
    day: date | None
    start: int
    end: int
    latest: datetime | None


def pieces_of(path: StoragePath, size: int, day: date | None, latest: datetime | None) -> list[Piece]:
    """Cuts a raw file into pieces.

    Args:
        path: the file.
        size: its bytes.
        day: the date of its rows.
        latest: see Piece.
    """
    starts = range(0, size, PIECE_BYTES)
    return [Piece(path, day, start, min(start + PIECE_BYTES, size), latest) for start in starts]


def clean_piece(task: Task) -> None:
    """Writes the events of a piece, and the lines that are none, under their date.

    Item: Piece. Outputs: events, quarantine. Gives `read`, READ: of the events, whose reason is null, and of each
    reason the rows, and of a reason one of its lines.

    Raises:
        ValueError: when a row has another date than its file.
    """
    piece: Piece = task.item
    rejected: list[pa.Table] = []
    folder = partition_folder(piece.day)
    clean = task.output(EVENTS, STORED_EVENTS, _events(piece, task, rejected), _SELDOM_REPEATED, folder)
    lines = pa.concat_tables([REJECTED.empty_table(), *rejected])
    if len(lines):
        task.output(QUARANTINE, REJECTED, [lines], folder=folder)
    task.give("read", _counted(piece.day, clean, lines))


def _events(piece: Piece, task: Task, rejected: list[pa.Table]) -> Iterator[pa.Table]:
    """Yields the events block by block, and notes the other lines."""
    for block in _blocks(piece):
        found = read_lines(lines_of(block), piece.latest, lambda: task.database)
        if len(found.rejected):
            rejected.append(found.rejected)
        if len(found.events):
            days = pc.unique(found.events["date"]).to_pylist()
            if days != [piece.day]:
                raise ValueError(f"{piece.path} holds rows of {', '.join(map(str, days))}")
            yield found.events.select(STORED_EVENTS.names)


def _counted(day: date | None, clean: int, lines: pa.Table) -> pa.Table:
    reasons = lines.group_by("reason", use_threads=False).aggregate([("raw_line", "count"), ("raw_line", "first")])
    rows = [(day, None, clean, None)] if clean else []
    rows += [(day, *row) for row in zip(*(reasons[name].to_pylist() for name in _REASONS), strict=True)]
    return pa.Table.from_pylist([dict(zip(READ.names, row, strict=True)) for row in rows], READ)


_REASONS = ("reason", "raw_line_count", "raw_line_first")


def _blocks(piece: Piece) -> Iterator[bytes]:
    """Reads the rows that begin in a piece, in blocks of whole rows."""
    with cast(BinaryIO, piece.path.open("rb")) as stream:
        place = _first_row(stream, piece.start)
        for block in whole_rows(stream, str(piece.path)):
            if place >= piece.end:
                return
            if place + len(block) > piece.end:
                # the last row that begins before the end goes on to its line feed
                end = block.find(b"\n", max(0, piece.end - place - 1)) + 1
                yield block[:end] if end else block
                return
            yield block
            place += len(block)


def _first_row(stream: BinaryIO, start: int) -> int:
    """Goes to the first row that begins at a place or after it; returns where it begins."""
    if start == 0:
        return 0
    stream.seek(start - 1)
    return start - 1 + len(stream.readline())
