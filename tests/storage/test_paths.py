"""A path on HDFS does what a pathlib path does: each test runs on both."""

from __future__ import annotations

import errno
import os
import pickle
import threading
from pathlib import PureWindowsPath

import pytest

from spark_apps.errors import HdfsUnreachableError, UserError
from spark_apps.platform import webhdfs
from spark_apps.storage import HdfsPath, StoragePath, root_path, write_durably
from spark_apps.storage.paths import APPEND_BYTES, for_another_thread, refuse_no_folder
from tests.hdfs.server import HdfsServer


def test_files_and_folders_are_told_apart(folder: StoragePath) -> None:
    (folder / "date=2019-10-01" / "a b").mkdir(parents=True)
    (folder / "x=y.txt").write_text("ä")
    assert [path.name for path in sorted(folder.iterdir(), key=str)] == ["date=2019-10-01", "x=y.txt"]
    assert (folder / "date=2019-10-01").is_dir() and not (folder / "date=2019-10-01").is_file()
    assert (folder / "x=y.txt").is_file() and not (folder / "x=y.txt").is_dir()
    assert (folder / "x=y.txt").read_text() == "ä" and (folder / "x=y.txt").stat().st_size == 2
    absent = folder / "absent" / "deeper"
    assert not (absent.exists() or absent.is_dir() or absent.is_file())
    assert not (folder / "x=y.txt" / "below a file").exists()
    assert {path.name for path in folder.rglob("*")} == {"date=2019-10-01", "a b", "x=y.txt"}
    assert [path.name for path in folder.glob("date=*")] == ["date=2019-10-01"]
    assert list((folder / "absent").glob("*")) == []
    assert (folder / "date=2019-10-01" / "a b").relative_to(folder).as_posix() == "date=2019-10-01/a b"


def test_what_is_missing_or_in_the_way_is_told_as_by_the_system(folder: StoragePath) -> None:
    (folder / "file").write_text("x")
    with pytest.raises(FileNotFoundError):
        (folder / "absent").read_bytes()
    with pytest.raises(FileNotFoundError):
        (folder / "absent").stat()
    with pytest.raises(FileNotFoundError):
        (folder / "absent").unlink()
    (folder / "absent").unlink(missing_ok=True)
    with pytest.raises(FileNotFoundError):
        (folder / "absent" / "deeper").mkdir()
    with pytest.raises(FileExistsError):
        (folder / "file").mkdir(exist_ok=True)
    with pytest.raises(FileNotFoundError):
        (folder / "absent").rename(folder / "elsewhere")
    with pytest.raises(FileNotFoundError):
        list((folder / "absent").iterdir())


def test_folders_move_with_what_is_in_them_and_files_replace_files(folder: StoragePath) -> None:
    (folder / "one").mkdir()
    (folder / "one" / "file").write_text("1")
    (folder / "one").rename(folder / "two")
    assert not (folder / "one").exists() and (folder / "two" / "file").read_text() == "1"
    (folder / "new").write_text("new")
    (folder / "new").replace(folder / "two" / "file")
    assert (folder / "two" / "file").read_text() == "new" and not (folder / "new").exists()
    write_durably(folder / "two" / "file", "durable")
    assert (folder / "two" / "file").read_text() == "durable" and len(list((folder / "two").iterdir())) == 1


def test_a_folder_does_not_move_into_one_that_is_in_the_way(on_hdfs: HdfsPath) -> None:
    (on_hdfs / "one").mkdir()
    (on_hdfs / "two").mkdir()
    with pytest.raises(FileExistsError):
        (on_hdfs / "one").rename(on_hdfs / "two")
    assert list((on_hdfs / "two").iterdir()) == []


