"""November in the cluster: parts of it die while it is streamed, and nothing is lost or counted twice (SPEC T6)."""

from __future__ import annotations

import shutil
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest
from pyspark.sql import SparkSession

from spark_apps.generator import GeneratorSpec, write_events
from spark_apps.jobs import load, simulate
from spark_apps.jobs.stream.query import Wishes, run
from spark_apps.metrics.provision import READER_TOKEN
from spark_apps.settings import Settings
from spark_apps.streaming.records import LEDGER, BatchRecord
from spark_apps.tables import STREAM_EVENTS, STREAM_QUARANTINE, STREAM_USERS, STREAM_WINDOWS, Table
from tests.cluster.conftest import RunningCluster, docker, eventually
from tests.comparing import assert_rows
from tests.metrics.ledgers import expected, stored

EVENTS, EVENTS_EACH = 1_000, 200
COMPARED: dict[Table, tuple[str, ...]] = {
    STREAM_EVENTS: ("event_time", "user_id", "product_id", "event_type", "user_session", "price"),
    STREAM_WINDOWS: ("window_start", "batch"),
    STREAM_USERS: ("user_id", "batch"),
}
# columns of users that follow from models, whose last digits may differ between two trainings
OF_MODELS = ("listed", "first_listed", "cluster", "segment", "behaviour")
# Run by the client's Python: the ledger, a record a line.
_LEDGER = f"""
from spark_apps.settings import load_settings, table_root
for path in sorted((table_root(load_settings()) / "{LEDGER}").glob("*.json"), key=str):
    print(path.read_text())
"""
# Run by the client's Python: ends the stream's process as a power cut would.
_KILL_STREAM = """
import os, pathlib, signal
for folder in pathlib.Path("/proc").glob("[0-9]*"):
    try:
        words = (folder / "cmdline").read_bytes().split(b"\\0")
    except OSError:
        continue
    if b"spark_apps" in words and b"stream" in words:
        os.kill(int(folder.name), signal.SIGKILL)
        print(folder.name)
"""
# the first of these tests waits for a cluster, a training and two runs of the stream
pytestmark = pytest.mark.timeout(1800)
SIMULATE = ("submit", "simulate", "--stream", "--events", str(EVENTS_EACH), "--speed", "max")


@pytest.fixture(scope="module")
def november(tmp_path_factory: pytest.TempPathFactory) -> Path:
    log = tmp_path_factory.mktemp("november") / "november.csv"
    write_events(GeneratorSpec(EVENTS, "2019-11", 11), log)
    return log


def records(cluster: RunningCluster) -> list[BatchRecord]:
    lines = cluster.run_in("client", "python", "-c", _LEDGER).splitlines()
    return [BatchRecord.model_validate_json(line) for line in lines]


@pytest.fixture(scope="module")
def streamed(trained: RunningCluster, november: Path) -> RunningCluster:
    """A cluster that streamed November while driver, worker and InfluxDB were killed."""
    trained.shopstream("cluster", "load", str(november))
    first = trained.start(*SIMULATE)
    batches(trained, first, 1)
    docker("kill", trained.containers("influxdb")[0])
    batches(trained, first, 2)
    assert trained.run_in("client", "python", "-c", _KILL_STREAM).split(), "the stream's process was there"
    _, errors = first.communicate(timeout=300)
    assert first.returncode == 2 and "goes on where" in errors, errors[-2000:]
    trained.shopstream("cluster", "up")
    second = trained.start(*SIMULATE)
    batches(trained, second, len(trained.names_in(LEDGER)) + 1)
    docker("kill", trained.containers("spark-worker")[0])
    _, errors = second.communicate(timeout=600)
    assert second.returncode == 0, errors[-3000:]
    trained.shopstream("cluster", "up")
    return trained


def batches(cluster: RunningCluster, process: subprocess.Popen[str], wanted: int) -> None:
    def there() -> bool:
        assert process.poll() is None, process.communicate()[1][-3000:]
        return len(cluster.names_in(LEDGER)) >= wanted

    eventually(there, f"{wanted} batches are applied")


@pytest.fixture(scope="module")
def undisturbed(
    spark: SparkSession, local_root: Path, november: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[Table, list[dict[str, Any]]]:
    """The same files streamed on one machine."""
    root = tmp_path_factory.mktemp("undisturbed") / "root"
    shutil.copytree(local_root, root)
    load.run(root, [november])
    plan = simulate.Plan(date(2019, 11, 1), events=EVENTS_EACH, ahead=EVENTS)
    simulate.run(root, plan, lambda seconds: False)
    assert run(spark, Settings(root=str(root)), root, Wishes(once=True), lambda record: None) == EVENTS // EVENTS_EACH
    return {table: sorted_rows(root, table) for table in COMPARED}


def sorted_rows(root: Path, table: Table) -> list[dict[str, Any]]:
    found = ds.dataset(root / table.path, format="parquet", partitioning="hive").to_table()
    return found.sort_by([(name, "ascending") for name in COMPARED[table]]).to_pylist()


def test_every_event_is_streamed_once(streamed: RunningCluster) -> None:
    told = records(streamed)
    assert [record.batch for record in told] == list(range(EVENTS // EVENTS_EACH))
    assert sum(record.clean for record in told) == EVENTS == len(streamed.rows(STREAM_EVENTS, "user_id"))
    assert streamed.rows(STREAM_QUARANTINE, "raw_line") == []


@pytest.mark.parametrize("table", COMPARED, ids=lambda table: table.name)
def test_tables_are_those_of_an_undisturbed_run(
    streamed: RunningCluster, undisturbed: dict[Table, list[dict[str, Any]]], table: Table
) -> None:
    found = streamed.rows(table, *COMPARED[table])
    for row in (*found, *undisturbed[table]):
        for name in OF_MODELS:
            row.pop(name, None)
        row |= {name: value.isoformat() for name, value in row.items() if isinstance(value, date)}
    assert_rows(found, undisturbed[table], rel=1e-9)


def test_influxdb_holds_each_batch_once(streamed: RunningCluster) -> None:
    streamed.shopstream("submit", "metrics", "push")  # what the killed stream had not sent
    token = streamed.run_in("grafana", "cat", f"/run/shopstream/reader/{READER_TOKEN}").strip()
    assert stored(streamed.status()["urls"]["InfluxDB"], token) == expected(records(streamed))
