"""Replays killed at any moment: no event is dropped twice, none is missing (SPEC T1)."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from spark_apps.errors import LostClaimError
from spark_apps.jobs import load, simulate
from spark_apps.storage import HdfsPath, StoragePath
from spark_apps.storage.staging import staging_folders
from spark_apps.tables import INCOMING, REPLAY, TRANSACTIONS
from tests.factory import csv_line, write_log
from tests.hdfs.server import HdfsServer
from tests.kills import REPOSITORY, run_script
from tests.streaming.replays import AT_ONCE, apply_next, dropped, dropped_files, never, raw
from tests.waiting import PATIENCE, eventually

SEED = 3
KILLS = 3
AS_FAST_AS_CAN_BE = ("--speed", "max", "--ahead", "100000")

# What every replay that is killed leaves is checked.
KILLED_AT_EVERY_STEP = """
import sys
from dataclasses import replace
from pathlib import Path

from spark_apps.jobs import simulate
from tests.kills import kill_at_every_step
from tests.streaming.replays import AT_ONCE, dropped, never, raw

root, rows = Path(sys.argv[1]), raw(Path(sys.argv[1]))

def check():
    assert rows.startswith(dropped(root))

plan = replace(AT_ONCE, events=int(sys.argv[2]))
print(kill_at_every_step(root, lambda: simulate.run(root, plan, never), check))
"""


@contextmanager
def replaying(root: StoragePath, *options: str, **settings: str) -> Iterator[subprocess.Popen[str]]:
    """`shopstream simulate` in a process of its own, which does not outlive the test."""
    command = [sys.executable, "-m", "spark_apps", "simulate", "--root", str(root), *options]
    environment = {**os.environ, **settings}
    with subprocess.Popen(command, cwd=REPOSITORY, stderr=subprocess.PIPE, text=True, env=environment) as process:
        try:
            yield process
        finally:
            process.kill()


def await_drop(process: subprocess.Popen[str], root: StoragePath, number: int) -> None:
    """Waits until so many files are dropped, or the process has ended."""
    eventually(lambda: process.poll() is not None or len(dropped_files(root)) >= number, f"{number} files are dropped")


def wait_for(process: subprocess.Popen[str], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def test_killed_at_every_step(tmp_path: Path, november: Path) -> None:
    root = tmp_path / "root"
    load.run(root, [november])
    kills = int(run_script(KILLED_AT_EVERY_STEP, root, 40))
    assert kills > 40
    assert dropped(root) == raw(root)
    assert len(dropped_files(root)) == 6_000 // 40


def test_killed_at_random_moments(tmp_path: Path, november: Path) -> None:
    root, rng = tmp_path / "root", random.Random(SEED)
    load.run(root, [november])
    for _ in range(KILLS):
        with replaying(root, *AS_FAST_AS_CAN_BE, "--events", "5") as process:
            await_drop(process, root, len(dropped_files(root)) + 1)
            wait_for(process, rng.uniform(0, 0.3))
            process.kill()
            assert process.wait() == -signal.SIGKILL
        assert raw(root).startswith(dropped(root))
        apply_next(root)
    simulate.run(root, AT_ONCE, never)
    assert dropped(root) == raw(root)


def test_lost_claims_and_kills_on_hdfs(on_hdfs: HdfsPath, hdfs_server: HdfsServer, tmp_path: Path) -> None:
    lines = [csv_line(event_time=f"2019-11-0{1 + number // 4} 10:00:00 UTC", user_id=number) for number in range(6)]
    load.run(on_hdfs, [write_log(tmp_path / "log.csv", lines)])

    def somebody_else_takes_the_claim(seconds: float) -> bool:
        if dropped_files(on_hdfs):
            [staging] = staging_folders(on_hdfs / TRANSACTIONS)
            (staging / "alive.lock").write_text('{"host": "elsewhere"}')
        return False

    with pytest.raises(LostClaimError):
        simulate.run(on_hdfs, replace(AT_ONCE, events=1), somebody_else_takes_the_claim)
    assert len(dropped_files(on_hdfs)) == 1
    with replaying(on_hdfs, *AS_FAST_AS_CAN_BE, "--events", "1", SHOPSTREAM_WEBHDFS=hdfs_server.webhdfs) as process:
        await_drop(process, on_hdfs, 2)
        process.kill()
        assert process.wait() == -signal.SIGKILL
    apply_next(on_hdfs)
    simulate.run(on_hdfs, replace(AT_ONCE, events=3), never)
    assert dropped(on_hdfs) == raw(on_hdfs)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("options", [("--interval", "1h"), ("--interval", "0s", "--ahead", "0")])
def test_a_signal_ends_it_between_two_files(
    number: signal.Signals, options: tuple[str, ...], tmp_path: Path, november: Path
) -> None:
    root = tmp_path / "root"
    load.run(root, [november])
    with replaying(root, "--events", "100", *options) as process:
        await_drop(process, root, 1)
        process.send_signal(number)
        _, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, told
    assert "Next: shopstream stream, and `shopstream simulate`, which goes on where this ended" in told
    assert len(list((root / INCOMING).iterdir())) == 1
    assert [path.name for path in (root / REPLAY).iterdir()] == ["replay.json"]
