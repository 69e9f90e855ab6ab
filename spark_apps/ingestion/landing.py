"""Lands the raw rows of a file, untouched, in one file per date (SPEC D2).

The work is cutting a byte stream at date changes. A block of rows that all begin with the same
date, which is nearly every block of a file in time order, is recognised by counting and copied
whole: no row in it is looked at. Only blocks with several dates are split row by row. Reading and hashing are done in
one thread, splitting and writing in another.
"""

from __future__ import annotations

import hashlib
import io
import re
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, TypeVar, cast

import numpy as np

from spark_apps.errors import BadInputError
from spark_apps.ingestion.csv_layout import open_log, take_header, unpacking
from spark_apps.storage import StoragePath

BLOCK_BYTES = 4 << 20
# Blocks that are read before they are written.
_BLOCKS_AHEAD = 4
# More dates than this in turn close the file used least recently: memory and file handles stay bounded.
OPEN_DATES = 64
LONGEST_ROW = 64 << 20
# What a row begins with: its date, perhaps quoted. Spark drops a byte order mark, so it is looked through here too.
_HEAD = re.compile(rb'(?:\xef\xbb\xbf)?"?\d{4}-\d\d-\d\d')
_DATE_BYTES = len("2019-10-01")
_LINE_FEED = ord("\n")
_Item = TypeVar("_Item")


@dataclass
class LandedFile:
    """What became of one input file.

    Attributes:
        name: the file's name, without folders.
        bytes: its size as given, compressed if it was.
        sha256: SHA-256 of its CSV bytes, after decompression: the identity of its content.
        rows_per_date: rows below the header for each date; None holds those without a readable date.
    """

    name: str
    bytes: int
    sha256: str
    rows_per_date: dict[date | None, int] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """Rows below the header."""
        return sum(self.rows_per_date.values())


def content_sha256(path: Path) -> str:
    """Returns the SHA-256 of a file's CSV bytes, after decompression."""
    digest = hashlib.sha256()
    stream, underneath = open_log(path)
    with stream, underneath, unpacking(path.name):
        while block := stream.read(BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()


def land(source: Path, target_of: Callable[[date | None], StoragePath], progress: Callable[[int], None]) -> LandedFile:
    """Cuts one event log by date in a single streaming pass with bounded memory.

    Args:
        source: a CSV file in the layout of SPEC D1, plain or gzip.
        target_of: the new file for the rows of a date, or of no readable date (None).
        progress: told the position in the source file, in bytes, now and then.

    Returns:
        The file's size, digest and rows per date.

    Raises:
        BadInputError: when the file is not an event log; some targets may have been begun.
    """
    stream, underneath = open_log(source)
    digest = hashlib.sha256()
    landed = LandedFile(source.name, source.stat().st_size, "")
    with stream, underneath, unpacking(source.name), _DateFiles(target_of) as files:
        digest.update(take_header(stream, source.name))
        blocks = ((block, underneath.tell()) for block in whole_rows(stream, source.name, digest.update))
        with closing(_ahead(blocks)) as read:
            for block, position in read:
                for day, rows, count in split_by_date(block):
                    files.append(day, rows)
                    landed.rows_per_date[day] = landed.rows_per_date.get(day, 0) + count
                progress(position)
    landed.sha256 = digest.hexdigest()
    return landed


def _ahead(items: Iterator[_Item]) -> Generator[_Item, None, None]:
    """Yields items that another thread takes from an iterator, and what it raises, in their order.

    When this ends or is closed, the other thread has ended.
    """
    with ThreadPoolExecutor(1) as reader:
        try:
            waiting = deque(reader.submit(next, items, None) for _ in range(_BLOCKS_AHEAD))
            while (item := waiting.popleft().result()) is not None:
                yield item
                waiting.append(reader.submit(next, items, None))
        finally:
            reader.shutdown(cancel_futures=True)


def split_by_date(block: bytes) -> Iterator[tuple[date | None, bytes, int]]:
    """Cuts whole rows into runs that begin with the same date.

    Args:
        block: rows, each ended by a line feed, except that the last may lack it.

    Yields:
        The date (None where the row does not begin with one), the rows' bytes, their number.
    """
    head = _row_head(block)
    # NumPy counts a byte four times as quickly as bytes does
    rows = int(np.count_nonzero(np.frombuffer(block, np.uint8) == _LINE_FEED)) + (not block.endswith(b"\n"))
    if head and block.count(b"\n" + head) + 1 == rows:
        yield _readable_date(head), block, rows
        return
    for start, run in groupby(io.BytesIO(block), _row_head):  # BytesIO cuts at line feeds alone
        lines = list(run)
        yield _readable_date(start), b"".join(lines), len(lines)


def date_of_row(row: bytes) -> date | None:
    """Returns the date that a row begins with; None where it does not."""
    return _readable_date(_row_head(row))


def _row_head(row: bytes) -> bytes:
    head = _HEAD.match(row)
    return head.group() if head else b""


def _readable_date(head: bytes) -> date | None:
    try:
        return date.fromisoformat(head[-_DATE_BYTES:].decode("ascii"))
    except ValueError:
        return None


def whole_rows(stream: BinaryIO, name: str, seen: Callable[[bytes], None] | None = None) -> Iterator[bytes]:
    """Reads rows in blocks of a few MiB that end where a row ends; the last one may lack its line end.

    Args:
        stream: a log, open where a row begins.
        name: what to call it in an error.
        seen: is given the bytes as they are read.

    Raises:
        BadInputError: for a row that is too long to be one.
    """
    rest = b""
    while block := stream.read(BLOCK_BYTES):
        if seen is not None:
            seen(block)
        end = block.rfind(b"\n") + 1
        if end == 0:
            rest += block
            if len(rest) > LONGEST_ROW:
                raise BadInputError(f"{name} holds a row of over {LONGEST_ROW >> 20} MiB: it is not an event log.")
            continue
        yield rest + block[:end] if rest else block[:end]
        rest = block[end:]
    if rest:
        yield rest


class _DateFiles:
    """The output files of a pass, one a date, at most OPEN_DATES of them open at a time."""

    def __init__(self, target_of: Callable[[date | None], StoragePath]) -> None:
        self._target_of = target_of
        self._open: OrderedDict[date | None, BinaryIO] = OrderedDict()

    def append(self, day: date | None, rows: bytes) -> None:
        if day not in self._open:
            self._open_file(day)
        self._open.move_to_end(day)
        self._open[day].write(rows)

    def _open_file(self, day: date | None) -> None:
        if len(self._open) >= OPEN_DATES:
            _, oldest = self._open.popitem(last=False)
            oldest.close()
        target = self._target_of(day)
        target.parent.mkdir(parents=True, exist_ok=True)
        self._open[day] = cast(BinaryIO, target.open("ab"))

    def __enter__(self) -> _DateFiles:
        return self

    def __exit__(self, *raised: object) -> None:
        for stream in self._open.values():
            stream.close()
