from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from spark_apps.cluster.compose.docker import Docker, DockerError, DockerMissingError, find_docker, json_rows, version
from spark_apps.cluster.compose.project import Compose, read_container
from spark_apps.cluster.state import Cluster
from spark_apps.errors import UserError
from tests.cluster_cli.fake_docker import FakeDocker, row


def test_the_first_docker_on_the_path_is_taken_unless_another_is_named(
    docker: FakeDocker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert find_docker().program == str(docker.folder / "docker")
    other = tmp_path / "podman"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("SHOPSTREAM_DOCKER", str(other))
    assert find_docker().program == str(other)


def test_without_docker_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DockerMissingError, match="install Docker Engine"):
        find_docker()


def test_compose_is_called_with_the_cluster_s_files(compose: Compose, docker: FakeDocker) -> None:
    compose.ask("ps")
    [arguments] = docker.asked()
    cluster = compose.cluster
    assert arguments == [
        *("compose", "-p", "shopstream", "--project-directory", str(cluster.repository)),
        *("--env-file", str(cluster.env_file), "-f", "compose/cluster.yaml", "-f", "compose/monitoring.yaml", "ps"),
    ]


def test_monitoring_can_be_left_out(docker: FakeDocker, started: Cluster) -> None:
    assert "compose/monitoring.yaml" not in Compose(find_docker(), started, monitoring=False).command("ps")


def test_nothing_of_the_shell_s_own_reaches_the_services(
    compose: Compose, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SHOPSTREAM_REPLICATION", "SHOPSTREAM_HDFS_RECHECK_MS", "SHOPSTREAM_TAG", "GRAFANA_IMAGE"):
        monkeypatch.setenv(name, "7")
    compose.ask("ps")
    [environment] = docker.environments()
    assert not [name for name in environment if name.startswith("SHOPSTREAM") or name == "GRAFANA_IMAGE"]


def test_a_cluster_of_an_earlier_version_is_seen(compose: Compose) -> None:
    text = "services:\n  a:\n    mem_limit: ${SHOPSTREAM_NEW_LIMIT:?}\n    image: b:${SHOPSTREAM_TAG:-dev}\n"
    assert compose.missing_variables() == []
    (compose.cluster.repository / "compose" / "monitoring.yaml").write_text(text)
    assert compose.missing_variables() == ["SHOPSTREAM_NEW_LIMIT"]


def test_a_cluster_is_found_without_its_files(docker: FakeDocker, started: Cluster) -> None:
    Compose(find_docker(), started, by_labels=True).ask("down")
    assert docker.asked() == [["compose", "-p", "shopstream", "down"]]


def test_what_cluster_env_says_wins_over_the_shell(
    compose: Compose, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOPSTREAM_WORKERS", "99")
    monkeypatch.setenv("PIP_INDEX_URL", "https://mirror.example/simple")
    compose.ask("ps")
    [environment] = docker.environments()
    assert "SHOPSTREAM_WORKERS" not in environment
    assert environment["PIP_INDEX_URL"] == "https://mirror.example/simple"


def test_a_failed_command_is_told_with_its_last_words(compose: Compose, docker: FakeDocker) -> None:
    docker.answer("down", err="Stopping\nError response from daemon: no.\n", code=1)
    with pytest.raises(DockerError) as failed:
        compose.ask("down")
    assert str(failed.value) == "`docker compose down` failed: Error response from daemon: no."


def test_a_command_that_does_not_end_is_given_up(compose: Compose, docker: FakeDocker, tmp_path: Path) -> None:
    docker.answer("down", until=tmp_path / "never")
    with pytest.raises(DockerError, match="no answer within 0 s"):
        compose.ask("down", timeout=0.2)


def test_a_docker_that_does_not_start_is_told(tmp_path: Path) -> None:
    with pytest.raises(DockerError, match="No such file"):
        Docker(str(tmp_path / "docker")).ask("info")


def test_an_engine_that_does_not_run_is_an_error_although_the_client_ends_well(docker: FakeDocker) -> None:
    docker.answer("^info", json.dumps({"ServerErrors": ["Cannot connect to the Docker daemon."]}))
    with pytest.raises(DockerError, match="Cannot connect"):
        find_docker().info()


def test_both_forms_of_compose_s_json_are_read() -> None:
    rows = [row("namenode"), row("client")]
    lines = "\n".join(json.dumps(one) for one in rows)
    assert list(json_rows(json.dumps(rows))) == list(json_rows(lines)) == rows
    assert list(json_rows("\n")) == []


def test_containers_of_compose_run_are_left_out(compose: Compose, docker: FakeDocker) -> None:
    docker.containers(row("client"), row("client", 2, Labels="com.docker.compose.oneoff=True"))
    assert [one.name for one in compose.containers()] == ["shopstream-client-1"]
    assert compose.running("client").name == "shopstream-client-1"
    with pytest.raises(UserError, match="The service namenode of cluster shopstream is not running"):
        compose.running("namenode")


def test_a_container_that_goes_while_they_are_listed_is_no_failure(
    compose: Compose, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker.containers(row("client"))
    asked, ask = [], Compose.ask

    def gone_at_first(self: Compose, *arguments: str, **options: float) -> str:
        asked.append(arguments)
        if len(asked) == 1:
            raise DockerError(arguments, "Error response from daemon: No such container: d47c6240e78f")
        return ask(self, *arguments, **options)

    monkeypatch.setattr(Compose, "ask", gone_at_first)
    assert [one.service for one in compose.containers()] == ["client"]
    assert len(asked) == 2


def test_a_list_that_cannot_be_had_is_an_error(compose: Compose, docker: FakeDocker) -> None:
    docker.answer("ps --all", err="No such container: 1\n", code=1)
    with pytest.raises(DockerError, match="No such container"):
        compose.containers()
    docker.answer("ps --all", err="permission denied\n", code=1)
    docker.forget()
    with pytest.raises(DockerError, match="permission denied"):
        compose.containers()
    assert len(docker.asked("ps")) == 1


@pytest.mark.parametrize(
    ("service", "state", "health", "code", "ready", "failed"),
    [
        ("namenode", "running", "healthy", 0, True, False),
        ("namenode", "running", "starting", 0, False, False),
        ("namenode", "running", "unhealthy", 0, False, True),
        ("namenode", "running", "", 0, True, False),
        ("namenode", "exited", "", 0, False, True),
        ("namenode", "restarting", "", 1, False, True),
        ("namenode", "created", "", 0, False, False),
        ("layout", "exited", "", 0, True, False),
        ("layout", "exited", "", 1, False, True),
        ("layout", "running", "", 0, False, False),
    ],
)
def test_ready_and_failed_are_told_apart(
    service: str, state: str, health: str, code: int, ready: bool, failed: bool
) -> None:
    container = read_container(row(service, state=state, health=health, ExitCode=code))
    assert (container.ready, container.failed) == (ready, failed)


def test_published_ports_are_read() -> None:
    publishers = [{"PublishedPort": 9870}, {"PublishedPort": 0}, {"PublishedPort": 9870}]
    assert read_container(row("namenode", Publishers=publishers)).ports == (9870,)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("2.26.1", (2, 26, 1)), ("v2.5.0-desktop.1", (2, 5, 0)), ("20.10.24+dfsg1", (20, 10, 24)), ("none", ())],
)
def test_versions_are_read(text: str, numbers: tuple[int, ...]) -> None:
    assert version(text) == numbers


def test_the_program_s_own_variables_stay(compose: Compose) -> None:
    assert compose.environment()["PATH"] == os.environ["PATH"]
