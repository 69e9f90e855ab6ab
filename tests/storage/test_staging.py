"""Staging folders: those of living processes are left alone, those of dead ones go away."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from spark_apps.storage.staging import StagingFolder, discard, folder_lock, remove_abandoned, staging_folders

HOLDING = """
import sys
from pathlib import Path
from spark_apps.storage.staging import StagingFolder

staging = StagingFolder(Path(sys.argv[1]))
(staging.folder / "work").write_text("half")
print(staging.folder, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def other_process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    streams = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLDING, str(tmp_path)], text=True, **streams) as child:
        yield child
        child.kill()


def folder_of(child: subprocess.Popen[str]) -> Path:
    assert child.stdout is not None
    return Path(child.stdout.readline().strip())


def swept(parent: Path) -> list[Path]:
    """Sweeps, and returns the folders whose last wish was asked for."""
    asked: list[Path] = []
    with folder_lock(parent):
        remove_abandoned(parent, before_removal=asked.append)
    return asked


def test_a_staging_folder_goes_away_with_its_closing(tmp_path: Path) -> None:
    one, other = StagingFolder(tmp_path), StagingFolder(tmp_path)
    assert staging_folders(tmp_path) == sorted([one.folder, other.folder])
    (one.folder / "deep" / "er").mkdir(parents=True)
    one.close()
    assert staging_folders(tmp_path) == [other.folder]
    other.close()


def test_a_living_process_s_staging_folder_is_left_alone(tmp_path: Path, other_process: subprocess.Popen[str]) -> None:
    folder = folder_of(other_process)
    mine = StagingFolder(tmp_path)
    assert swept(tmp_path) == []
    assert (folder / "work").read_text() == "half"
    assert mine.folder.is_dir()
    mine.close()


def test_a_dead_process_s_staging_folder_is_swept_after_its_last_action(
    tmp_path: Path, other_process: subprocess.Popen[str]
) -> None:
    folder = folder_of(other_process)
    other_process.kill()
    other_process.wait()
    assert (folder / "work").exists()
    assert swept(tmp_path) == [folder]
    assert staging_folders(tmp_path) == []


def test_a_staging_folder_kept_for_its_successor_is_swept_by_it(tmp_path: Path) -> None:
    left = StagingFolder(tmp_path)
    left.close(keep=True)
    assert left.folder.is_dir()
    assert swept(tmp_path) == [left.folder]
    assert not left.folder.exists()


def test_what_something_else_left_in_the_parent_is_swept_too(tmp_path: Path) -> None:
    (tmp_path / "blockmgr-1" / "0c").mkdir(parents=True)
    (tmp_path / "note.txt").write_text("a file is nobody's staging folder")
    swept(tmp_path)
    assert staging_folders(tmp_path) == []
    assert (tmp_path / "note.txt").exists()


def test_a_last_wish_that_fails_keeps_the_folder(tmp_path: Path) -> None:
    def failing(folder: Path) -> None:
        raise OSError("no rename today")

    left = StagingFolder(tmp_path)
    left.close(keep=True)
    with pytest.raises(OSError, match="no rename today"), folder_lock(tmp_path):
        remove_abandoned(tmp_path, before_removal=failing)
    assert left.folder.is_dir()
    assert swept(tmp_path) == [left.folder]


def test_an_empty_or_missing_parent_holds_no_staging_folders(tmp_path: Path) -> None:
    assert staging_folders(tmp_path / "nothing") == []
    discard(tmp_path / "nothing")
