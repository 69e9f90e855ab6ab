"""Parts of the cluster die, come back, grow and shrink while jobs run; afterwards the rows are counted."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

from spark_apps.metrics.platform import look
from spark_apps.publication import PUBLISH
from spark_apps.tables import EVENTS, INTERACTIONS, QUARANTINE, RECOMMENDATIONS, USER_FEATURES, Table
from tests.cluster.conftest import NAME, PORT_OFFSET, RunningCluster, docker, eventually

# where a job under way puts its first table, below its own folder
STAGED = {"clean": ("scratch", "by_usability"), "train": ("staged/processed", "interactions")}
COUNTED: tuple[tuple[Table, str], ...] = (
    (EVENTS, "user_id"),
    (QUARANTINE, "raw_line"),
    (USER_FEATURES, "user_id"),
    (INTERACTIONS, "user_id"),
    (RECOMMENDATIONS, "user_id"),
)


def counts(cluster: RunningCluster) -> dict[str, int]:
    return {table.name: len(cluster.rows(table, key)) for table, key in COUNTED}


@pytest.fixture(scope="module")
def expected(trained: RunningCluster, log: Path) -> dict[str, int]:
    """Rows of an undisturbed run."""
    found = counts(trained)
    assert found["events"] + found["quarantine"] == sum(1 for _ in log.open("rb")) - 1
    assert found["recommendations"] > found["user_features"] > 0
    return found


@contextmanager
def running(cluster: RunningCluster, job: str) -> Iterator[subprocess.Popen[str]]:
    """A job that is under way: it has begun to stage its first table."""
    process = cluster.start("submit", job)
    try:

        def there() -> bool:
            assert process.poll() is None, process.communicate()[1][-2000:]
            folder, table = STAGED[job]
            jobs = [name for name in cluster.names_in(PUBLISH) if not name.endswith(".lock")]
            return any(table in cluster.names_in(f"{PUBLISH}/{name}/{folder}") for name in jobs)

        eventually(there, f"{job} has begun to stage its first table")
        yield process
        output, errors = process.communicate(timeout=900)
        assert process.returncode == 0, output[-1000:] + errors[-3000:]
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def alive_workers(cluster: RunningCluster) -> int:
    spark = cluster.status()["spark"]
    return 0 if spark is None else sum(worker["state"] == "ALIVE" for worker in spark["workers"])


def live_datanodes(cluster: RunningCluster) -> int:
    hdfs = cluster.status()["hdfs"]
    return 0 if hdfs is None or hdfs["safe_mode"] else int(hdfs["live"])


def hdfs_url() -> str:
    return f"http://127.0.0.1:{9870 + PORT_OFFSET}"


def hdfs_bean(name: str) -> dict[str, Any]:
    answer = requests.get(f"{hdfs_url()}/jmx", params={"qry": f"Hadoop:service=NameNode,name={name}"}, timeout=30)
    found: dict[str, Any] = answer.json()["beans"][0]
    return found


def states_of_datanodes(cluster: RunningCluster) -> list[str]:
    """States of the DataNodes whose containers run."""
    running = {container[:12] for container in cluster.containers("datanode")}
    return [node["state"] for node in cluster.status()["hdfs"]["datanodes"] if node["name"] in running]


def whole_again(cluster: RunningCluster, workers: int = 2, datanodes: int = 2) -> None:
    eventually(lambda: cluster.status()["ready"], "every service is ready")
    eventually(lambda: alive_workers(cluster) == workers, f"{workers} workers are registered")
    eventually(lambda: live_datanodes(cluster) == datanodes, f"{datanodes} DataNodes are live")


def test_a_worker_killed_during_train_costs_no_row(expected: dict[str, int], cluster: RunningCluster) -> None:
    with running(cluster, "train"):
        docker("kill", cluster.containers("spark-worker")[0])
    assert counts(cluster) == expected
    cluster.shopstream("cluster", "up")
    whole_again(cluster)


def test_a_datanode_killed_and_back_costs_no_row(expected: dict[str, int], cluster: RunningCluster) -> None:
    with running(cluster, "clean"):
        docker("kill", cluster.containers("datanode")[0])
    assert counts(cluster) == expected
    cluster.shopstream("cluster", "up")
    whole_again(cluster)
    assert counts(cluster) == expected


def test_clean_outlives_a_restart_of_the_namenode(expected: dict[str, int], cluster: RunningCluster) -> None:
    with running(cluster, "clean"):
        docker("restart", cluster.containers("namenode")[0])
    whole_again(cluster)
    assert counts(cluster) == expected


def test_down_and_up_keep_the_data(expected: dict[str, int], cluster: RunningCluster) -> None:
    cluster.shopstream("cluster", "down")
    assert cluster.containers("namenode") == []
    cluster.shopstream("cluster", "up")
    whole_again(cluster)
    assert counts(cluster) == expected
    cluster.shopstream("submit", "models", "list")


def test_a_second_up_changes_nothing(expected: dict[str, int], cluster: RunningCluster) -> None:
    services = ("namenode", "datanode", "spark-master", "spark-worker", "client", "influxdb", "grafana")
    before = {service: cluster.containers(service) for service in services}
    cluster.shopstream("cluster", "up", timeout=120)
    assert {service: cluster.containers(service) for service in services} == before


def test_a_worker_and_a_datanode_join_and_are_drained(expected: dict[str, int], cluster: RunningCluster) -> None:
    cluster.shopstream("cluster", "scale", "worker=3", "datanode=3", "--memory", "11g")
    whole_again(cluster, 3, 3)
    with running(cluster, "train"):
        cluster.shopstream("cluster", "drain", "datanode", cluster.containers("datanode")[0][:12])
        cluster.shopstream("cluster", "drain", "worker", cluster.containers("spark-worker")[0][:12])
    assert counts(cluster) == expected
    eventually(lambda: alive_workers(cluster) == 2, "two workers are left")
    assert len(cluster.containers("datanode")) == 2 and len(cluster.containers("spark-worker")) == 2
    assert cluster.status()["hdfs"]["missing_blocks"] == 0
    cluster.shopstream("submit", "hdfs", "check")  # the train that ran meanwhile began with three DataNodes


def test_a_drained_datanode_is_not_counted_as_dead_and_another_one_takes_its_place(
    expected: dict[str, int], cluster: RunningCluster
) -> None:
    cluster.shopstream("cluster", "scale", "datanode=3", "--memory", "11g")
    whole_again(cluster, 2, 3)
    servers = {service: cluster.containers(service) for service in ("namenode", "datanode", "spark-worker")}
    leaving = servers["datanode"][0][:12]
    cluster.shopstream("cluster", "drain", "datanode", leaving, "--wait", "1", code=2)
    cluster.shopstream("cluster", "up")  # the drain was cut short
    assert states_of_datanodes(cluster) == ["In Service"] * 3
    assert {service: cluster.containers(service) for service in servers} == servers
    cluster.shopstream("cluster", "drain", "datanode", leaving)
    whole_again(cluster)  # also while the NameNode still takes it for live
    eventually(lambda: hdfs_bean("FSNamesystemState")["NumDecomDeadDataNodes"] >= 1, "the NameNode has lost it")
    seen = look(hdfs_url(), "http://127.0.0.1:9", 0).figures["platform_hdfs"]
    assert (seen["dead_nodes"], cluster.status()["hdfs"]["dead"]) == (0, 0)
    cluster.shopstream("cluster", "scale", "datanode=3")
    assert states_of_datanodes(cluster) == ["In Service"] * 3
    cluster.shopstream("cluster", "scale", "datanode=2")
    whole_again(cluster)
    assert counts(cluster) == expected


def test_a_second_cluster_stands_beside_the_first(expected: dict[str, int], cluster: RunningCluster) -> None:
    other = RunningCluster(f"{NAME}-2")
    sizes = ("--memory", "5g", "--workers", "1", "--datanodes", "1", "--port-offset", "3000", "--no-monitoring")
    try:
        other.shopstream("cluster", "up", *sizes, timeout=900)
        assert not set(other.status()["urls"].values()) & set(cluster.status()["urls"].values())
        assert "No raw rows" in other.shopstream("submit", "clean", code=2)
        assert counts(cluster) == expected
    finally:
        other.shopstream("cluster", "destroy", "--yes")
    assert counts(cluster) == expected
