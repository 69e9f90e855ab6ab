"""Writes tables of events as CSV text in the layout of SPEC D1, a file at a time or not at all."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv as pa_csv

# No value of an event holds a comma, a quote or a line end: "none" refuses to write one that would.
_OPTIONS = pa_csv.WriteOptions(include_header=False, quoting_style="none", batch_size=1 << 16)
_GZIP_LEVEL = 5


def write_csv(
    batches: Iterable[pa.Table],
    columns: Iterable[str],
    target: Path,
    on_progress: Callable[[int], None] | None = None,
) -> int:
    """Writes tables one below the other into one CSV file, gzip-compressed if its name ends in .gz.

    The file is written as `target`.part and renamed when it is complete; if anything goes wrong, or the
    writer is interrupted, there is no target and no part of it.

    Args:
        batches: tables with the same columns.
        columns: the names for the header line.
        target: the file to write; replaced if it is there.
        on_progress: called after each table with the rows written so far.

    Returns:
        Rows written, the header not counted.
    """
    rows = 0
    with _renamed_when_complete(target) as file:
        file.write((",".join(columns) + "\n").encode("ascii"))
        for batch in batches:
            pa_csv.write_csv(batch, file, _OPTIONS)
            rows += batch.num_rows
            if on_progress is not None:
                on_progress(rows)
    return rows


@contextmanager
def _renamed_when_complete(target: Path) -> Iterator[BinaryIO]:
    part = target.with_name(target.name + ".part")
    try:
        with part.open("wb") as raw:
            if target.suffix == ".gz":
                # No name and no time in the gzip header: the same events are the same bytes.
                with gzip.GzipFile("", "wb", _GZIP_LEVEL, raw, mtime=0) as packed:
                    yield packed  # type: ignore[misc]
            else:
                yield raw
        part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
