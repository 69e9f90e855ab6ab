"""A host joins and another leaves while jobs run: no block is lost and no job fails."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster.conftest import RunningCluster
from tests.cluster.watching import checked_counts, counts, running, whole_again
from tests.hosts.playbooks import play
from tests.hosts.standin import StandIns

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def expected(trained: RunningCluster, log: Path) -> dict[str, int]:
    return checked_counts(trained, log)


def test_a_host_joins_under_load(expected: dict[str, int], cluster: RunningCluster, hosts: StandIns) -> None:
    workers, datanodes = len(hosts.addresses()) - 1, len(hosts.addresses())
    new = hosts.add(bare=True)
    with running(cluster, "train"):
        joined = play("scale", hosts.inventory)
    print(f"scale.yaml, {new} joins during train: {joined.seconds:.0f} s")
    whole_again(cluster, workers + 1, datanodes + 1)
    assert counts(cluster) == expected
    assert play("site", hosts.inventory).changes == []


def test_a_host_leaves_under_load(expected: dict[str, int], cluster: RunningCluster, hosts: StandIns) -> None:
    workers, datanodes = len(hosts.addresses()) - 1, len(hosts.addresses())
    leaving = list(hosts.addresses())[1]
    with running(cluster, "train"):
        left = play("scale", hosts.inventory, "-e", f"leaving={leaving}")
    print(f"scale.yaml, {leaving} leaves during train: {left.seconds:.0f} s")
    assert hosts.inside(leaving, "docker", "ps", "--quiet") == ""
    hosts.remove(leaving)
    play("site", hosts.inventory)  # which the playbook asks for: until then the others count with that host
    whole_again(cluster, workers - 1, datanodes - 1)
    assert cluster.status()["hdfs"]["missing_blocks"] == 0
    assert counts(cluster) == expected
    assert play("site", hosts.inventory).changes == []