@pytest.mark.parametrize("size", [0, 1, APPEND_BYTES - 1, APPEND_BYTES, 2 * APPEND_BYTES + 7])
def test_appended_bytes_are_read_back_from_any_place(folder: StoragePath, size: int) -> None:
    content = bytes(range(251)) * (size // 251 + 1)
    path = folder / "bytes"
    with path.open("ab") as stream:
        stream.write(content[: size // 3])
    with path.open("ab") as stream:
        for start in range(size // 3, size, 1_000_003):
            stream.write(content[start : min(start + 1_000_003, size)])
    if size:
        assert path.stat().st_size == size
        with path.open("rb") as stream:
            assert stream.read() == content[:size]
            stream.seek(-min(5, size), 2)
            assert stream.read(3) == content[max(0, size - 5) : size][:3]
            stream.seek(size // 2)
            assert stream.read(10) == content[size // 2 : min(size // 2 + 10, size)]


def test_only_one_of_several_creates_a_file(on_hdfs: HdfsPath) -> None:
    path = on_hdfs / "lease"
    assert path.create(b"mine") and not path.create(b"yours")
    assert path.read_text() == "mine"


def test_files_have_the_copies_that_were_asked_for(on_hdfs: HdfsPath, hdfs_server: HdfsServer) -> None:
    folder = root_path(str(on_hdfs), hdfs_server.webhdfs, copies=3)
    (folder / "at once").write_text("x")
    with for_another_thread(folder / "in parts").open("ab") as stream:
        stream.write(b"x")
    (on_hdfs / "as HDFS thinks best").write_text("x")
    listed = dict(on_hdfs.connection.list(on_hdfs.path, status=True))
    copies = {name: status["replication"] for name, status in listed.items()}
    assert copies == {"at once": 3, "in parts": 3, "as HDFS thinks best": 1}


def test_a_path_travels_to_another_process_with_all_that_its_files_are_given(
    on_hdfs: HdfsPath, hdfs_server: HdfsServer
) -> None:
    folder = root_path(str(on_hdfs), hdfs_server.webhdfs, copies=3)
    arrived = pickle.loads(pickle.dumps(folder / "file"))
    arrived.write_text("x")
    assert arrived == folder / "file" and (on_hdfs / "file").read_text() == "x"
    [(_, status)] = on_hdfs.connection.list(on_hdfs.path, status=True)
    assert (status["replication"], status["owner"]) == (3, on_hdfs.connection.user)


def test_a_folder_of_somebody_else_is_not_written(on_hdfs: HdfsPath) -> None:
    visitor = HdfsPath(on_hdfs._authority, on_hdfs.path, webhdfs.client(on_hdfs.connection.url, "visitor"))
    with pytest.raises(PermissionError) as raised:
        (visitor / "x").write_text("x")
    assert raised.value.filename == str(on_hdfs / "x")


def test_a_full_quota_is_told_as_a_full_disk(on_hdfs: HdfsPath) -> None:
    admin = webhdfs.client(on_hdfs.connection.url, "hdfs")
    admin._request("PUT", f"{admin.url}/webhdfs/v1{on_hdfs.path}", params={"op": "SETQUOTA", "namespacequota": "2"})
    (on_hdfs / "one").mkdir()
    with pytest.raises(OSError) as raised:
        (on_hdfs / "two").mkdir()
    assert raised.value.errno == errno.EDQUOT


def test_a_namenode_that_is_not_there_is_told_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhdfs, "FIRST_PATIENCE_SECONDS", 0.5)
    root = root_path("hdfs://127.0.0.1:9/data", "http://127.0.0.1:9", "spark")
    with pytest.raises(HdfsUnreachableError, match=r"does not answer at http://127\.0\.0\.1:9"):
        root.exists()


def test_safe_mode_is_waited_for(on_hdfs: HdfsPath, hdfs_server: HdfsServer) -> None:
    hdfs_server.admin("-safemode", "enter")
    leaving = threading.Timer(1.5, lambda: hdfs_server.admin("-safemode", "leave"))
    leaving.start()
    (on_hdfs / "made later").mkdir()
    leaving.join()
    assert (on_hdfs / "made later").is_dir()


@pytest.mark.parametrize("root", ["s3://bucket/data", "hdfs:///data", "~nobody-of-this-name/data"])
def test_a_root_that_cannot_be_used_is_refused(root: str) -> None:
    with pytest.raises(UserError, match="--root"):
        root_path(root)


@pytest.mark.parametrize(
    "name",
    ["a?b", "a*b", "a|b", "a:b", 'a"b', "<a>", "a\tb", "con", "NUL", "nul.csv", "Com1", "dot.", "space ", "..."],
)
def test_what_windows_takes_for_no_folder_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"--root.*on Windows no folder can be called"):
        refuse_no_folder(PureWindowsPath(f"C:\\shop\\{name}\\data"))


@pytest.mark.parametrize(
    "path",
    ["C:\\shop data", "C:/shop/../data", "\\\\server\\share\\Лада", "\\\\?\\C:\\a", "C:\\[1] 50%'{}", "C:\\console"],
)
def test_windows_own_folders_are_not_refused(path: str) -> None:
    refuse_no_folder(PureWindowsPath(path))


def test_the_string_of_a_path_is_what_spark_reads() -> None:
    root = root_path("hdfs://namenode:8020/data/")
    assert (
        str(root / "processed/events" / "date=2019-10-01")
        == "hdfs://namenode:8020/data/processed/events/date=2019-10-01"
    )
    assert root / "a" == root_path("hdfs://namenode:8020/data/a") and root.parents[0].name == ""
    with pytest.raises(TypeError, match="on HDFS"):
        os.fspath(root)  # type: ignore[type-var]
