"""How many copies of each HDFS block there are: as the layout says, but no more than there are DataNodes."""

from __future__ import annotations

import re
from collections.abc import Callable

from spark_apps.cluster.compose.docker import DockerError
from spark_apps.cluster.compose.project import LAYOUT, Compose
from spark_apps.cluster.config import ClusterConfig

_HDFS_SECONDS = 600.0
_VANISHED = re.compile(r"does not exist|No such file or directory")

Report = Callable[[str], None]


def raise_replication(compose: Compose, before: ClusterConfig, after: ClusterConfig, announce: Report) -> None:
    """Has what is stored copied to new DataNodes as the layout says."""
    if after.replication == before.replication:
        return
    announce(f"Up to {after.replication} copies of each block")
    apply_layout(compose)


def lower_replication(compose: Compose, before: ClusterConfig, after: ClusterConfig, announce: Report) -> None:
    """No block may ask for more copies than there will be DataNodes: one that does can never be moved."""
    copies = after.replication
    if copies != before.replication:
        announce(f"{copies} copies of each block")
        try:
            compose.ask(
                "exec", "-T", "namenode", "hdfs", "dfs", "-setrep", "-R", str(copies), "/", timeout=_HDFS_SECONDS
            )
        except DockerError as error:
            if not _only_vanished(error.text):
                raise


def _only_vanished(errors: str) -> bool:
    """Whether all that failed is files which a running job took away meanwhile; `setrep` goes on after each."""
    failed = [line for line in errors.splitlines() if line.startswith("setrep: ")]
    return bool(failed) and all(_VANISHED.search(line) for line in failed)


def correct_after_job(compose: Compose, before: ClusterConfig, announce: Report) -> None:
    """Corrects what a job wrote with a number of copies that was changed while it ran.

    Args:
        compose: the cluster.
        before: the cluster's config when the job began.
        announce: is failed what is done.
    """
    after = compose.cluster.config()
    if after.replication in (0, before.replication):  # as it was, or the cluster is gone
        return
    announce(f"The number of DataNodes changed: files get {after.replication} copies of each block")
    apply_layout(compose)


def apply_layout(compose: Compose) -> None:
    """Brings HDFS to what hdfs_layout/ says."""
    compose.ask("run", "--rm", "--no-deps", "-T", LAYOUT, timeout=_HDFS_SECONDS)
