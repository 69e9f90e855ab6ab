"""Windows renames no folder with an open file in it, nor replaces one: a transaction's own process has none open."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from spark_apps.cli import main
from spark_apps.generator import GeneratorSpec, write_events
from spark_apps.storage import StoragePath, transaction

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="open files are found in /proc"),
]


def open_below(root: Path) -> Iterator[str]:
    """Yields the files below a root that this process or one that it started has open or mapped; locks are none."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            if os.getpid() not in (int(process.name), parent):
                continue
            files = [os.path.realpath(file) for file in (process / "fd").iterdir()]
            files += [line.split(maxsplit=5)[5] for line in (process / "maps").read_text().splitlines() if "/" in line]
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended
        yield from (file for file in files if file.startswith(f"{root}/") and not file.endswith(".lock"))


def test_nothing_below_the_root_is_open_when_folders_are_renamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[list[str]] = []
    roll_forward = transaction._roll_forward

    def looked(root: StoragePath, folder: StoragePath) -> None:
        found.append(sorted(open_below(tmp_path)))
        roll_forward(root, folder)

    monkeypatch.setattr(transaction, "_roll_forward", looked)
    october, november = tmp_path / "october.csv", tmp_path / "november.csv"
    write_events(GeneratorSpec(2_000, "2019-10", 1), october)
    write_events(GeneratorSpec(600, "2019-11", 1), november)
    commands = [["load", str(october)], ["clean"], ["analyze"], ["train", "--force"]]
    commands += [["load", str(november)], ["simulate", "--events", "300", "--speed", "max"], ["stream", "--once"]]
    commands += [["evaluate"], ["train", "--force"], ["clean"]]
    for command in commands:
        done = CliRunner().invoke(main, [*command, "--root", str(tmp_path / "root")])
        assert done.exit_code == 0, done.output
    assert len(found) >= len(commands)
    assert not any(found)
    with (tmp_path / "open").open("w"):
        assert list(open_below(tmp_path)) == [str(tmp_path / "open")]
