"""What is taken as an event log, and what is refused with which words (SPEC D1, D4)."""

from __future__ import annotations

import gzip
import os
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from spark_apps.errors import BadInputError, UnusableFileError, UserError, readable_file
from spark_apps.ingestion.csv_layout import open_log, take_header
from tests.factory import HEADER, csv_line


def header_of(content: bytes, folder: Path) -> bytes:
    path = folder / "log.csv"
    path.write_bytes(content)
    stream, underneath = open_log(path)
    with stream, underneath:
        return take_header(stream, path.name)


@pytest.mark.parametrize(
    "content",
    [
        HEADER.encode(),
        HEADER.encode() + b"\n",
        HEADER.encode() + b"\r\n" + csv_line().encode(),
        b"\xef\xbb\xbf" + HEADER.encode() + b"\n",
        ",".join(f'"{name}"' for name in HEADER.split(",")).encode() + b"\n",
        gzip.compress(HEADER.encode() + b"\n"),
    ],
    ids=["no line end", "LF", "CRLF", "byte order mark", "quoted", "gzip"],
)
def test_the_header_is_taken_however_it_is_written(content: bytes, tmp_path: Path) -> None:
    line = header_of(content, tmp_path)
    assert line.decode("utf-8-sig").rstrip().replace('"', "") == HEADER


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "log.csv is empty"),
        (gzip.compress(b"", mtime=0), "log.csv is empty"),
        (b"\n", "log.csv has another header"),
        (b"event_time,event_type\n", "log.csv has another header"),
        (csv_line().encode() + b"\n", "log.csv has another header"),
        (HEADER.replace(",", ";").encode(), "log.csv has another header"),
        (HEADER.encode() + b",extra\n", "log.csv has another header"),
        (HEADER.replace("brand,price", "price,brand").encode(), "log.csv has another header"),
        (HEADER.upper().encode(), "log.csv has another header"),
        (HEADER.encode("utf-16"), "log.csv is not a CSV text file"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "log.csv is not a CSV text file"),
        (random.Random(1).randbytes(10_000), "log.csv is not a CSV text file"),
        (b"x" * 10_000, "log.csv is not a CSV text file"),
        (b"PAR1\x15\0", "log.csv is not a CSV text file"),
    ],
)
def test_anything_else_is_refused_saying_what_was_expected(content: bytes, fault: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError) as refused:
        header_of(content, tmp_path)
    assert str(refused.value).startswith(fault)
    assert HEADER in str(refused.value)
    assert "\n" not in str(refused.value)


def test_another_header_is_shown_but_not_all_of_a_long_one(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"found time,what,x+\.$") as refused:
        header_of(b"time,what," + b"x" * 3000 + b"\n", tmp_path)
    assert len(str(refused.value)) < 500


def no_file(folder: Path) -> Path:
    return folder / "nothing.csv"


def a_folder(folder: Path) -> Path:
    (folder / "events").mkdir()
    return folder / "events"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        (no_file, "There is no file {}: check the name."),
        (a_folder, "{} is a folder: name the CSV files in it, for example {}/*.csv."),
    ],
)
def test_a_path_that_is_no_file_is_refused(path: Callable[[Path], Path], message: str, tmp_path: Path) -> None:
    given = path(tmp_path)
    with pytest.raises(UnusableFileError) as refused:
        readable_file(given)
    assert str(refused.value) == message.format(given, given)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_a_file_without_permission_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(HEADER)
    path.chmod(0)
    with pytest.raises(UnusableFileError, match=r"cannot be read \(Permission denied\): check its owner"):
        readable_file(path)


def test_a_part_of_the_path_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(HEADER)
    with pytest.raises(UserError, match="Not a directory"):
        readable_file(tmp_path / "log.csv" / "log.csv")
