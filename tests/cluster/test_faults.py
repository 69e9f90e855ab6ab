"""Parts of the cluster die, come back, grow and shrink while jobs run; afterwards the rows are counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from spark_apps.cluster.state import STATE_VARIABLE
from tests.cluster.conftest import NAME, Container, RunningCluster, eventually, remove_left_over
from tests.cluster.watching import alive_workers, checked_counts, counts, running, whole_again


@pytest.fixture(scope="module")
def expected(trained: RunningCluster, log: Path) -> dict[str, int]:
    """Rows of an undisturbed run."""
    return checked_counts(trained, log)


def containers(cluster: RunningCluster) -> dict[str, list[Container]]:
    """The containers that do not end."""
    services = ("namenode", "datanode", "spark-master", "spark-worker", "history-server", "client")
    return {service: cluster.containers(service) for service in (*services, "influxdb", "grafana", "platform-metrics")}


def test_a_worker_killed_during_train_costs_no_row(expected: dict[str, int], cluster: RunningCluster) -> None:
    with running(cluster, "train"):
        cluster.containers("spark-worker")[0].docker("kill")
    assert counts(cluster) == expected
    cluster.shopstream("cluster", "up")
    whole_again(cluster)


@pytest.mark.long
def test_a_datanode_killed_and_back_costs_no_row(expected: dict[str, int], cluster: RunningCluster) -> None:
    with running(cluster, "clean"):
        cluster.containers("datanode")[0].docker("kill")
    assert counts(cluster) == expected
    cluster.shopstream("cluster", "up")
    whole_again(cluster)
    assert counts(cluster) == expected


@pytest.mark.long
def test_clean_outlives_a_restart_of_the_namenode(expected: dict[str, int], cluster: RunningCluster) -> None:
    with running(cluster, "clean"):
        cluster.containers("namenode")[0].docker("restart")
    whole_again(cluster)
    assert counts(cluster) == expected


@pytest.mark.long
def test_down_and_up_keep_the_data(expected: dict[str, int], cluster: RunningCluster) -> None:
    cluster.shopstream("cluster", "down")
    assert cluster.containers("namenode") == []
    cluster.shopstream("cluster", "up")
    whole_again(cluster)
    assert counts(cluster) == expected
    cluster.shopstream("submit", "models", "list")


def test_a_second_up_changes_nothing(expected: dict[str, int], cluster: RunningCluster) -> None:
    before = containers(cluster)
    cluster.shopstream("cluster", "up", timeout=120)
    assert containers(cluster) == before


def test_a_worker_and_a_datanode_join_and_are_drained(expected: dict[str, int], cluster: RunningCluster) -> None:
    cluster.shopstream("cluster", "scale", "worker=3", "datanode=3", "--memory", "11g")
    whole_again(cluster, 3, 3)
    with running(cluster, "train"):
        cluster.shopstream("cluster", "drain", "datanode", cluster.containers("datanode")[0].id[:12])
        cluster.shopstream("cluster", "drain", "worker", cluster.containers("spark-worker")[0].id[:12])
    assert counts(cluster) == expected
    eventually(lambda: alive_workers(cluster) == 2, "two workers are left")
    assert len(cluster.containers("datanode")) == 2 and len(cluster.containers("spark-worker")) == 2
    hdfs = cluster.status()["hdfs"]
    assert (hdfs["missing_blocks"], hdfs["dead"]) == (0, 0)
    cluster.shopstream("submit", "hdfs", "check")  # the train that ran meanwhile began with three DataNodes
    before = containers(cluster)
    cluster.shopstream("cluster", "up", timeout=120)
    assert containers(cluster) == before


def test_another_copy_of_the_kit_does_not_touch_this_cluster(
    cluster: RunningCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = containers(cluster)
    monkeypatch.setenv(STATE_VARIABLE, str(tmp_path))  # a copy has a state folder of its own, empty at first
    assert f"Another cluster {cluster.name} is on this engine" in cluster.shopstream("cluster", "up", code=2)
    assert containers(cluster) == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
def test_a_second_cluster_stands_beside_the_first(expected: dict[str, int], cluster: RunningCluster) -> None:
    other = RunningCluster(f"{NAME}-2")
    sizes = ("--memory", "5g", "--workers", "1", "--datanodes", "1", "--port-offset", "3000", "--no-monitoring")
    remove_left_over(other)
    try:
        other.shopstream("cluster", "up", *sizes, timeout=900)
        assert not set(other.status()["urls"].values()) & set(cluster.status()["urls"].values())
        assert "No raw rows" in other.shopstream("submit", "clean", code=2)
        assert counts(cluster) == expected
    finally:
        other.shopstream("cluster", "destroy", "--yes")
    assert counts(cluster) == expected
