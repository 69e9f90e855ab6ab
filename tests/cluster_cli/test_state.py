from __future__ import annotations

from pathlib import Path

import pytest

from spark_apps.cluster.state import Cluster, NoClusterError, find_cluster
from spark_apps.errors import UserError


@pytest.mark.parametrize("name", ["Shop", "a b", "", "-x", "../x", "x" * 60, "a/b"])
def test_a_name_that_compose_refuses_is_refused(name: str, repository: Path) -> None:
    with pytest.raises(UserError, match="A cluster cannot be called"):
        find_cluster(name, repository)


def test_a_kit_without_its_compose_files_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"There is no compose/cluster\.yaml"):
        find_cluster("shopstream", tmp_path)


def test_the_state_stands_in_the_repository_or_where_it_is_told(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_cluster("dev", repository).env_file == repository / ".cluster" / "dev" / "cluster.env"
    monkeypatch.setenv("SHOPSTREAM_CLUSTER_STATE", str(tmp_path / "elsewhere"))
    assert find_cluster("dev", repository).secrets == tmp_path / "elsewhere" / "dev" / "secrets"


def test_a_cluster_never_started_is_told_with_the_command_that_starts_it(cluster: Cluster, repository: Path) -> None:
    with pytest.raises(NoClusterError, match="start it with `shopstream cluster up`"):
        cluster.existing_config()
    with pytest.raises(NoClusterError, match="up --name dev`"):
        find_cluster("dev", repository).existing_config()
