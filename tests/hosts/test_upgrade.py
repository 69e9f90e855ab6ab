"""All hosts get rebuilt images, one worker or DataNode at a time, while November is streamed."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from spark_apps.tables import BATCH_LOG
from tests.cluster.conftest import RunningCluster, docker, eventually
from tests.cluster.november import SIMULATE, await_batches
from tests.cluster.watching import whole_again
from tests.hosts.playbooks import TAG, play
from tests.hosts.standin import StandIns
from tests.hosts.streams import assert_same_stream, streaming

pytestmark = pytest.mark.long
NEW = "rebuilt"
IMAGES = ("base", "hadoop", "spark")
# the client's container stays while a job runs from it
UPGRADED = ("namenode", "datanode", "spark-master", "spark-worker", "history-server")
STREAM = (*SIMULATE, "--interval", "10s")


@pytest.fixture(scope="module")
def rebuilt(images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The tag of images that differ from those that run."""
    folder = tmp_path_factory.mktemp("rebuilt")
    for image in IMAGES:
        (folder / "Dockerfile").write_text(f"FROM shopstream/{image}:{TAG}\nCOPY Dockerfile /opt/rebuilt\n")
        docker("build", "--quiet", "--tag", f"shopstream/{image}:{NEW}", str(folder))
    yield NEW
    docker("rmi", *(f"shopstream/{image}:{NEW}" for image in IMAGES))


def test_a_rolling_upgrade_during_the_stream_costs_no_row(
    rebuilt: str,
    trained: RunningCluster,
    cluster: RunningCluster,
    hosts: StandIns,
    undisturbed: Path,
) -> None:
    with streaming(cluster, *STREAM) as stream:
        await_batches(cluster, stream, len(cluster.names_in(BATCH_LOG)) + 1)
        upgrade = play("upgrade", hosts.inventory, "-e", f"shopstream_tag={rebuilt}")
        print(f"upgrade.yaml during the stream: {upgrade.seconds:.0f} s")
        finish(cluster, stream)
    whole_again(cluster, len(hosts.addresses()) - 1, len(hosts.addresses()))
    assert {service: tags(cluster, service) for service in UPGRADED} == {service: {rebuilt} for service in UPGRADED}
    assert_same_stream(cluster, undisturbed)


def test_an_idle_client_is_upgraded_too(rebuilt: str, cluster: RunningCluster, hosts: StandIns) -> None:
    again = play("upgrade", hosts.inventory, "-e", f"shopstream_tag={rebuilt}")
    print(f"upgrade.yaml once more: {again.seconds:.0f} s, {again.changes}")
    assert tags(cluster, "client") == {rebuilt}
    assert play("site", hosts.inventory, "-e", f"shopstream_tag={rebuilt}").changes == []


def tags(cluster: RunningCluster, service: str) -> set[str]:
    """The tags of the images that a service's containers were made from."""
    names = [one.docker("inspect", "--format", "{{.Config.Image}}").strip() for one in cluster.containers(service)]
    return {name.rpartition(":")[2] for name in names}


def finish(cluster: RunningCluster, stream: subprocess.Popen[str]) -> None:
    """Waits until all of November is applied; a stream that its driver's restart ended goes on where it was."""
    _, errors = stream.communicate(timeout=1800)
    if stream.returncode:
        assert stream.returncode == 2 and "goes on where" in errors, errors[-3000:]
        eventually(lambda: cluster.status()["ready"], "the cluster can be used")
        cluster.shopstream(*STREAM[:-2], "--speed", "max", timeout=1800)
