"""Pieces of raw files as items of work, and the unit that makes events and quarantine of them (SPEC D3, D4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.compute as pc

from spark_apps import schemas
from spark_apps.engine.base import Task
from spark_apps.ingestion.landing import whole_rows
from spark_apps.ingestion.lines import REJECTED, lines_of, read_lines
from spark_apps.storage import StoragePath
from spark_apps.tables import partition_folder

# A file is cut into pieces of so many bytes, so that the cores have equal shares of few large files.
PIECE_BYTES = 64 << 20
EVENTS, QUARANTINE = "events", "quarantine"
STORED_EVENTS = schemas.EVENTS.remove(schemas.EVENTS.get_field_index("date"))
_SELDOM_REPEATED = ("event_time", "user_session")
READ = pa.schema([("date", pa.date32()), ("reason", pa.string()), ("rows", pa.int64())])


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


def pieces_of(path: StoragePath, size: int, day: date | None, latest: datetime | None, start: int = 0) -> list[Piece]:
    """Cuts a raw file into pieces.

    Args:
        path: the file.
        size: its bytes.
        day: the date of its rows.
        latest: see Piece.
        start: where its first row begins.
    """
    starts = range(start, size, PIECE_BYTES)
    return [Piece(path, day, start, min(start + PIECE_BYTES, size), latest) for start in starts]


def clean_piece(task: Task) -> None:
    """Writes the events of a piece, and the lines that are none, under their date.

    Item: Piece. Outputs: events, quarantine. Gives `read`, READ: the rows by date and reason, null for events. An
    event of another date than its file's, which a change by hand may have made, is counted under its own and not
    written.
    """
    piece: Piece = task.item
    rejected: list[pa.Table] = []
    strayed: list[pa.Table] = []
    folder = partition_folder(piece.day)
    events = _events(piece, task, rejected, strayed)
    clean = task.output(EVENTS, STORED_EVENTS, events, _SELDOM_REPEATED, folder)
    lines = pa.concat_tables([REJECTED.empty_table(), *rejected])
    if len(lines):
        task.output(QUARANTINE, REJECTED, [lines], folder=folder)
    task.give("read", _counted(piece.day, clean, lines, strayed))


def _events(piece: Piece, task: Task, rejected: list[pa.Table], strayed: list[pa.Table]) -> Iterator[pa.Table]:
    """Yields the events of the piece's date block by block, and notes the other lines and events."""
    for block in blocks_of(piece):
        found = read_lines(lines_of(block), piece.latest, lambda: task.database)
        if len(found.rejected):
            rejected.append(found.rejected)
        events = found.events
        if len(events) and pc.unique(events["date"]).to_pylist() != [piece.day]:
            here = pc.equal(events["date"], pa.scalar(piece.day, pa.date32())).fill_null(False)
            strayed.append(events.filter(pc.invert(here)))
            events = events.filter(here)
        if len(events):
            yield events.select(STORED_EVENTS.names)


def _counted(day: date | None, clean: int, lines: pa.Table, strayed: list[pa.Table]) -> pa.Table:
    counts = [(day, None, clean), *((day, *reason) for reason in _by(lines["reason"]))]
    counts += [(other, None, rows) for events in strayed for other, rows in _by(events["date"])]
    return pa.Table.from_pylist([dict(zip(READ.names, row, strict=True)) for row in counts if row[-1]], READ)


def _by(column: pa.ChunkedArray) -> list[tuple[Any, int]]:
    counted = column.value_counts()
    return list(zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True))


def blocks_of(piece: Piece) -> Iterator[bytes]:
    """Reads the rows that begin in a piece, in blocks of whole rows.

    Raises:
        BadInputError: for a row that is too long to be one.
    """
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
