from __future__ import annotations

import os
from pathlib import Path

import pytest

from spark_apps.cluster.compose.docker import find_docker
from spark_apps.cluster.compose.project import Compose
from spark_apps.cluster.config import ClusterConfig
from spark_apps.cluster.operations.lifecycle import UpOptions, decide
from spark_apps.cluster.state import Cluster, find_cluster
from tests.cluster_cli.fake_docker import INFO, FakeDocker


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeDocker:
    """A fake docker, the only one on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder) + os.pathsep + "/usr/bin:/bin")
    return FakeDocker(folder)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A copy of the kit with nothing but its Compose files."""
    folder = tmp_path / "repository"
    (folder / "compose").mkdir(parents=True)
    for name in ("cluster.yaml", "monitoring.yaml"):
        (folder / "compose" / name).write_text("services: {}\n")
    return folder


@pytest.fixture
def cluster(repository: Path) -> Cluster:
    """A cluster that was never started."""
    return find_cluster("shopstream", repository)


@pytest.fixture
def started(cluster: Cluster) -> Cluster:
    """A cluster with a cluster.env, as after `up`."""
    decide(UpOptions(memory="12g"), cluster, ClusterConfig(), INFO, {}).write(cluster.env_file)
    return cluster


@pytest.fixture
def compose(docker: FakeDocker, started: Cluster) -> Compose:
    """Compose on the started cluster, through the fake docker."""
    return Compose(find_docker(), started)
