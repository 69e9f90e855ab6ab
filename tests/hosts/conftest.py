"""Three stand-ins for hosts, and one cluster on them that the kit's own playbook made of bare ones.

SHOPSTREAM_KEEP_CLUSTER=1 leaves hosts and cluster for the next run, which then begins with the same site.yaml.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from spark_apps.generator import GeneratorSpec, write_events
from spark_apps.jobs import load
from tests.cluster.conftest import (
    ENGINE_REQUIRED,
    KEEP_CLUSTER,
    REPOSITORY,
    RunningCluster,
    cluster_of,
    engine,
    loaded,
    log,
    trained,
)
from tests.cluster.reference_run import train_here
from tests.hosts.playbooks import TAG, Run, play
from tests.hosts.standin import StandIns

__all__ = ["engine", "loaded", "log", "trained"]

HOSTS = int(os.environ.get("SHOPSTREAM_TEST_HOSTS", "3"))
for shared in ("containers", "tables"):
    pytest.register_assert_rewrite(f"tests.cluster.test_{shared}")
# the tests of each file find the cluster as those before have left it, and whole
ORDER = (
    "test_standin",
    "test_site",
    "test_network",
    "test_containers",
    "test_rows",
    "test_tables",
    "test_client",
    # before any stream: a training takes streamed events too
    "test_scale",
    "test_loss",
    "test_upgrade",
    "test_many_events",
    "test_destroy",
)
NOVEMBER_EVENTS = 8_000
# what of test_containers the short form takes: one service on several hosts and the one with jobs, and their image.
# All of it runs on one host in each form.
SHORTLY_LOOKED_AT = {"datanode", "client", "spark"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the files of this folder in their order; the first test waits until the cluster is made."""
    here = Path(__file__).parent
    ours = [item for item in items if here in item.path.parents]
    places = [number for number, item in enumerate(items) if item in ours]
    for place, item in zip(places, sorted(ours, key=lambda item: ORDER.index(item.path.stem)), strict=True):
        items[place] = item
        item.add_marker(pytest.mark.timeout(7200))
        if item.path.stem == "test_containers" and not _shortly_looked_at(item):
            item.add_marker(pytest.mark.long)


def _shortly_looked_at(item: pytest.Item) -> bool:
    """Whether a test has no parameter, or one that the short form takes."""
    callspec = getattr(item, "callspec", None)  # a test without parameters has none
    return callspec is None or bool(SHORTLY_LOOKED_AT & set(callspec.params.values()))


@pytest.fixture(scope="session")
def ansible() -> None:
    """The extra `hosts`, without which these tests are skipped, or in CI fail."""
    if find_spec("ansible.errors") is None:  # `ansible` alone is also the folder of this repository
        (pytest.fail if ENGINE_REQUIRED else pytest.skip)("no Ansible: run `make setup-hosts`")


@pytest.fixture(scope="session")
def cleared(engine: None) -> Iterator[StandIns]:
    """Hosts that are still to be made: what a killed run left is away, and so is all of this one at its end."""
    hosts = StandIns()
    if KEEP_CLUSTER:
        yield hosts
        return
    _all_away(hosts)
    try:
        yield hosts
    finally:
        _all_away(hosts)


@pytest.fixture(scope="session")
def building(cleared: StandIns) -> Iterator[subprocess.Popen[str]]:
    """The build of this code's images, which the hosts need not wait for while they are made."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHOPSTREAM_TAG", TAG)
        process = RunningCluster(StandIns.name).start("cluster", "images")
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="session")
def images(building: subprocess.Popen[str]) -> None:
    """The images of this code on this machine, from where the playbook hands them out."""
    _, errors = building.communicate(timeout=2400)
    assert building.returncode == 0, errors[-4000:]


@pytest.fixture(scope="session")
def hosts(cleared: StandIns, building: subprocess.Popen[str], ansible: None) -> StandIns:
    """Bare hosts: no Docker engine yet."""
    cleared.up(HOSTS, bare=True)
    return cleared


def _all_away(hosts: StandIns) -> None:
    hosts.down()
    shutil.rmtree(REPOSITORY / ".cluster" / hosts.name, ignore_errors=True)  # the cluster's secrets


@pytest.fixture(scope="session")
def site(hosts: StandIns, images: None) -> Run:
    """The one command that makes a cluster of them."""
    return play("site", hosts.inventory, "-vv")


@pytest.fixture(scope="session")
def cluster(hosts: StandIns, site: Run) -> RunningCluster:
    """The cluster on the hosts."""
    return cluster_of(hosts.inventory)


@pytest.fixture(scope="session")
def local_root(log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same rows, cleaned and trained on one machine."""
    root = tmp_path_factory.mktemp("local") / "root"
    train_here(root, log)
    return root


@pytest.fixture(scope="session")
def november(loaded: RunningCluster, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of November that the cluster has landed too."""
    path = tmp_path_factory.mktemp("november") / "november.csv"
    write_events(GeneratorSpec(NOVEMBER_EVENTS, "2019-11", 11), path)
    loaded.shopstream("cluster", "load", str(path))
    return path


@pytest.fixture(scope="session")
def undisturbed(local_root: Path, november: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of this machine on which the stream follows that of the cluster."""
    root = tmp_path_factory.mktemp("undisturbed") / "root"
    shutil.copytree(local_root, root)
    load.run(root, [november])
    return root
