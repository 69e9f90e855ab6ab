"""November in the cluster: parts of it die while it is streamed, and nothing is lost or counted twice (SPEC T6)."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from pyspark.sql import SparkSession

from spark_apps.generator import GeneratorSpec, write_events
from spark_apps.jobs import load
from spark_apps.metrics.provision import READER_TOKEN
from spark_apps.streaming.records import LEDGER
from spark_apps.tables import STREAM_EVENTS, STREAM_QUARANTINE, Table
from tests.cluster.conftest import RunningCluster
from tests.cluster.november import (
    COMPARED,
    EVENTS_EACH,
    SIMULATE,
    assert_streamed,
    await_batches,
    records,
    stream_here,
    streamed_rows,
)
from tests.metrics.ledgers import expected, stored

EVENTS = 1_000
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
FAST = (*SIMULATE, "--speed", "max")


@pytest.fixture(scope="module")
def november(tmp_path_factory: pytest.TempPathFactory) -> Path:
    log = tmp_path_factory.mktemp("november") / "november.csv"
    write_events(GeneratorSpec(EVENTS, "2019-11", 11), log)
    return log


@pytest.fixture(scope="module")
def streamed(trained: RunningCluster, november: Path) -> RunningCluster:
    """A cluster that streamed November while driver, worker and InfluxDB were killed."""
    trained.shopstream("cluster", "load", str(november))
    first = trained.start(*FAST)
    await_batches(trained, first, 1)
    trained.containers("influxdb")[0].docker("kill")
    await_batches(trained, first, 2)
    assert trained.run_in("client", "python", "-c", _KILL_STREAM).split(), "the stream's process was there"
    _, errors = first.communicate(timeout=300)
    assert first.returncode == 2 and "goes on where" in errors, errors[-2000:]
    trained.shopstream("cluster", "up")
    second = trained.start(*FAST)
    await_batches(trained, second, len(trained.names_in(LEDGER)) + 1)
    trained.containers("spark-worker")[0].docker("kill")
    _, errors = second.communicate(timeout=600)
    assert second.returncode == 0, errors[-3000:]
    trained.shopstream("cluster", "up")
    return trained


@pytest.fixture(scope="module")
def undisturbed(
    spark: SparkSession, local_root: Path, november: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[Table, list[dict[str, Any]]]:
    """The same files streamed on one machine."""
    root = tmp_path_factory.mktemp("undisturbed") / "root"
    shutil.copytree(local_root, root)
    load.run(root, [november])
    assert stream_here(spark, root) == EVENTS // EVENTS_EACH
    return {table: streamed_rows(root, table) for table in COMPARED}


def test_every_event_is_streamed_once(streamed: RunningCluster) -> None:
    told = records(streamed)
    assert [record.batch for record in told] == list(range(EVENTS // EVENTS_EACH))
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
