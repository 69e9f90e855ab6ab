"""Compares the stream of a cluster with an undisturbed one on this machine."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spark_apps.tables import BATCH_LOG, STREAM_EVENTS
from tests.cluster.conftest import RunningCluster
from tests.cluster.november import COMPARED, assert_streamed, records, streamed_rows
from tests.cluster.reference_run import stream_here
from tests.cluster.sizes import EVENTS_EACH


@contextmanager
def streaming(cluster: RunningCluster, *command: str) -> Iterator[subprocess.Popen[str]]:
    """A stream of a cluster, which ends with the test: one left behind would keep the client from being changed."""
    process = cluster.start(*command)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.communicate()


def assert_same_stream(cluster: RunningCluster, undisturbed: Path) -> None:
    """Streams here what the cluster has streamed since the last time, and compares all tables of both."""
    told = records(cluster)
    assert [record.batch for record in told] == list(range(len(told)))
    before = len(list((undisturbed / BATCH_LOG).glob("*.json")))
    assert stream_here(undisturbed, len(told) - before) == len(told) - before
    assert len(cluster.rows(STREAM_EVENTS, "user_id")) == len(told) * EVENTS_EACH
    for table, order in COMPARED.items():
        assert_streamed(cluster.rows(table, *order), streamed_rows(undisturbed, table))
