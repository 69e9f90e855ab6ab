"""The files that Spark hands over: what their names and bytes say."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import PurePosixPath
from urllib.parse import quote, unquote

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_apps.ingestion.csv_layout import HEADER
from spark_apps.storage import StoragePath
from spark_apps.streaming.drops import read_drop

# Bytes of a file's beginning that are looked at: the header, with room for a byte order mark and a line end.
_HEAD_BYTES = len(HEADER) + 8
_BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True)
class Dropped:
    """A file: its path as Spark has it, its name, number and drop time, its size and SHA-256, its first line."""

    path: str
    name: str
    sequence: int | None
    dropped_at: datetime
    bytes: int
    sha256: str
    header: str

    @property
    def identity(self) -> str:
        """What the same file has under every name: the hash of its bytes, or the name of a file without any."""
        return self.sha256 if self.bytes else self.name

    @property
    def is_event_log(self) -> bool:
        """Whether the first line is the layout's header."""
        return self.header == HEADER


def read_dropped(files: DataFrame) -> list[Dropped]:
    """Returns the files of a micro-batch, at most maxFilesPerTrigger.

    Args:
        files: rows of Spark's binaryFile source.
    """
    return [_dropped(**row.asDict()) for row in files.select(*_columns()).collect()]


def read_empty(incoming: StoragePath) -> list[Dropped]:
    """Returns the files without a byte, which Spark passes over: a micro-batch without a row stands for one of them."""
    found: list[StoragePath] = sorted(incoming.glob("*.csv"), key=str)
    statuses = [(path, path.stat()) for path in found]
    nothing = hashlib.sha256(b"").hexdigest()
    return [
        _dropped(quote(str(path)), int(status.st_mtime * 1e6), 0, nothing, "")
        for path, status in statuses
        if not status.st_size
    ]


def _columns() -> list[Column]:
    head = F.substring("content", 1, _HEAD_BYTES).cast("string")
    return [
        F.col("path"),
        F.unix_micros("modificationTime").alias("modified"),
        F.col("length"),
        F.sha2("content", 256).alias("sha256"),
        F.make_valid_utf8(F.substring_index(head, "\n", 1)).alias("header"),
    ]


def _dropped(path: str, modified: int, length: int, sha256: str, header: str) -> Dropped:
    name = unquote(PurePosixPath(path).name)
    drop = read_drop(name)
    return Dropped(
        path=unquote(path),
        name=name,
        sequence=drop.sequence if drop else None,
        dropped_at=drop.dropped_at if drop else datetime.fromtimestamp(modified / 1e6, timezone.utc),
        bytes=length,
        sha256=sha256,
        header=header.removeprefix(_BYTE_ORDER_MARK).rstrip("\r"),
    )
