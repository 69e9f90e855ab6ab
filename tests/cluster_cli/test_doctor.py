"""Each fault that doctor claims to find is made, and must be named with its remedy."""

from __future__ import annotations

import json
import socket
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path

import pytest

from spark_apps.cluster.compose.docker import find_docker
from spark_apps.cluster.health import doctor
from spark_apps.cluster.health.doctor import CheckContext, Finding, PreflightError, check_docker, examine, preflight
from spark_apps.cluster.secrets import make_secrets
from spark_apps.cluster.state import Cluster
from tests.cluster_cli.fake_docker import INFO, FakeDocker, change, serving

Check = Callable[[CheckContext], Finding]
MINE = "com.docker.compose.project=shopstream"


@pytest.fixture
def ask(docker: FakeDocker, started: Cluster) -> Callable[[Check], Finding]:
    """Makes one check on the started cluster with the engine as the fake describes it."""

    def make(check: Check) -> Finding:
        found = find_docker()
        return check(CheckContext(started, started.config(), found, found.info()))

    return make


@pytest.fixture(autouse=True)
def _free_ports(started: Cluster) -> None:
    """Ports of this test alone."""
    for name in ("HDFS", "SPARK", "HISTORY", "DRIVER", "INFLUXDB", "GRAFANA"):
        with socket.create_server(("127.0.0.1", 0)) as server:
            change(started, **{f"SHOPSTREAM_PORT_{name}": server.getsockname()[1]})


def has(finding: Finding, problem: str, remedy: str) -> None:
    assert not finding.ok
    assert problem in finding.problem
    assert remedy in finding.remedy


def test_docker_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    has(check_docker()[1], "There is no docker command", "install Docker Engine")


def test_docker_not_running(docker: FakeDocker) -> None:
    docker.answer("^info", err="Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", code=1)
    has(check_docker()[1], "engine does not answer", "start")


def test_docker_not_allowed(docker: FakeDocker) -> None:
    docker.answer("^info", err="permission denied while trying to connect to the Docker daemon socket", code=1)
    has(check_docker()[1], "engine does not answer", "usermod -aG docker")


def test_docker_there(docker: FakeDocker) -> None:
    assert check_docker()[1].ok


def test_engine_too_old(docker: FakeDocker, ask: Callable[[Check], Finding]) -> None:
    docker.answer("^info", json.dumps({**INFO, "ServerVersion": "19.03.1"}))
    has(ask(doctor.check_versions), "Docker engine 19.03.1 is too old", "install 20.10 or newer")


def test_compose_missing(docker: FakeDocker, ask: Callable[[Check], Finding]) -> None:
    docker.answer("^compose version", err="docker: 'compose' is not a docker command.", code=1)
    has(ask(doctor.check_versions), "`docker compose` (Compose v2) is missing", "docker-compose-plugin")


def test_compose_too_old(docker: FakeDocker, ask: Callable[[Check], Finding]) -> None:
    docker.answer("^compose version", "v2.3.4\n")
    has(ask(doctor.check_versions), "Compose v2.3.4 is older than 2.20", "docker-compose-plugin")


def test_versions_new_enough(ask: Callable[[Check], Finding]) -> None:
    assert ask(doctor.check_versions).ok


@pytest.fixture
def unstarted(started: Cluster) -> Cluster:
    """The same cluster in a copy of the kit that has not started it."""
    started.env_file.unlink()
    return started


def namesake(cluster: Cluster) -> Finding:
    found = find_docker()
    return doctor.check_namesake(CheckContext(cluster, {}, found, found.info()))


def test_a_cluster_that_another_copy_started(docker: FakeDocker, unstarted: Cluster) -> None:
    docker.answer("^ps .*Names", "shopstream-namenode-1\n")
    docker.answer("^ps .*working_dir", "/home/ann/shopstream\n\n")
    has(namesake(unstarted), "was started from /home/ann/shopstream", "`shopstream cluster destroy`")
    with pytest.raises(PreflightError, match="give yours another name"):
        preflight(unstarted, {})


def test_volumes_whose_secrets_are_lost(docker: FakeDocker, unstarted: Cluster) -> None:
    docker.answer("^volume ls", "shopstream_influxdb-data\nshopstream_namenode-data\n")
    has(namesake(unstarted), "left 2 volumes and no secrets here", "`shopstream cluster destroy`")


def test_a_name_that_is_free(docker: FakeDocker, unstarted: Cluster) -> None:
    assert namesake(unstarted).seen == "shopstream is free"


def test_a_name_that_is_this_copy_s_own(docker: FakeDocker, ask: Callable[[Check], Finding]) -> None:
    docker.answer("^volume ls", "shopstream_influxdb-data\n")
    assert ask(doctor.check_namesake).seen == "shopstream, started from here"


