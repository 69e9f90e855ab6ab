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
    return pa.concat_tables([_read_file(path, list(columns), condition) for path in files])


def _read_file(path: StoragePath, columns: list[str], condition: pc.Expression | None) -> pa.Table:
    with path.open("rb") as stream:
        return pq.read_table(stream, columns=columns, filters=condition)
