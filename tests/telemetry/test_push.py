"""`shopstream metrics push` into a real InfluxDB, and into files."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from spark_apps.cli import main
from spark_apps.tables import BATCH_LOG, DELIVERY_OFFSETS, LINE_PROTOCOL
from tests.telemetry.batch_logs import expected, records, stored, write_batch_log
from tests.telemetry.conftest import Store
from tests.waiting import eventually

Push = Callable[..., Result]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "root"
    folder.mkdir()
    return folder


@pytest.fixture
def push(root: Path) -> Push:
    """Runs `shopstream metrics push` for the test's root."""

    def run(*options: str | Path) -> Result:
        arguments = ["metrics", "push", "--root", root, *options]
        return CliRunner().invoke(main, [str(one) for one in arguments], env={"COLUMNS": "200"})

    return run


def target(store: Store) -> list[str | Path]:
    return ["--url", store.url, "--token-file", store.writer_file]


def pushed(result: Result) -> tuple[int, int, int]:
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout)
    return told["batches"], told["files"], told["points"]


def test_sends_all_and_then_nothing(store: Store, root: Path, push: Push) -> None:
    batches = records(15)
    write_batch_log(root, batches[:10])
    assert pushed(push(*target(store), "--json")) == (10, 0, expected(batches[:10]).total())
    assert pushed(push(*target(store), "--json")) == (0, 0, 0)
    write_batch_log(root, batches[10:])
    done = push(*target(store))
    assert done.exit_code == 0
    assert done.stdout.startswith(f"Sent 5 batches with {expected(batches[10:]).total()} points to {store.url}/")
    assert stored(store.url, store.reader) == expected(batches)
    assert pushed(push(*target(store), "--json", "--again")) == (15, 0, expected(batches).total())
    assert stored(store.url, store.reader) == expected(batches)


def test_files_of_batches_without_a_record_are_sent_once(store: Store, root: Path, push: Push) -> None:
    batches = records(8)
    write_batch_log(root, batches)
    assert push().exit_code == 0  # into files
    assert len(list((root / LINE_PROTOCOL).iterdir())) == 8
    for one in batches[:5]:
        (root / BATCH_LOG / f"batch-{one.batch:08d}.json").unlink()
    assert pushed(push(*target(store), "--json")) == (3, 5, expected(batches).total())
    assert stored(store.url, store.reader) == expected(batches)
    assert pushed(push(*target(store), "--json")) == (0, 0, 0)
    (root / LINE_PROTOCOL / "batch-00000001.lp").write_bytes(b"pipeline_health batch=1i\n")
    assert pushed(push(*target(store), "--json"))[:2] == (0, 5)


def test_files_alone_are_sent(store: Store, root: Path, push: Push) -> None:
    batches = records(3)
    write_batch_log(root, batches)
    push()
    for path in (root / BATCH_LOG).iterdir():
        path.unlink()
    assert pushed(push(*target(store), "--json")) == (0, 3, expected(batches).total())
    assert stored(store.url, store.reader) == expected(batches)


def test_too_old_points_are_told(store: Store, root: Path, push: Push) -> None:
    old, young = records(3, age=timedelta(days=40)), records(2, first=3)
    write_batch_log(root, [*old, *young])
    done = push(*target(store))
    assert done.exit_code == 0
    refused = (expected([*old, *young]) - expected(young)).total()  # with those of the hour that they ended
    assert f"InfluxDB refused {refused:,} of these points: they are older than 30 days." in done.stderr
    assert stored(store.url, store.reader) == expected(young)


def test_a_killed_push_is_made_good_by_the_next(store: Store, root: Path, push: Push) -> None:
    batches = records(300)
    write_batch_log(root, batches)
    command = [sys.executable, "-m", "spark_apps", "metrics", "push", "--root", root, *target(store)]
    running = subprocess.Popen([str(one) for one in command], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        eventually((root / DELIVERY_OFFSETS).exists, "it sends")
    finally:
        running.kill()
        running.wait(30)
    before = stored(store.url, store.reader)
    assert 0 < before["pipeline_health"] < 300
    assert pushed(push(*target(store), "--json"))[0] >= 300 - before["pipeline_health"]
    assert stored(store.url, store.reader) == expected(batches)


def test_an_influxdb_that_is_away_is_told_in_one_sentence(store: Store, root: Path, push: Push) -> None:
    write_batch_log(root, records(2))
    store.server.kill()
    refused = push(*target(store))
    assert refused.exit_code == 2
    assert refused.stderr.startswith(f"Error: InfluxDB does not answer at {store.url} (")
    assert refused.stderr.count("\n") == 1


def test_a_reader_s_token_is_told_in_one_sentence(store: Store, root: Path, push: Push) -> None:
    write_batch_log(root, records(2))
    refused = push("--url", store.url, "--token-file", store.reader_file)
    assert refused.exit_code == 2
    assert f"does not let the token in {store.reader_file} write into shopstream/ecommerce_analytics" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert store.reader not in refused.output


@pytest.mark.parametrize("options", [(), ("--url", "http://127.0.0.1:1")])
def test_nothing_to_send_is_told(push: Push, options: tuple[str, ...]) -> None:
    refused = push(*options)
    assert refused.exit_code == 2
    assert refused.stderr.startswith("Error: There are no points yet: run `shopstream stream`")


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://127.0.0.1:1", "does not answer at http://127.0.0.1:1 (connection refused"),
        ("127.0.0.1:8086", "does not answer at 127.0.0.1:8086 (no http:// before it)"),
    ],
)
def test_a_wrong_url_is_told(root: Path, push: Push, tmp_path: Path, url: str, told: str) -> None:
    write_batch_log(root, records(1))
    (tmp_path / "token").write_text("a-token")
    refused = push("--url", url, "--token-file", tmp_path / "token")
    assert refused.exit_code == 2
    assert told in refused.stderr
    assert "a-token" not in refused.output
