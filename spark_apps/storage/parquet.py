"""Parquet files read without Spark, from a folder here or on HDFS.

A thread of Arrow's that meets an object of Python's while the interpreter ends takes the process down with it
(apache/arrow#34314). So Arrow reads files and memory of its own here, and no stream or bytes of Python's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from spark_apps.storage.paths import HdfsPath, StoragePath

Compression = Literal["zstd", "lz4"]
# what is brought of a file's end at once; a longer footer takes another request
_TAIL_BYTES = 64 << 10
# a Parquet file ends with its footer's length and four letters
_ENDING_BYTES = 8


def parquet_files(folder: StoragePath) -> tuple[StoragePath, ...]:
    """Returns the Parquet files of a folder, in the order of their names."""
    found: list[StoragePath] = sorted(folder.glob("*.parquet"), key=str)
    return tuple(found)


def read_parquet(folder: StoragePath, columns: Sequence[str], condition: pc.Expression | None = None) -> pa.Table:
    """Reads the files of a folder into one table, in the order of their names.

    Args:
        folder: holds at least one Parquet file.
        columns: the columns to read.
        condition: the rows to keep; None keeps all.
    """
    return pa.concat_tables([_read_part(path, list(columns), condition) for path in parquet_files(folder)])


def open_parquet(path: StoragePath, dictionaries: Sequence[str] = ()) -> pq.ParquetFile:
    """Brings a small file whole, with one request where it is on HDFS, and opens it.

    Args:
        path: the file.
        dictionaries: columns that are read as dictionary arrays, as far as they are stored so.
    """
    return pq.ParquetFile(pa.BufferReader(_content(path)), read_dictionary=list(dictionaries))


def _content(path: StoragePath) -> pa.Buffer:
    if isinstance(path, Path):
        with pa.OSFile(str(path)) as stream:
            return stream.read_buffer()
    content = path.read_bytes()
    memory = pa.allocate_buffer(len(content))
    _room(memory)[:] = np.frombuffer(content, np.uint8)
    return memory


def count_rows(path: StoragePath) -> int:
    """Returns a file's number of rows, which its footer holds."""
    if isinstance(path, Path):
        return int(pq.read_metadata(str(path)).num_rows)
    return int(_Brought(path).metadata.num_rows)


