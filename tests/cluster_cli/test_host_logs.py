from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from spark_apps.cluster.hosts.host_logs import show_logs
from spark_apps.cluster.hosts.remote import Inventory, UnreachableError
from spark_apps.commands.cluster import ON_HOSTS, cluster
from spark_apps.errors import UserError

# Says what it was asked, after the host it was asked on; a host called `gone` does not answer.
_SSH = """#!{python} -IS
import sys
host, words = sys.argv[-2:]
if host == "10.0.0.9":
    sys.exit(print("ssh: connect to host gone: timed out", file=sys.stderr) or 255)
print(words)
print("ready")
"""


@pytest.fixture
def hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Inventory:
    """A head and two others, reached by an ssh that says what it was asked."""
    (tmp_path / "ssh").write_text(_SSH.format(python=sys.executable))
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path) + os.pathsep + "/usr/bin:/bin")
    head = {"ansible_host": "10.0.0.1", "group_names": ["namenode", "spark_master", "client"]}
    others = {
        name: {"ansible_host": address, "ansible_become": True, "group_names": ["datanodes", "spark_workers"]}
        for name, address in (("a", "10.0.0.2"), ("b", "10.0.0.3"))
    }
    return Inventory(Path("hosts.yaml"), {"head": head, **others})


def said(inventory: Inventory, service: str | None, follow: bool = False) -> list[str]:
    lines: list[str] = []
    assert show_logs(inventory, service, 7, follow, lines.append) == 0
    return lines


def test_lines_stand_behind_the_host_of_each_container(hosts: Inventory) -> None:
    asked = "docker compose -p shopstream logs --no-color --tail 7"
    assert said(hosts, "datanode") == [
        *(f"a: sudo -n {asked} datanode", "a: ready"),
        *(f"b: sudo -n {asked} datanode", "b: ready"),
    ]
    assert said(hosts, None)[:2] == [f"head: {asked}", "head: ready"] and len(said(hosts, None)) == 6


def test_all_hosts_are_followed_at_once(hosts: Inventory) -> None:
    lines = said(hosts, "spark-worker", follow=True)
    assert sorted(lines)[0] == "a: ready" and len(lines) == 4
    assert all("--follow" in line for line in lines if "docker" in line)


def test_a_service_that_there_is_not_is_told_with_those_there_are(hosts: Inventory) -> None:
    with pytest.raises(
        UserError, match=r"There is no service worker: choose one of namenode, datanode, .*spark-worker"
    ):
        said(hosts, "worker")


def test_a_service_that_no_host_runs_is_told(hosts: Inventory) -> None:
    with pytest.raises(UserError, match=r"No host of hosts\.yaml runs grafana"):
        said(hosts, "grafana")


def test_a_host_that_does_not_answer_is_named(hosts: Inventory) -> None:
    hosts.variables["b"]["ansible_host"] = "10.0.0.9"  # type: ignore[index]
    with pytest.raises(UnreachableError, match=r"Host b cannot be reached by ssh \(ssh: connect to host gone: timed"):
        said(hosts, "datanode")


def test_the_variable_of_an_inventory_reaches_every_command_that_takes_one() -> None:
    takes = {name for name, one in cluster.commands.items() if "inventory" in {option.name for option in one.params}}
    assert takes | {"images"} == set(ON_HOSTS)
