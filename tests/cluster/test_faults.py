"""Parts of the cluster die, come back, grow and shrink while jobs run; afterwards the rows are counted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from spark_apps.metrics.platform import look
from tests.cluster.conftest import NAME, PORT_OFFSET, RunningCluster, eventually
from tests.cluster.watching import alive_workers, checked_counts, counts, running, whole_again


@pytest.fixture(scope="module")
def expected(trained: RunningCluster, log: Path) -> dict[str, int]:
    """Rows of an undisturbed run."""
    return checked_counts(trained, log)


def hdfs_url() -> str:
    return f"http://127.0.0.1:{9870 + PORT_OFFSET}"


def hdfs_bean(name: str) -> dict[str, Any]:
    answer = requests.get(f"{hdfs_url()}/jmx", params={"qry": f"Hadoop:service=NameNode,name={name}"}, timeout=30)
    found: dict[str, Any] = answer.json()["beans"][0]
    return found


def states_of_datanodes(cluster: RunningCluster) -> list[str]:
    """States of the DataNodes whose containers run."""
    there = {container.id[:12] for container in cluster.containers("datanode")}
    return [node["state"] for node in cluster.status()["hdfs"]["datanodes"] if node["name"] in there]


def test_a_worker_killed_during_train_costs_no_row(expected: dict[str, int], cluster: RunningCluster) -> None:
    with running(cluster, "train"):
        cluster.containers("spark-worker")[0].docker("kill")
    assert counts(cluster) == expected
    cluster.shopstream("cluster", "up")
    whole_again(cluster)


def test_a_datanode_killed_and_back_costs_no_row(expected: dict[str, int], cluster: RunningCluster) -> None:
    with running(cluster, "clean"):
        cluster.containers("datanode")[0].docker("kill")
    assert counts(cluster) == expected
    cluster.shopstream("cluster", "up")
    whole_again(cluster)
    assert counts(cluster) == expected


def test_clean_outlives_a_restart_of_the_namenode(expected: dict[str, int], cluster: RunningCluster) -> None:
    with running(cluster, "clean"):
        cluster.containers("namenode")[0].docker("restart")
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
        cluster.shopstream("cluster", "drain", "datanode", cluster.containers("datanode")[0].id[:12])
        cluster.shopstream("cluster", "drain", "worker", cluster.containers("spark-worker")[0].id[:12])
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
    leaving = servers["datanode"][0].id[:12]
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
