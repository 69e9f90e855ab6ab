"""Three stand-ins for hosts, and one cluster on them that the kit's own playbook made of bare ones.

SHOPSTREAM_KEEP_CLUSTER=1 leaves hosts and cluster for the next run, which then begins with the same site.yaml.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.conftest import (
    ENGINE_REQUIRED,
    KEEP_CLUSTER,
    RunningCluster,
    cluster_of,
    engine,
    loaded,
    local_root,
    log,
    trained,
)
from tests.hosts.playbooks import REPOSITORY, Run, play
from tests.hosts.standin import StandIns

__all__ = ["engine", "loaded", "local_root", "log", "trained"]

HOSTS = int(os.environ.get("SHOPSTREAM_TEST_HOSTS", "3"))
# a whole cluster is made of bare machines before the first test
pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="session")
def ansible() -> None:
    """The extra `hosts`, without which these tests are skipped, or in CI fail."""
    try:
        import ansible  # noqa: F401
    except ImportError:
        missing = "no Ansible: run `make setup-hosts`"
        (pytest.fail if ENGINE_REQUIRED else pytest.skip)(missing)


@pytest.fixture(scope="session")
def images(engine: None) -> None:
    """The images of this code, on this machine, from where the playbook hands them out."""
    RunningCluster("shopstream").shopstream("cluster", "images", timeout=2400)


@pytest.fixture(scope="session")
def hosts(engine: None, ansible: None) -> Iterator[StandIns]:
    """Bare hosts: no Docker engine yet."""
    made = StandIns()
    if not KEEP_CLUSTER:
        made.down()  # what a killed run left
    try:
        made.up(HOSTS, bare=True)
        yield made
    finally:
        if not KEEP_CLUSTER:
            made.down()


@pytest.fixture(scope="session")
def site(hosts: StandIns, images: None) -> Run:
    """The one command that makes a cluster of them."""
    return play("site", hosts.inventory)


@pytest.fixture(scope="session")
def cluster(hosts: StandIns, site: Run) -> RunningCluster:
    """The cluster on the hosts."""
    return cluster_of(hosts.inventory)


@pytest.fixture(scope="session")
def november_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    raise NotImplementedError
