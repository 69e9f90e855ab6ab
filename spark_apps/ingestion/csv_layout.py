"""The CSV layout of an event log (SPEC D1): its header, and how a file of it is opened."""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from spark_apps.errors import BadInputError
from spark_apps.schemas import CSV_COLUMNS

HEADER = ",".join(CSV_COLUMNS)
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_GZIP_MAGIC = b"\x1f\x8b"
_LONGEST_HEADER = 4096


def open_log(path: Path) -> tuple[BinaryIO, BinaryIO]:
    """Opens an event log, plain or gzip whatever its name.

    Returns:
        The stream of CSV bytes, and the file underneath, whose position tells the progress.
    """
    raw = io.BufferedReader(io.FileIO(path), 1 << 20)
    compressed = raw.peek(2)[:2] == _GZIP_MAGIC
    return (cast(BinaryIO, gzip.open(raw, "rb")), cast(BinaryIO, raw)) if compressed else (cast(BinaryIO, raw),) * 2


@contextmanager
def unpacking(name: str) -> Iterator[None]:
    """Names the fault when what is read inside turns out to be a damaged gzip file.

    Raises:
        BadInputError: for a file that is cut short or has changed bytes.
    """
    try:
        yield
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise BadInputError(
            f"{name} cannot be unpacked, it is cut short or damaged ({error}): copy or download it again."
        ) from None


def take_header(stream: BinaryIO, name: str) -> bytes:
    """Reads the first line and checks that it is the layout's header.

    Args:
        stream: an open event log, at its beginning.
        name: what to call the file in an error.

    Returns:
        The header line as it stands, with its line end.

    Raises:
        BadInputError: when the file is empty, is not text, or has another header.
    """
    line = stream.readline(_LONGEST_HEADER)
    if not line:
        raise BadInputError(f"{name} is empty: an event log begins with the header {HEADER}.")
    try:
        text = line.removeprefix(_BYTE_ORDER_MARK).decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text or len(line) >= _LONGEST_HEADER:
        raise BadInputError(f"{name} is not a CSV text file: expected a file that begins with the header {HEADER}.")
    columns = next(csv.reader(io.StringIO(text)), [])
    if tuple(columns) != CSV_COLUMNS:
        raise BadInputError(f"{name} has another header: expected {HEADER}, found {text[:200]}.")
    return line
