from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_apps.cluster.state import Cluster, NoClusterError, find_cluster, read_environment, write_environment
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
        cluster.existing_environment()
    with pytest.raises(NoClusterError, match="up --name dev`"):
        find_cluster("dev", repository).existing_environment()


values = st.text(st.characters(exclude_characters="'\n\r", exclude_categories=("Cs", "Cc", "Z")), max_size=20)


@given(st.dictionaries(st.from_regex(r"[A-Z][A-Z_]{0,10}", fullmatch=True), values, min_size=1))
def test_what_is_written_is_read_back(environment: dict[str, str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cluster.env"
        assert write_environment(path, environment)
        assert read_environment(path) == environment
        stamp = path.stat().st_mtime_ns
        assert not write_environment(path, dict(environment))
        assert path.stat().st_mtime_ns == stamp
        assert [one.name for one in Path(folder).iterdir()] == ["cluster.env"]


def test_a_value_with_a_space_is_quoted_for_compose(tmp_path: Path) -> None:
    write_environment(tmp_path / "cluster.env", {"A": "/my folder/x", "B": "12m"})
    assert (tmp_path / "cluster.env").read_text().splitlines()[1:] == ["A='/my folder/x'", "B=12m"]


def test_a_value_that_no_line_can_hold_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="without quotes"):
        write_environment(tmp_path / "cluster.env", {"A": "it's here"})
