"""The stand-ins themselves: hosts that reach one another, are cut off and come back, and leave nothing behind."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.cluster.conftest import docker
from tests.hosts.playbooks import TAG
from tests.hosts.standin import LABEL, StandIns

pytestmark = pytest.mark.long
IMAGE = f"shopstream/base:{TAG}"


def reaches(hosts: StandIns, one: str, other: str) -> bool:
    """Says whether one host, to which ssh leads, reaches the other by its name."""
    return subprocess.run([*hosts.ssh(one), f"ping -c 1 -W 2 {other}"], capture_output=True).returncode == 0


def test_hosts_are_cut_off_and_healed_and_leave_nothing(images: None, tmp_path: Path) -> None:
    hosts = StandIns("shopstream-try", tmp_path / "state")
    try:
        hosts.up(2)
        assert hosts.key.stat().st_mode & 0o777 == 0o600
        assert reaches(hosts, "host1", "host2")
        given = f"docker save {IMAGE} | {' '.join(hosts.ssh('host2'))} docker load --quiet"
        subprocess.run(given, shell=True, check=True, capture_output=True)
        run = ("docker", "run", "--detach", "--network", "host", "--entrypoint", "sleep", IMAGE, "3600")
        container = hosts.inside("host2", *run).strip()
        hosts.cut("host2")
        assert not reaches(hosts, "host1", "host2") and running(hosts) == []
        hosts.heal("host2")
        assert reaches(hosts, "host2", "host1") and running(hosts) == [container]
        assert list(hosts.addresses()) == ["host1", "host2"] and hosts.add(bare=True) == "host3"
        hosts.remove("host2")
        assert hosts.add(bare=True) == "host4" and list(hosts.addresses()) == ["host1", "host3", "host4"]
    finally:
        hosts.down()
    for listing in (("ps", "--all"), ("volume", "ls"), ("network", "ls")):
        assert docker(*listing, "--quiet", "--filter", f"label={LABEL}={hosts.name}") == ""
    assert not hosts.state.exists()


def running(hosts: StandIns) -> list[str]:
    return hosts.inside("host2", "docker", "ps", "--quiet", "--no-trunc").split()