def read_batches(path: StoragePath, rows: int, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Reads a file a batch at a time.

    Args:
        path: the file.
        rows: most rows of a batch.
        columns: the columns to read, without columns inside them; None reads all.

    Yields:
        The batches; the file as it is stored is in memory where it comes from HDFS.
    """
    wanted = None if columns is None else list(columns)
    if isinstance(path, Path):
        with pq.ParquetFile(str(path)) as local:
            yield from local.iter_batches(rows, columns=wanted)
        return
    brought = _Brought(path)
    file = pq.ParquetFile(pa.BufferReader(brought.memory))
    for group in range(file.num_row_groups):
        brought.bring([group], wanted)
        yield from file.iter_batches(rows, row_groups=[group], columns=wanted)


def write_parquet(
    path: StoragePath, rows: pa.Table, rows_per_group: int | None = None, seldom_repeated: Sequence[str] = ()
) -> None:
    """Writes one file, in the place of the one that is there; its folder is made.

    Args:
        path: the file.
        rows: all of it, in memory once more as bytes.
        rows_per_group: rows that are read or skipped together.
        seldom_repeated: columns that take less room without a dictionary of their values.
    """
    write_parts(path, rows.schema, [rows], rows_per_group, seldom_repeated)


def write_parts(
    path: StoragePath,
    schema: pa.Schema,
    parts: Iterable[pa.Table],
    rows_per_group: int | None = None,
    seldom_repeated: Sequence[str] = (),
    compression: Compression = "zstd",
) -> None:
    """Writes one file of several tables, of which one at a time is in memory: see `write_parquet`.

    Args:
        path: the file.
        schema: of the tables.
        parts: the tables; a row group holds rows of one of them.
        rows_per_group: most rows of a row group.
        seldom_repeated: columns that take less room without a dictionary of their values.
        compression: lz4 takes a third more room and half the time of reading.
    """
    file = ParquetBuilder(path, schema, seldom_repeated, compression)
    for part in parts:
        file.add(part, rows_per_group)
    file.close()


def concatenate(path: StoragePath, schema: pa.Schema, files: Sequence[StoragePath], rows_at_once: int) -> int:
    """Writes one file of the rows of others, in their order, of which some rows at a time are in memory.

    Args:
        path: the file; see `write_parts`.
        schema: columns to take, and their types.
        files: those that it is made of.
        rows_at_once: most rows of a row group.

    Returns:
        Its rows.
    """
    builder, rows = ParquetBuilder(path, schema), 0
    for file in files:
        for batch in read_batches(file, rows_at_once, schema.names):
            builder.add(pa.Table.from_batches([batch]).select(schema.names).cast(schema))
            rows += batch.num_rows
    builder.close()
    return rows


class ParquetBuilder:
    """One file of tables that come one after another: it is in memory as it is stored, and written at its end."""

    def __init__(
        self,
        path: StoragePath,
        schema: pa.Schema,
        seldom_repeated: Sequence[str] = (),
        compression: Compression = "zstd",
    ) -> None:
        """Begins a file; nothing is there before `close`.

        Args:
            path: the file.
            schema: of the tables.
            seldom_repeated: columns that take less room without a dictionary of their values.
            compression: see `write_parts`.
        """
        self.path = path
        self._sink = pa.BufferOutputStream()
        repeated = [name for name in schema.names if name not in seldom_repeated] if seldom_repeated else True
        self._writer = pq.ParquetWriter(self._sink, schema, compression=compression, use_dictionary=repeated)

    def add(self, rows: pa.Table, rows_per_group: int | None = None) -> None:
        """Adds row groups of one table.

        Args:
            rows: columns of the schema.
            rows_per_group: most rows of a row group.
        """
        self._writer.write_table(rows, row_group_size=rows_per_group)

    def close(self) -> None:
        """Writes the file, in the place of the one that is there; its folder is made."""
        self._writer.close()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_bytes(self._sink.getvalue().to_pybytes())


class _Brought:
    """A file of HDFS in memory of Arrow's: its footer and the row groups that were asked for are, the rest is not."""

    def __init__(self, path: HdfsPath) -> None:
        self._path, self._size = path, path.stat().st_size
        self.memory = pa.allocate_buffer(self._size)
        tail = max(0, self._size - _TAIL_BYTES)
        self._bring(tail, self._size)
        length = int.from_bytes(_room(self.memory)[-_ENDING_BYTES:].tobytes()[:4], "little")
        footer = self._size - _ENDING_BYTES - length
        if footer < tail:
            self._bring(footer, tail)
        self.metadata = pq.read_metadata(pa.BufferReader(self.memory))

    def bring(self, groups: Sequence[int], columns: Sequence[str] | None = None) -> None:
        """Brings row groups, by their numbers; of some columns only what stands between the first and the last."""
        for group in groups:
            found = self.metadata.row_group(group)
            chunks = (found.column(number) for number in range(found.num_columns))
            places = [_place(chunk) for chunk in chunks if columns is None or chunk.path_in_schema in columns]
            self._bring(min(start for start, _ in places), max(end for _, end in places))

    def _bring(self, start: int, end: int) -> None:
        _room(self.memory)[start:end] = np.frombuffer(self._path.read_range(start, end - start), np.uint8)


def _place(column: pq.ColumnChunkMetaData) -> tuple[int, int]:
    """Where a column of a row group begins and ends in its file."""
    start = column.dictionary_page_offset if column.has_dictionary_page else column.data_page_offset
    return start, start + column.total_compressed_size


def _room(memory: pa.Buffer) -> np.ndarray:
    return np.frombuffer(memory, np.uint8)


def _read_part(path: StoragePath, columns: list[str], condition: pc.Expression | None) -> pa.Table:
    if isinstance(path, Path):
        return pq.read_table(str(path), columns=columns, filters=condition, partitioning=None)
    brought = _Brought(path)
    whole = ds.ParquetFileFormat().make_fragment(brought.memory)
    wanted = whole if condition is None else whole.subset(condition)  # by the bounds of each row group
    groups = [group.id for group in wanted.row_groups]
    brought.bring(groups)
    return whole.subset(row_group_ids=groups).to_table(columns=columns, filter=condition)
