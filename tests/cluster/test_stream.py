"""November in the cluster: parts of it die while it is streamed, and nothing is lost or counted twice (SPEC T6)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from spark_apps.tables import BATCH_LOG, STREAM_EVENTS, STREAM_QUARANTINE, Table
from spark_apps.telemetry.provision import READER_TOKEN
from tests.cluster.conftest import RunningCluster
from tests.cluster.disturbances import DisturbedStream, planned
from tests.cluster.november import COMPARED, assert_streamed, drop, records, streamed_rows
from tests.cluster.reference_run import STREAMED, ReferenceRun
from tests.cluster.sizes import BATCHES, EVENTS, KILLS, SEED
from tests.factory import HEADER, csv_line
from tests.telemetry.batch_logs import expected, stored

# the first of these tests waits for a cluster, a training and two runs of the stream
pytestmark = pytest.mark.timeout(1800 + 60 * KILLS + 30 * BATCHES)


@pytest.fixture(scope="module")
def streamed(trained: RunningCluster, november: Path) -> RunningCluster:
    """A cluster that streamed November while driver, worker, InfluxDB and replay were killed."""
    trained.shopstream("cluster", "load", str(november))
    stream = DisturbedStream(trained)
    stream.suffer(planned(KILLS, BATCHES, SEED))
    stream.finish(BATCHES)
    trained.shopstream("cluster", "up")
    return trained


@pytest.fixture(scope="module")
def undisturbed(reference_run: ReferenceRun) -> dict[Table, list[dict[str, Any]]]:
    """The same files streamed on one machine."""
    root = reference_run.root(STREAMED)
    assert len(list((root / BATCH_LOG).glob("*.json"))) == BATCHES
    return {table: streamed_rows(root, table) for table in COMPARED}


def test_every_event_is_streamed_once(streamed: RunningCluster) -> None:
    told = records(streamed)
    assert [record.batch for record in told] == list(range(BATCHES))
    assert sum(record.clean for record in told) == EVENTS == len(streamed.rows(STREAM_EVENTS, "user_id"))
    assert streamed.rows(STREAM_QUARANTINE, "raw_line") == []


@pytest.mark.parametrize("table", COMPARED, ids=lambda table: table.name)
def test_tables_are_those_of_an_undisturbed_run(
    streamed: RunningCluster, undisturbed: dict[Table, list[dict[str, Any]]], table: Table
) -> None:
    assert_streamed(streamed.rows(table, *COMPARED[table]), undisturbed[table])


def test_influxdb_holds_each_batch_once(streamed: RunningCluster) -> None:
    streamed.shopstream("submit", "metrics", "push")  # what the killed stream had not sent
    token = streamed.run_in("grafana", "cat", f"/run/shopstream/reader/{READER_TOKEN}").strip()
    assert stored(streamed.status()["urls"]["InfluxDB"], token) == expected(records(streamed))
    told = json.loads(streamed.shopstream("metrics", "check", "--json"))
    assert (told["equal"], told["batches"], told["waiting"]) == (True, BATCHES, 0)


def test_every_count_balances(streamed: RunningCluster) -> None:
    told = json.loads(streamed.shopstream("submit", "check", "--json"))
    assert all(one["holds"] for one in told["balances"])
    (clean,) = [one for one in told["balances"] if one["what"] == "clean lines = rows of stream_events, per batch"]
    assert (clean["found"], clean["places"]) == (EVENTS, BATCHES)
    assert told["uncleaned_lines"] == EVENTS  # November is replayed, not cleaned
    assert told["events_since"] == EVENTS


def test_the_content_decides_what_is_new_and_not_the_name(streamed: RunningCluster) -> None:
    """Late here: the others count November's batches."""
    for name, user in (("latest.csv", 1), ("latest.csv", 2), ("week [1].csv", 3), ("other.csv", 1)):
        line = csv_line(event_time="2019-11-30 23:59:59 UTC", user_id=user)
        drop(streamed, name, f"{HEADER}\n{line}\n")
        streamed.shopstream("submit", "stream", "--once")
    assert [(one.file, one.outcome, one.rows) for one in records(streamed)[BATCHES:]] == [
        ("latest.csv", "applied", 1),
        ("latest.csv", "applied", 1),
        ("week [1].csv", "applied", 1),
        ("other.csv", "duplicate", 0),
    ]
    balances = json.loads(streamed.shopstream("submit", "check", "--json"))["balances"]
    assert all(one["holds"] for one in balances if "done" in one["what"])
