"""A host is lost while jobs run, its containers first and then its network; afterwards the rows are counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.conftest import RunningCluster
from tests.cluster.november import SIMULATE, await_batches, records
from tests.cluster.watching import checked_counts, counts, running, whole_again
from tests.hosts.playbooks import play
from tests.hosts.standin import StandIns
from tests.hosts.streams import assert_same_stream, streaming

pytestmark = pytest.mark.long
BATCHES = 8


@pytest.fixture(scope="module")
def expected(trained: RunningCluster, log: Path) -> dict[str, int]:
    return checked_counts(trained, log)


@contextmanager
def healed(hosts: StandIns, cluster: RunningCluster, host: str) -> Iterator[None]:
    """Brings a host back that is cut off within, and waits until the cluster is whole."""
    try:
        yield
    finally:
        hosts.heal(host)
    whole_again(cluster, len(hosts.addresses()) - 1, len(hosts.addresses()))


def test_a_host_lost_during_train_costs_no_row(
    expected: dict[str, int], cluster: RunningCluster, hosts: StandIns
) -> None:
    lost = list(hosts.addresses())[1]
    with healed(hosts, cluster, lost):
        with running(cluster, "train"):
            hosts.cut(lost)
        assert counts(cluster) == expected
    assert counts(cluster) == expected


def test_a_host_that_is_back_needs_nothing(expected: dict[str, int], cluster: RunningCluster, hosts: StandIns) -> None:
    assert play("site", hosts.inventory).changes == []


def test_a_host_lost_during_the_stream_costs_no_row(
    cluster: RunningCluster, hosts: StandIns, trained: RunningCluster, undisturbed: Path
) -> None:
    lost = list(hosts.addresses())[2]
    with healed(hosts, cluster, lost):
        with streaming(trained, *SIMULATE, "--speed", "max", "--batches", str(BATCHES)) as process:
            await_batches(trained, process, 2)
            hosts.cut(lost)
            _, errors = process.communicate(timeout=1800)
            assert process.returncode == 0, errors[-3000:]
        assert [record.batch for record in records(cluster)] == list(range(BATCHES))
    assert_same_stream(cluster, undisturbed)
