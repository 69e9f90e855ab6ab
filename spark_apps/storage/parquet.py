"""Parquet files read without Spark, from a folder here or on HDFS."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from spark_apps.storage.paths import StoragePath


def read_parquet(folder: StoragePath, columns: Sequence[str], condition: pc.Expression | None = None) -> pa.Table:
    """Reads the files of a folder into one table, in the order of their names.

    Args:
        folder: holds at least one Parquet file.
        columns: the columns to read.
        condition: the rows to keep; None keeps all.
    """
    files: list[StoragePath] = sorted(folder.glob("*.parquet"), key=str)
    return pa.concat_tables([_read_part(path, list(columns), condition) for path in files])


def _read_part(path: StoragePath, columns: list[str], condition: pc.Expression | None) -> pa.Table:
    with path.open("rb") as stream:
        return pq.read_table(stream, columns=columns, filters=condition)


def open_parquet(path: StoragePath) -> pq.ParquetFile:
    """Brings a small file whole, with one request where it is on HDFS, and opens it."""
    return pq.ParquetFile(pa.BufferReader(path.read_bytes()))


def write_parquet(path: StoragePath, rows: pa.Table, rows_per_group: int | None = None) -> None:
    """Writes one file, in the place of the one that is there; its folder is made.

    Args:
        path: the file.
        rows: all of it, in memory once more as bytes.
        rows_per_group: rows that are read or skipped together.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(rows, sink, compression="zstd", row_group_size=rows_per_group)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(sink.getvalue().to_pybytes())
