"""What is left of a cluster on its hosts when it was removed: nothing. The last file of these tests."""

from __future__ import annotations

from tests.cluster.conftest import RunningCluster
from tests.hosts.playbooks import play
from tests.hosts.standin import StandIns

LEFT = "ls -d /opt/shopstream /var/lib/shopstream/hdfs/data 2>/dev/null || :"


def test_it_removes_nothing_unasked(hosts: StandIns, cluster: RunningCluster) -> None:
    refused = play("destroy", hosts.inventory, code=2)
    assert "Nothing was removed" in refused.output and refused.changes == []
    assert cluster.status()["ready"]


def test_nothing_is_left(hosts: StandIns, cluster: RunningCluster) -> None:
    play("destroy", hosts.inventory, "-e", "confirm=yes")
    for host in hosts.addresses():
        assert hosts.inside(host, "docker", "ps", "--all", "--quiet") == ""
        assert hosts.inside(host, "docker", "volume", "ls", "--quiet") == ""
        assert "shopstream" not in hosts.inside(host, "nft", "list", "tables")
        assert hosts.inside(host, "sh", "-c", LEFT) == ""
    assert not cluster.secrets.exists()
