"""What the containers are allowed, and what they do not give away."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import RunningCluster, docker

OURS = {
    "namenode": "hdfs",
    "datanode": "hdfs",
    "spark-master": "spark",
    "spark-worker": "spark",
    "history-server": "spark",
    "client": "spark",
    "platform-metrics": "spark",
}
ALL = [*OURS, "influxdb", "grafana"]
JAVA = ("namenode", "datanode", "spark-master", "spark-worker", "history-server")


def inspected(cluster: RunningCluster, service: str) -> list[dict[str, Any]]:
    return [json.loads(container.docker("inspect"))[0] for container in cluster.containers(service)]


def tokens(cluster: RunningCluster) -> dict[str, str]:
    """What InfluxDB made itself for the writer, which the client has, and for the reader, which Grafana has."""
    places = {"writer": "client", "reader": "grafana"}
    command = "cat /run/shopstream/{0}/influxdb_{0}_token"
    return {role: cluster.run_in(service, "sh", "-c", command.format(role)).strip() for role, service in places.items()}


def secrets(cluster: RunningCluster) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8").strip() for path in cluster.secrets.iterdir()}


@pytest.mark.parametrize("service", OURS)
def test_processes_run_as_an_unprivileged_user(cluster: RunningCluster, service: str) -> None:
    for container in cluster.containers(service):
        host = container.host
        assert host.user().name == OURS[service]
        assert host.user().uid >= 10000 and host.user().group == "shopstream"
        assert int(host.file("/proc/1/status").content_string.split("CapEff:")[1].split()[0], 16) == 0
        # another user's process would be a way around it
        owners = host.check_output("stat -c %U /proc/[0-9]*").split()
        assert set(owners) == {OURS[service]}


@pytest.mark.parametrize("service", ALL)
def test_containers_have_no_capabilities_and_a_memory_limit(cluster: RunningCluster, service: str) -> None:
    for container in inspected(cluster, service):
        host = container["HostConfig"]
        assert host["CapDrop"] == ["ALL"] and not host["CapAdd"] and not host["Privileged"]
        assert "no-new-privileges:true" in host["SecurityOpt"]
        assert host["Memory"] > 0


@pytest.mark.parametrize("service", OURS)
def test_root_file_systems_are_read_only(cluster: RunningCluster, service: str) -> None:
    assert all(container["HostConfig"]["ReadonlyRootfs"] for container in inspected(cluster, service))
    host = cluster.containers(service)[0].host
    assert host.run("touch /opt/x").rc != 0 and host.run("touch /etc/x").rc != 0
    assert host.run("touch /tmp/x").rc == 0


def test_ports_are_open_on_this_machine_only(cluster: RunningCluster) -> None:
    if cluster.inventory:
        pytest.skip("hosts open theirs to one another: tests/hosts/test_network.py")
    bound = {
        binding["HostIp"]
        for service in ALL
        for container in inspected(cluster, service)
        for bindings in container["NetworkSettings"]["Ports"].values()
        for binding in bindings or []
    }
    assert bound == {"127.0.0.1"}


@pytest.mark.parametrize("service", ALL)
def test_no_secret_is_in_configuration_environment_commands_or_logs(cluster: RunningCluster, service: str) -> None:
    known = secrets(cluster) | tokens(cluster)
    assert len(known) >= 8 and all(len(value) >= 16 for value in known.values())
    for container in cluster.containers(service):
        told = {
            "inspect": container.docker("inspect"),
            "environment and commands": container.docker("top", "auxeww"),
            "logs": container.docker("logs"),
        }
        for place, text in told.items():
            found = [name for name, value in known.items() if value in text]
            assert not found, f"{found} in {place} of {service}"


@pytest.mark.parametrize("image", ["base", "hadoop", "spark"])
def test_no_secret_and_no_build_tool_is_in_an_image(cluster: RunningCluster, image: str) -> None:
    version = inspected(cluster, "client")[0]["Config"]["Image"].rpartition(":")[2]
    tag = f"shopstream/{image}:{version}"
    history = docker("history", "--no-trunc", tag)
    assert not [name for name, value in secrets(cluster).items() if value in history]
    tools = "for tool in gcc cc make mvn javac curl wget; do command -v $tool; done; true"
    shown = docker("run", "--rm", "--entrypoint", "sh", tag, "-c", tools)
    assert shown.split() == []
    caches = docker("run", "--rm", "--entrypoint", "sh", tag, "-c", "ls -d /root/.cache /root/.m2 2>/dev/null; true")
    assert caches.split() == []


def test_secrets_are_files_of_their_users_alone(cluster: RunningCluster) -> None:
    assert cluster.secrets.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in cluster.secrets.iterdir()} == {0o600}
    listed = cluster.run_in("client", "sh", "-c", "stat -c '%a %U %n' /run/shopstream/secrets/*")
    assert all(line.startswith("400 spark ") for line in listed.splitlines()) and listed


def test_driver_and_workers_have_the_same_versions(cluster: RunningCluster) -> None:
    script = (
        "import importlib.metadata as m, json, platform; "
        "print(json.dumps({d.name: d.version for d in m.distributions()} | {'python': platform.python_version()}))"
    )
    versions = [
        container.run("python", "-c", script)
        for service in ("client", "spark-master", "spark-worker", "history-server")
        for container in cluster.containers(service)
    ]
    assert len(versions) >= 4 and len(set(versions)) == 1
    java = {cluster.run_in(service, "java", "--version") for service in JAVA}
    assert len(java) == 1 and "17" in java.pop()


def test_the_master_takes_no_jobs_without_a_secret(cluster: RunningCluster) -> None:
    listening = cluster.run_in("spark-master", "python", "-c", _LISTENING)
    assert "6066" not in listening.split() and "7077" in listening.split()


_LISTENING = """
import pathlib
lines = [l.split() for f in ("tcp", "tcp6") for l in pathlib.Path("/proc/net/" + f).read_text().splitlines()[1:]]
print(*sorted({int(l[1].rsplit(":")[-1], 16) for l in lines if l[3] == "0A"}))
"""


def test_the_host_s_files_are_not_in_the_containers(cluster: RunningCluster) -> None:
    mounts = {mount["Source"] for service in OURS for c in inspected(cluster, service) for mount in c["Mounts"]}
    assert not [source for source in mounts if Path(source) == Path.home() or source == "/"]
    assert not [source for source in mounts if source.endswith("docker.sock")]