def test_too_little_memory(docker: FakeDocker, ask: Callable[[Check], Finding]) -> None:
    docker.answer("^info", json.dumps({**INFO, "MemTotal": 8 * 1024**3}))
    has(ask(doctor.check_memory), "may take 12288 MiB and Docker has 8192", "up --memory 6554m")


def test_too_little_memory_in_docker_desktop(docker: FakeDocker, ask: Callable[[Check], Finding]) -> None:
    docker.answer("^info", json.dumps({**INFO, "MemTotal": 8 * 1024**3, "OperatingSystem": "Docker Desktop"}))
    has(ask(doctor.check_memory), "Docker has 8192", "Settings > Resources")


def test_memory_enough(ask: Callable[[Check], Finding]) -> None:
    assert ask(doctor.check_memory).ok


def test_a_port_taken_by_a_program(started: Cluster, ask: Callable[[Check], Finding]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        change(started, SHOPSTREAM_PORT_SPARK=port)
        finding = ask(doctor.check_ports)
    has(finding, f"Ports in use on 127.0.0.1: {port} by ", "--port-offset 100")


def listed(name: str, port: int, labels: str) -> str:
    ports = f"127.0.0.1:{port}->8080/tcp, 7077/tcp"
    return json.dumps({"Names": name, "Ports": ports, "Labels": labels})


def test_a_port_taken_by_a_container(docker: FakeDocker, started: Cluster, ask: Callable[[Check], Finding]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        change(started, SHOPSTREAM_PORT_SPARK=port)
        docker.answer("^ps", listed("other-web-1", port, "com.docker.compose.project=other"))
        has(ask(doctor.check_ports), f"{port} by the container other-web-1 of other", "stop that program")


def test_the_cluster_s_own_ports_are_not_taken(
    docker: FakeDocker, started: Cluster, ask: Callable[[Check], Finding]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        change(started, SHOPSTREAM_PORT_SPARK=server.getsockname()[1])
        docker.answer("^ps", listed("shopstream-spark-master-1", server.getsockname()[1], f"a=b,{MINE}"))
        assert ask(doctor.check_ports).ok


def test_little_disk(monkeypatch: pytest.MonkeyPatch, ask: Callable[[Check], Finding]) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage(10**12, 0, 2 * 1024**3))
    has(ask(doctor.check_disk), "Only 2.0 GiB free", "docker system df")


def test_disk_enough(monkeypatch: pytest.MonkeyPatch, ask: Callable[[Check], Finding]) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: usage(10**12, 0, 10**12))
    assert ask(doctor.check_disk).ok


def test_a_clock_that_is_off(started: Cluster, ask: Callable[[Check], Finding]) -> None:
    with serving({"/jmx": {}}, {"Date": "Tue, 01 Oct 2019 00:00:00 GMT"}) as port:
        change(started, SHOPSTREAM_PORT_HDFS=port)
        has(ask(doctor.check_clock), "off the host's", "NTP")


def test_a_clock_that_agrees(started: Cluster, ask: Callable[[Check], Finding]) -> None:
    with serving({"/jmx": {}}) as port:
        change(started, SHOPSTREAM_PORT_HDFS=port)
        finding = ask(doctor.check_clock)
    assert finding.ok and not finding.skipped


def test_a_clock_that_cannot_be_read_is_skipped(ask: Callable[[Check], Finding]) -> None:
    assert ask(doctor.check_clock).skipped


def test_a_secret_lost(started: Cluster, ask: Callable[[Check], Finding]) -> None:
    make_secrets(started.secrets)
    (started.secrets / "spark_auth").unlink()
    (started.secrets / "influxdb_admin_token").write_text("")
    has(ask(doctor.check_secrets), "spark_auth, influxdb_admin_token", "up")


def test_a_secret_open_to_others(started: Cluster, ask: Callable[[Check], Finding]) -> None:
    make_secrets(started.secrets)
    (started.secrets / "grafana_secret_key").chmod(0o644)
    has(ask(doctor.check_secrets), "Others can read grafana_secret_key", "chmod -R")


def test_a_secrets_folder_open_to_others(started: Cluster, ask: Callable[[Check], Finding]) -> None:
    make_secrets(started.secrets)
    started.secrets.chmod(0o755)
    has(ask(doctor.check_secrets), "Others can read secrets", "chmod -R")


def test_secrets_in_order(started: Cluster, ask: Callable[[Check], Finding]) -> None:
    assert ask(doctor.check_secrets).skipped
    make_secrets(started.secrets)
    finding = ask(doctor.check_secrets)
    assert finding.ok and not finding.skipped


def test_windows_line_ends(started: Cluster, ask: Callable[[Check], Finding]) -> None:
    script = started.repository / "docker" / "entrypoint" / "start"
    script.parent.mkdir(parents=True)
    script.write_bytes(b"#!/bin/sh\r\nexec true\r\n")
    has(ask(doctor.check_line_ends), "Windows line ends (CRLF) in docker/entrypoint/start", "core.autocrlf")


def test_unix_line_ends(started: Cluster, ask: Callable[[Check], Finding]) -> None:
    assert ask(doctor.check_line_ends).ok


def volumes(docker: FakeDocker, *lines: str) -> None:
    """Volumes of the cluster, and what the look into them prints: uid|folder|cluster id|kind."""
    names = sorted({line.split("|")[1].split("/")[2] for line in lines})
    docker.answer("^volume ls", "\n".join(json.dumps({"Name": name}) for name in names))
    docker.answer("^image inspect", "sha256:1\n")
    docker.answer("^run ", "\n".join(lines) + "\n")


NAME = "10001|/volumes/shopstream_namenode/name|CID-1|NAME_NODE"


def test_a_volume_of_another_cluster_id(docker: FakeDocker, ask: Callable[[Check], Finding]) -> None:
    own = "10001|/volumes/shopstream_datanode/1/data|CID-1|DATA_NODE"
    volumes(docker, NAME, own, "10001|/volumes/shopstream_datanode/2/data|CID-2|DATA_NODE")
    has(
        ask(doctor.check_cluster_ids),
        "The cluster id differs from the NameNode's: /2/data in shopstream_datanode",
        "--volume shopstream_datanode:/v shopstream/hadoop:dev -r /v/2`",
    )


def test_datanode_volumes_without_a_namenode_s(docker: FakeDocker, ask: Callable[[Check], Finding]) -> None:
    volumes(docker, "10001|/volumes/shopstream_datanode/data|CID-2|DATA_NODE")
    has(
        ask(doctor.check_cluster_ids),
        "DataNode folders without a NameNode's: /data in shopstream_datanode",
        "-r /v/data",
    )


def test_volumes_of_one_cluster_id(docker: FakeDocker, ask: Callable[[Check], Finding]) -> None:
    assert ask(doctor.check_cluster_ids).skipped
    volumes(docker, NAME, "10001|/volumes/shopstream_datanode/data|CID-1|DATA_NODE")
    finding = ask(doctor.check_cluster_ids)
    assert finding.seen == "CID-1" and not finding.skipped


def test_a_volume_of_another_owner(docker: FakeDocker, ask: Callable[[Check], Finding]) -> None:
    volumes(docker, NAME, "0|/volumes/shopstream_datanode/data|CID-1|DATA_NODE")
    has(
        ask(doctor.check_owners),
        "/data in shopstream_datanode belongs to 0 instead of 10001",
        "chown -v shopstream_datanode:/v",
    )


def test_owners_in_order(docker: FakeDocker, ask: Callable[[Check], Finding]) -> None:
    volumes(docker, NAME, "10002|/volumes/shopstream_spark-work||", "0|/volumes/shopstream_spark-secrets||")
    assert ask(doctor.check_owners).ok


def test_the_look_into_volumes_can_change_nothing(docker: FakeDocker, ask: Callable[[Check], Finding]) -> None:
    volumes(docker, NAME)
    ask(doctor.check_owners)
    [run] = docker.asked("run --rm")
    assert "shopstream_namenode:/volumes/shopstream_namenode:ro" in run
    assert run[run.index("--cap-drop") + 1] == "ALL"
    assert run[run.index("--network") + 1] == "none"


def test_all_checks_are_made(docker: FakeDocker, started: Cluster) -> None:
    findings = list(examine(started, started.config()))
    assert len(findings) == 1 + len(doctor.CHECKS)
    assert {one.check for one in findings if not one.ok} <= {"Disk"}


def test_without_docker_the_other_checks_are_still_made(
    started: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    findings = {one.check: one for one in examine(started, started.config())}
    assert not findings["Docker"].ok
    assert findings["Memory"].skipped and findings["Line ends"].ok


def test_a_check_that_docker_refuses_is_a_finding(docker: FakeDocker, started: Cluster) -> None:
    docker.answer("^volume ls", err="no volumes today", code=1)
    findings = {one.check: one for one in examine(started, started.config())}
    assert "no volumes today" in findings["Cluster ids"].problem


def test_a_start_is_refused_with_the_first_problem_and_its_remedy(docker: FakeDocker, started: Cluster) -> None:
    preflight(started, started.config())
    docker.answer("^compose version", "2.0.1")
    with pytest.raises(PreflightError, match=r"Compose 2\.0\.1 is older than 2\.20: install the plugin"):
        preflight(started, started.config())
