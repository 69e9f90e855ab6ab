"""`shopstream watch` shows what the batch log says, within 80 columns."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from spark_apps.cli import main
from spark_apps.jobs.stream.incoming import Note
from spark_apps.jobs.stream.watching import LATEST, Watcher
from spark_apps.streaming.drop_files import Drop
from spark_apps.streaming.records import BatchRecord
from spark_apps.streaming.state import StreamState
from spark_apps.tables import BATCH_LOG, INCOMING, STREAM_STATE_FILE, TAKEN, record_name
from tests.telemetry.records import record


def write_stream(root: Path, records: list[BatchRecord]) -> None:
    """Writes a batch log and a state that has applied it."""
    for one in records:
        path = root / BATCH_LOG / record_name(one.batch)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(one.model_dump_json(), encoding="utf-8")
    empty: dict[str, Any] = dict.fromkeys(("buckets", "recent", "centres", "weights", "first_popular"), ())
    empty |= {"models": {}, "segments": {}, "latest": None, "last_date": "2019-11-01"}
    state = StreamState(**empty, products_from=0, next_batch=records[-1].batch + 1)
    (root / STREAM_STATE_FILE).parent.mkdir(parents=True, exist_ok=True)
    (root / STREAM_STATE_FILE).write_text(state.model_dump_json(), encoding="utf-8")


def once(root: Path) -> str:
    done = CliRunner().invoke(main, ["watch", "--once", "--root", str(root)], env={"COLUMNS": "80"})
    assert done.exit_code == 0, done.output
    assert all(len(line) <= 80 for line in done.stdout.splitlines())
    return done.stdout


def row(shown: str, name: str) -> list[str]:
    """The cells of a line that begins with a name."""
    (line,) = [line for line in shown.splitlines() if line.startswith(name)]
    return line.removeprefix(name).split()


def test_before_the_first_batch_it_says_how_to_begin(tmp_path: Path) -> None:
    assert "shopstream simulate --stream" in once(tmp_path)


def test_sums_are_those_of_the_batches_that_are_looked_at(tmp_path: Path) -> None:
    write_stream(tmp_path, [record(batch) for batch in range(3)])
    shown = once(tmp_path)
    assert "Batch 2: shoppers of 01 November 2019, 11:30 UTC\nFiles that wait: 0\n" in shown
    assert row(shown, "events") == ["97", "291"]
    assert row(shown, "view events") == ["80", "240"]
    assert row(shown, "purchases per view") == ["6.2%", "6.2%"]
    assert row(shown, "spent, the log's currency") == ["300", "902"]
    assert row(shown, "lines in quarantine") == ["3", "9", "of", "300"]
    assert row(shown, "updated lists") == ["40.0%", "0.250", "30"]
    assert row(shown, "popularity lists") == ["-", "-", "0"]
    assert row(shown, "Casual_Browsers") == ["75", "75.0%", "+0"]
    assert row(shown, "1000") == ["a.b", "c", "9"]


def test_only_the_latest_batches_count_and_refused_files_do_not(tmp_path: Path) -> None:
    records = [record(batch) for batch in range(LATEST + 5)]
    write_stream(tmp_path, [*records, record(LATEST + 5, outcome="refused", events={}, clean=0, rows=0)])
    assert row(once(tmp_path), "events") == ["97", f"{97 * (LATEST - 1):,}"]


def test_waiting_files_are_counted_until_they_are_applied(tmp_path: Path) -> None:
    dropped = datetime.now(timezone.utc) - timedelta(seconds=30)
    first, second = (Drop(number, dropped).name for number in (1, 2))
    for folder in (INCOMING, TAKEN):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / INCOMING / second).write_text("")
    (tmp_path / TAKEN / "batch-00000000.json").write_text(Note(batch=0, name=first, taken_at=dropped).model_dump_json())
    assert "Files that wait: 2, the oldest for 3" in once(tmp_path)
    write_stream(tmp_path, [record(0)])  # a stream that was killed before it put the file away
    assert "Files that wait: 1, the oldest for 3" in once(tmp_path)


def test_a_record_is_read_once(tmp_path: Path) -> None:
    write_stream(tmp_path, [record(0), record(1)])
    watcher = Watcher(tmp_path)
    assert [one.batch for one in watcher.look().records] == [0, 1]
    (tmp_path / BATCH_LOG / record_name(0)).unlink()
    write_stream(tmp_path, [record(2)])
    assert [one.batch for one in watcher.look().records] == [0, 1, 2]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_each_new_batch_is_printed_where_there_is_no_terminal_and_ctrl_c_ends_it(tmp_path: Path) -> None:
    write_stream(tmp_path, [record(0)])
    command = [sys.executable, "-m", "spark_apps", "watch", "--root", str(tmp_path), "--interval", "0.2"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1)
    limit = threading.Timer(60, process.kill)
    limit.start()
    assert process.stdout is not None
    for batch in (0, 1):
        for line in process.stdout:
            if line.startswith(f"Batch {batch}:"):
                break
        write_stream(tmp_path, [record(batch + 1)])
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate()
    limit.cancel()
    assert process.returncode == 0 and "Next: " in errors
