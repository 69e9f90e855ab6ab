"""Commands on a cluster that an earlier version of the kit started."""

from __future__ import annotations

import pytest
from click.testing import CliRunner, Result

from spark_apps.cli import main
from spark_apps.cluster.config import ClusterConfig
from spark_apps.cluster.state import Cluster
from spark_apps.commands import cluster as commands
from tests.cluster_cli.fake_docker import FakeDocker


@pytest.fixture(autouse=True)
def _earlier(docker: FakeDocker, started: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster.env without a variable that the Compose files need."""
    text = "services: { a: { mem_limit: '${SHOPSTREAM_PLATFORM_LIMIT:?}' } }\n"
    (started.repository / "compose" / "monitoring.yaml").write_text(text)
    values = started.config().variables()
    del values["SHOPSTREAM_PLATFORM_LIMIT"]
    ClusterConfig.from_variables(values).write(started.env_file)
    monkeypatch.setattr(commands, "find_cluster", lambda name: started)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


@pytest.mark.parametrize(
    "arguments",
    [
        ("cluster", "status"),
        ("cluster", "scale", "worker=3"),
        ("cluster", "drain", "worker", "1"),
        ("cluster", "load", "x.csv"),
        ("cluster", "images"),
        ("submit", "train"),
    ],
)
def test_the_sentence_says_what_to_do(docker: FakeDocker, arguments: tuple[str, ...]) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    [sentence] = result.stderr.splitlines()
    assert sentence == (
        "Error: Cluster shopstream was started by an earlier version (its cluster.env lacks "
        "SHOPSTREAM_PLATFORM_LIMIT): run `shopstream cluster up`, which keeps its data."
    )
    assert docker.asked("compose") == []


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [(("down",), "down"), (("destroy", "--yes"), "down"), (("logs",), "logs")],
)
def test_it_is_stopped_removed_and_its_logs_are_read_all_the_same(
    docker: FakeDocker, arguments: tuple[str, ...], asked: str
) -> None:
    assert run("cluster", *arguments).exit_code == 0
    assert docker.asked("compose")[0][:4] == ["compose", "-p", "shopstream", asked]
