"""`shopstream simulate` as a person types it."""

from __future__ import annotations

import _thread
import json
import os
import signal
import threading
import time
from datetime import timedelta
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from spark_apps.cli import main
from spark_apps.commands.durations import Duration
from spark_apps.jobs import load
from spark_apps.platform.signals import asked_to_end
from tests.factory import csv_line, write_log
from tests.streaming.replays import dropped, raw


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["simulate", *map(str, arguments)], env={"COLUMNS": "200"})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    times = ("2019-11-01 10:00:00", "2019-11-01 11:00:00", "2019-11-02 10:00:00")
    load.run(tmp_path / "root", [write_log(tmp_path / "log.csv", [csv_line(event_time=f"{at} UTC") for at in times])])
    return tmp_path / "root"


def test_it_says_what_was_dropped_and_what_to_do_next(root: Path) -> None:
    first = run("--root", root, "--span", "1h", "--interval", "1ms", "--batches", 2)
    assert first.exit_code == 0, first.stderr
    assert "2019-11-01 10:00 to 2019-11-01 11:00" in first.stdout
    assert "2 of 3 events are dropped (66.7%)." in first.stdout
    assert first.stderr == "Next: shopstream stream, and `shopstream simulate`, which goes on where this ended\n"
    rest = run("--root", root)
    assert "3 of 3 events are dropped (100.0%)." in rest.stdout
    assert "`shopstream simulate --again` starts the month from its first event" in rest.stderr
    assert dropped(root) == raw(root)
    nothing = run("--root", root)
    assert nothing.exit_code == 0
    assert "3 of 3 events are dropped" in nothing.stdout


def test_json_is_alone_on_standard_output(root: Path) -> None:
    figures = json.loads(run("--root", root, "--speed", "max", "--events", 2, "--json").stdout)
    assert {name: figures[name] for name in ("month", "files", "events", "position", "total", "complete")} == {
        "month": "2019-11",
        "files": 2,
        "events": 3,
        "position": 3,
        "total": 3,
        "complete": True,
    }
    assert figures["last_event"] == "2019-11-02 10:00:00+00:00"


def test_a_month_without_rows_is_one_sentence(root: Path) -> None:
    result = run("--root", root, "--month", "2020-02")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == (
        f"Error: There are no raw rows of 2020-02 under {root}: run `shopstream load FILE`, after "
        "`shopstream generate --month 2020-02 --events 1000000` if you have no log of that month.\n"
    )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--events", "5", "--span", "1h"], "--events and --span say two things about a file's size"),
        (["--speed", "max", "--interval", "1s"], "--speed max has no interval: give one of the two."),
        (["--interval", "soon"], "'soon' is no duration: write it as 500ms, 10s, 5m, 1h or 2d."),
        (["--span", "999ms"], "'999ms' is too short: take at least 1s."),
        (["--month", "November"], "'November' does not match the format '%Y-%m'"),
        (["--events", "0"], "0 is not in the range x>=1"),
    ],
)
def test_a_wrong_command_line_says_what_is_wrong_with_it(arguments: list[str], told: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert told in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("10s", 10), ("1.5m", 90), ("1 h", 3600), ("2d", 172_800), ("0s", 0)],
)
def test_durations(text: str, seconds: float) -> None:
    assert Duration().convert(text, None, None) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "s", "10", "-1s", "1w", "10s5m", "1e3s", "9999999999d"])
def test_other_texts_are_no_durations(text: str) -> None:
    with pytest.raises(click.BadParameter, match="is no duration"):
        Duration().convert(text, None, None)


def test_a_signal_that_interrupts_no_wait_ends_it_all_the_same() -> None:
    """As on Windows, where a handler is called when the wait is over."""
    before = signal.getsignal(signal.SIGINT)
    with asked_to_end() as wait:
        asking = threading.Timer(0.3, _thread.interrupt_main)
        asking.start()
        began = time.monotonic()
        assert wait(60)
        asking.join()
        assert time.monotonic() - began < 30
    assert signal.getsignal(signal.SIGINT) is before
    assert signal.set_wakeup_fd(-1) == -1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_is_an_answer_and_the_handlers_come_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with asked_to_end() as wait:
        assert not wait(0)
        assert not wait(-1)
        assert signal.getsignal(number) is not before
        os.kill(os.getpid(), number)
        began = time.monotonic()
        assert wait(60)
        assert wait(60)
        assert time.monotonic() - began < 30
        assert signal.getsignal(number) is before
    assert signal.getsignal(number) is before
