"""What a user can get wrong, through the command itself: one sentence, exit code 2, earlier tables intact (SPEC Q3)."""

from __future__ import annotations

import errno
import gzip
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from spark_apps.cli import main
from spark_apps.engine.published import table_relation
from spark_apps.errors import DiskFullError, NotWritableError, UserError, from_engine_error, from_os_error
from spark_apps.jobs import clean
from spark_apps.platform import webhdfs
from spark_apps.tables import EVENTS, DateRange
from tests.engines import local_engine
from tests.factory import HEADER, csv_line, rows_of_files, write_log

REPOSITORY = Path(__file__).resolve().parents[2]
WITH_ROOT = [
    ["load", "{log}"],
    ["clean"],
    ["analyze"],
    ["features"],
    ["segment"],
    ["train"],
    ["recommend", "--user", "1"],
    ["report"],
    ["models", "list"],
    ["models", "show", "als"],
    ["models", "promote", "als", "20191101T060000Z"],
    ["models", "rollback", "als"],
]


@dataclass(frozen=True)
class Outcome:
    exit_code: int
    stdout: str
    stderr: str

    @property
    def error(self) -> str:
        """The one sentence, checked to be the last line, with code 2 and without a stack trace."""
        assert self.exit_code == 2, self.stderr
        assert "Traceback" not in self.stderr and "\tat " not in self.stderr
        errors = [line for line in self.stderr.splitlines() if line.startswith("Error: ")]
        assert errors == self.stderr.splitlines()[-1:]
        return errors[0].removeprefix("Error: ")


def run(*arguments: object) -> Outcome:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    return Outcome(result.exit_code, result.stdout, result.stderr)


def raw_files(root: Path) -> dict[str, tuple[int, bytes]]:
    found = [path for path in (root / "raw").rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): (path.stat().st_mtime_ns, path.read_bytes()) for path in found}


def staging_left(root: Path) -> list[Path]:
    return [path for path in (root / "temp" / "publish").iterdir() if path.is_dir()]


BAD_FILES = {
    "empty": (b"", "x.csv is empty: an event log begins with the header " + HEADER),
    "another header": (b"time,what\n1,2\n", f"x.csv has another header: expected {HEADER}, found time,what."),
    "no header": (csv_line().encode(), "x.csv has another header"),
    "picture": (b"\x89PNG\r\n\x1a\n\0\0", "x.csv is not a CSV text file: expected a file that begins with"),
    "spreadsheet": (b"PK\x03\x04\x14\0\x06\0", "x.csv is not a CSV text file"),
    "short gzip": (gzip.compress(HEADER.encode() * 9999)[:90], "x.csv cannot be unpacked, it is cut short or damaged"),
}


@pytest.mark.parametrize("kind", BAD_FILES)
def test_a_file_that_is_no_event_log_is_refused_whole(kind: str, tmp_path: Path) -> None:
    content, told = BAD_FILES[kind]
    root, good, bad = tmp_path / "root", write_log(tmp_path / "good.csv", [csv_line()]), tmp_path / "x.csv"
    bad.write_bytes(content)
    assert run("load", good, "--root", root).exit_code == 0
    before = raw_files(root)
    assert told in run("load", bad, "--root", root).error
    assert raw_files(root) == before
    assert staging_left(root) == []


