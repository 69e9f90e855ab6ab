"""New sizes that would restart the client under a job are refused, before anything is changed."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.cluster.conftest import Container, RunningCluster
from tests.cluster.watching import running
from tests.hosts.playbooks import play
from tests.hosts.standin import BUDGET, StandIns
from tests.hosts.test_site import SERVICES

pytestmark = pytest.mark.long
# everything on a host that a run of the playbooks could write
WRITTEN = "find /opt/shopstream /etc/shopstream -type f -exec sha256sum {} + | sort"


@pytest.fixture
def smaller(hosts: StandIns, tmp_path: Path) -> Path:
    """An inventory with a worker to whose size all executors would shrink."""
    inventory = yaml.safe_load(hosts.inventory.read_text(encoding="utf-8"))
    inventory["all"]["hosts"]["host2"]["shopstream_memory"] = f"{BUDGET - 200}m"
    path = tmp_path / "inventory.yaml"
    path.write_text(yaml.safe_dump(inventory), encoding="utf-8")
    return path


def state(cluster: RunningCluster, hosts: StandIns) -> tuple[dict[str, list[Container]], dict[str, str]]:
    containers = {service: cluster.containers(service) for service in SERVICES}
    return containers, {host: hosts.inside(host, "sh", "-c", WRITTEN) for host in hosts.addresses()}


def test_new_sizes_are_refused_while_a_job_runs_and_those_there_are_pass(
    loaded: RunningCluster, hosts: StandIns, smaller: Path
) -> None:
    before = state(loaded, hosts)
    with running(loaded, "train"):
        refused = play("site", smaller, code=2)
        assert play("site", hosts.inventory).changes == []
    assert "The client would be restarted while train runs in it" in " ".join(refused.output.split())
    assert refused.changes == []
    assert state(loaded, hosts) == before
