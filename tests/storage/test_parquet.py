"""Parquet files read without Spark, here and on HDFS."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from spark_apps.storage import (
    HdfsPath,
    ParquetBuilder,
    StoragePath,
    concatenate,
    count_rows,
    open_parquet,
    parquet_files,
    read_batches,
    read_parquet,
    write_parquet,
)

ROWS, ROWS_PER_GROUP = 40_000, 1_000


def stored_users(folder: StoragePath, columns: int = 1) -> pa.Table:
    """Two files of users in order, whose footers grow with the number of columns."""
    values = {f"value_{n}": [(7 * user + n) % 1009 for user in range(ROWS)] for n in range(columns)}
    users = pa.table({"user_id": range(ROWS), **values})
    write_parquet(folder / "part-0.parquet", users.slice(0, ROWS // 2), ROWS_PER_GROUP)
    write_parquet(folder / "part-1.parquet", users.slice(ROWS // 2), ROWS_PER_GROUP)
    return users


@pytest.mark.parametrize("columns", [1, 12])
def test_wanted_rows_and_columns_are_read_in_the_order_of_the_files(folder: StoragePath, columns: int) -> None:
    users = stored_users(folder, columns)
    assert read_parquet(folder, users.column_names).equals(users)
    assert read_parquet(folder, ["value_0"]).equals(users.select(["value_0"]))
    one = read_parquet(folder, ["value_0"], pc.field("user_id") == 31_415)
    assert one.to_pylist() == [{"value_0": 7 * 31_415 % 1009}]
    assert read_parquet(folder, ["user_id"], pc.field("user_id") == ROWS).num_rows == 0


def test_a_file_without_a_row_is_read(folder: StoragePath) -> None:
    nobody = pa.table({"user_id": pa.array([], pa.int64())})
    write_parquet(folder / "part-0.parquet", nobody)
    assert read_parquet(folder, ["user_id"]).equals(nobody)
    assert read_parquet(folder, ["user_id"], pc.field("user_id") == 1).equals(nobody)
    assert list(read_batches(folder / "part-0.parquet", 10)) == [] and count_rows(folder / "part-0.parquet") == 0


def test_files_are_put_together_in_their_order(folder: StoragePath) -> None:
    users = stored_users(folder, 3)
    schema = pa.schema([("value_1", pa.int32()), ("user_id", pa.int64())])
    rows = concatenate(folder / "whole" / "all.parquet", schema, parquet_files(folder), ROWS_PER_GROUP)
    assert rows == ROWS
    assert read_parquet(folder / "whole", schema.names).equals(users.select(schema.names).cast(schema))
    with open_parquet(folder / "whole" / "all.parquet") as file:
        assert file.num_row_groups == ROWS // ROWS_PER_GROUP


def test_a_file_is_there_whole_or_not_at_all(folder: StoragePath) -> None:
    users = pa.table({"user_id": range(ROWS), "name": [f"user {n}" for n in range(ROWS)]})
    file = ParquetBuilder(folder / "new" / "part-0.parquet", users.schema, seldom_repeated=["name"])
    for start in range(0, ROWS, ROWS_PER_GROUP):
        file.add(users.slice(start, ROWS_PER_GROUP))
    assert not (folder / "new").exists()
    file.close()
    assert read_parquet(folder / "new", users.column_names).equals(users)


def test_a_file_is_read_in_batches(folder: StoragePath) -> None:
    users = stored_users(folder)
    path = folder / "part-1.parquet"
    batches = list(read_batches(path, 300))
    assert max(batch.num_rows for batch in batches) == 300
    assert pa.Table.from_batches(batches).equals(users.slice(ROWS // 2))
    some = pa.Table.from_batches(list(read_batches(path, 300, ["user_id"])))
    assert some.equals(users.slice(ROWS // 2).select(["user_id"]))
    assert count_rows(path) == ROWS // 2
    assert open_parquet(path).read().equals(users.slice(ROWS // 2))


def test_a_missing_file_is_missing(folder: StoragePath) -> None:
    for read in (count_rows, open_parquet, lambda path: list(read_batches(path, 10))):
        with pytest.raises(FileNotFoundError):
            read(folder / "part-0.parquet")


def test_threads_of_arrow_meet_no_object_of_python(folder: StoragePath, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that does while the interpreter ends takes the process down with it, after its work is done."""
    users = stored_users(folder)
    threads: set[int] = set()
    read_range = HdfsPath.read_range

    def seen(path: HdfsPath, offset: int, length: int | None) -> bytes:
        threads.add(threading.get_ident())
        return read_range(path, offset, length)

    def refused(*_: Any, **__: Any) -> Any:
        raise AssertionError("Arrow is given a stream of Python's")

    monkeypatch.setattr(HdfsPath, "read_range", seen)
    monkeypatch.setattr(HdfsPath, "open", refused)
    monkeypatch.setattr(Path, "open", refused)
    monkeypatch.setattr(pa, "BufferReader", only_of_arrow(pa.BufferReader))
    assert read_parquet(folder, users.column_names, pc.field("value_0") < 5).num_rows > 0
    assert sum(batch.num_rows for batch in read_batches(folder / "part-0.parquet", 100)) == ROWS // 2
    assert open_parquet(folder / "part-0.parquet").read().num_rows == count_rows(folder / "part-0.parquet")
    assert threads <= {threading.get_ident()}


def only_of_arrow(reader: Any) -> Any:
    """A reader that takes nothing but memory of Arrow's own."""

    def read(memory: object) -> Any:
        assert isinstance(memory, pa.Buffer)
        return reader(memory)

    return read


def test_of_a_file_on_hdfs_the_row_groups_of_the_wanted_rows_are_brought(
    on_hdfs: HdfsPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored_users(on_hdfs, columns=12)
    size = sum(path.stat().st_size for path in on_hdfs.glob("*.parquet"))
    read_range, brought = HdfsPath.read_range, list[int]()

    def counted(path: HdfsPath, offset: int, length: int | None) -> bytes:
        content = read_range(path, offset, length)
        brought.append(len(content))
        return content

    monkeypatch.setattr(HdfsPath, "read_range", counted)
    assert read_parquet(on_hdfs, ["value_3"], pc.field("user_id") == 5).num_rows == 1
    assert sum(brought) < size / 3


def test_a_column_that_seldom_repeats_is_written_without_a_dictionary(tmp_path: Path) -> None:
    times = pa.table({"user_id": [n % 7 for n in range(ROWS)], "time": range(ROWS)})
    for name, plain in (("with.parquet", []), ("without.parquet", ["time"])):
        write_parquet(tmp_path / name, times, seldom_repeated=plain)
        assert open_parquet(tmp_path / name).read().equals(times)
    group = open_parquet(tmp_path / "without.parquet").metadata.row_group(0)
    assert [group.column(place).has_dictionary_page for place in (0, 1)] == [True, False]