@pytest.mark.parametrize("command", WITH_ROOT, ids=lambda command: " ".join(command[:2]))
def test_a_namenode_that_does_not_answer_is_named(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = write_log(tmp_path / "log.csv", [csv_line()])
    empty = tmp_path / "here"
    empty.mkdir()
    monkeypatch.chdir(empty)
    monkeypatch.setattr(webhdfs, "FIRST_PATIENCE_SECONDS", 0.2)
    root = "hdfs://127.0.0.1:9/data"  # where nothing listens
    told = run(*[part.format(log=log) for part in command], "--root", root).error
    expected = (
        "works in a folder of this machine" if command[0] == "demo" else "HDFS does not answer at http://127.0.0.1"
    )
    assert expected in told
    assert list(empty.iterdir()) == []  # nothing called hdfs: was made


@pytest.mark.parametrize("command", WITH_ROOT, ids=lambda command: " ".join(command[:2]))
def test_a_root_that_is_a_file_is_refused(command: list[str], tmp_path: Path) -> None:
    log = write_log(tmp_path / "log.csv", [csv_line()])
    before = log.read_bytes()
    told = run(*[part.format(log=log) for part in command], "--root", log).error
    if command[0] not in ("models", "recommend"):  # these only look, and find no models
        assert told == f"{log} is a file where a folder is needed: choose another --root."
    assert log.read_bytes() == before


@pytest.mark.parametrize("command", [["load", "{log}"], ["clean"], ["train"]], ids=lambda command: command[0])
def test_a_root_without_permission_to_write_is_named(
    command: list[str], for_everybody: Path, as_nobody: Callable[[Callable[[], Any]], Any]
) -> None:
    root, log = for_everybody / "root", write_log(for_everybody / "log.csv", [csv_line()])
    assert run("load", log, "--root", root).exit_code == 0
    more = write_log(for_everybody / "more.csv", [csv_line(user_id=2)])
    before = raw_files(root)
    everything = [root, *root.rglob("*")]
    for path in everything:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        arguments = [*[part.format(log=more) for part in command], "--root", root]
        told = Outcome(**as_nobody(lambda: asdict(run(*arguments)))).error
    finally:
        for path in everything:
            path.chmod(0o755 if path.is_dir() else 0o644)
    assert told.startswith(f"No permission to write under {root}")
    assert told.endswith("choose another --root or change the folder's owner or mode.")
    assert raw_files(root) == before


def test_a_file_without_permission_to_read_is_named(
    for_everybody: Path, as_nobody: Callable[[Callable[[], Any]], Any]
) -> None:
    log = write_log(for_everybody / "log.csv", [csv_line()])
    log.chmod(0)
    told = Outcome(**as_nobody(lambda: asdict(run("load", log, "--root", for_everybody / "root")))).error
    assert str(log) in told
    assert "cannot be read" in told or "is not readable" in told


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def test_load_on_a_full_disk_leaves_what_was_there(small_disk: Path, tmp_path: Path) -> None:
    root = small_disk / "root"
    small = write_log(tmp_path / "small.csv", [csv_line()])
    large = write_log(tmp_path / "large.csv", [csv_line(user_id=n) for n in range(60_000)])
    assert run("load", small, "--root", root).exit_code == 0
    before = raw_files(root)
    told = run("load", large, "--root", root).error
    assert told.startswith("No space left while writing under")
    assert "free some space there or choose another --root" in told
    assert raw_files(root) == before
    assert staging_left(root) == []
    assert run("load", write_log(tmp_path / "other.csv", [csv_line(user_id=2)]), "--root", root).exit_code == 0


@pytest.mark.parametrize("engine", ["local", "spark"])
def test_clean_on_a_full_disk_leaves_what_was_there(
    engine: str, small_disk: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if engine == "spark":
        request.getfixturevalue("java")
    root = small_disk / "root"
    # sessions that do not compress: the clean rows need about as much room as the raw ones
    lines = [csv_line(user_id=n, user_session=os.urandom(40).hex()) for n in range(8_000)]
    run("load", write_log(tmp_path / "small.csv", lines[:2_000]), "--root", root)
    clean.run(local_engine(), root, DateRange())
    before = rows_of_files(table_relation(root, EVENTS), "user_id", "user_session")
    run("load", write_log(tmp_path / "large.csv", lines[2_000:]), "--root", root)
    ballast = root.parent / "ballast"
    free = os.statvfs(small_disk)
    ballast.write_bytes(b"x" * (free.f_bavail * free.f_frsize - (200 << 10)))
    command = [sys.executable, "-m", "spark_apps", "clean", "--root", str(root), "--engine", engine]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=180)
    told = Outcome(done.returncode, done.stdout, done.stderr).error
    assert told.startswith("No space left while writing under")
    ballast.unlink()
    assert rows_of_files(table_relation(root, EVENTS), "user_id", "user_session") == before
    assert staging_left(root) == []
    assert sum(day.clean for day in clean.run(local_engine(), root, DateRange()).values()) == 8_000


@pytest.mark.parametrize(
    ("text", "kind", "told"),
    [
        ("java.io.IOException: No space left on device", DiskFullError, "No space left while writing under /root"),
        ("java.io.IOException: Disk quota exceeded", DiskFullError, "No space left"),
        ("java.io.FileNotFoundException: /x (Permission denied)", NotWritableError, "No permission to write"),
        ("java.io.IOException: Mkdirs failed to create file:/x", NotWritableError, "No permission to write"),
        ("[FAILED_READ_FILE.FILE_NOT_EXIST] Encountered error", UserError, "was replaced by another command"),
        ("java.nio.file.NoSuchFileException: /x.parquet", UserError, "was replaced by another command"),
        ('IO Error: No files found that match the pattern "/x.parquet"', UserError, "was replaced by another command"),
        ('IO Error: Cannot open file "/x.parquet": No such', UserError, "was replaced by another command"),
        ("IO Error: Could not write file: No space left on device", DiskFullError, "No space left"),
        ("SparkException: Could not parse Master URL: 'x'", UserError, "check --master"),
        ("SparkException: Asked to run locally with 0 threads", UserError, "check --master"),
    ],
)
def test_what_engines_say_of_a_user_s_mistake_is_understood(text: str, kind: type[UserError], told: str) -> None:
    error = from_engine_error(f"An error occurred while calling o1.parquet.\n: {text}\n\tat x.y.Z", "/root")
    assert isinstance(error, kind)
    assert told in str(error)


def test_any_other_error_of_an_engine_is_a_fault() -> None:
    assert from_engine_error("java.lang.NullPointerException", "/root") is None


class WindowsPermissionError(PermissionError):
    """What Python raises there has the system's own number as well."""

    winerror = 32


def test_what_a_program_has_open_on_windows_is_told_from_missing_rights() -> None:
    told = from_os_error(WindowsPermissionError(errno.EACCES, "Sharing violation", "report.html"), "/root")
    assert str(told).startswith("Windows does not let report.html be changed: close the program")
    told = from_os_error(PermissionError(errno.EACCES, "Permission denied", "report.html"), "/root")
    assert str(told).startswith("No permission to write under report.html")
