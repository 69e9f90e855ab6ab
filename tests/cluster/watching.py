"""Watches a cluster while parts of it come and go: what runs, how many rows there are, whether it is whole again."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spark_apps.tables import EVENTS, INTERACTIONS, QUARANTINE, RECOMMENDATIONS, TRANSACTIONS, USER_FEATURES, Table
from tests.cluster.conftest import RunningCluster, eventually

# where a job under way puts its first table, below its own folder
STAGED = {"clean": ("scratch", "plain"), "train": ("scratch", "product_sums")}
COUNTED: tuple[tuple[Table, str], ...] = (
    (EVENTS, "user_id"),
    (QUARANTINE, "raw_line"),
    (USER_FEATURES, "user_id"),
    (INTERACTIONS, "user_id"),
    (RECOMMENDATIONS, "user_id"),
)


def counts(cluster: RunningCluster) -> dict[str, int]:
    return {table.name: len(cluster.rows(table, key)) for table, key in COUNTED}


def checked_counts(cluster: RunningCluster, log: Path) -> dict[str, int]:
    """Returns the rows of an undisturbed run on a log, none of whose lines is missing."""
    found = counts(cluster)
    assert found["events"] + found["quarantine"] == sum(1 for _ in log.open("rb")) - 1
    assert found["recommendations"] > found["user_features"] > 0
    return found


@contextmanager
def running(cluster: RunningCluster, job: str) -> Iterator[subprocess.Popen[str]]:
    """A job that is under way: it has begun to stage its first table."""
    process = cluster.start("submit", job)
    try:

        def there() -> bool:
            assert process.poll() is None, process.communicate()[1][-2000:]
            folder, table = STAGED[job]
            jobs = [name for name in cluster.names_in(TRANSACTIONS) if not name.endswith(".lock")]
            return any(table in cluster.names_in(f"{TRANSACTIONS}/{name}/{folder}") for name in jobs)

        eventually(there, f"{job} has begun to stage its first table")
        yield process
        output, errors = process.communicate(timeout=1800)
        assert process.returncode == 0, output[-1000:] + errors[-3000:]
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def alive_workers(cluster: RunningCluster) -> int:
    spark = cluster.status()["spark"]
    return 0 if spark is None else sum(worker["state"] == "ALIVE" for worker in spark["workers"])


def live_datanodes(cluster: RunningCluster) -> int:
    hdfs = cluster.status()["hdfs"]
    return 0 if hdfs is None or hdfs["safe_mode"] else int(hdfs["live"])


def whole_again(cluster: RunningCluster, workers: int = 2, datanodes: int = 2) -> None:
    eventually(lambda: cluster.status()["ready"], "every service is ready")
    eventually(lambda: alive_workers(cluster) == workers, f"{workers} workers are registered")
    eventually(lambda: live_datanodes(cluster) == datanodes, f"{datanodes} DataNodes are live")
