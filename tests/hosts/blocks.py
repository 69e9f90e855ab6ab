"""Looks where the blocks of HDFS lie."""

from __future__ import annotations

import re

from tests.cluster.conftest import RunningCluster

_PLACE = re.compile(r"DatanodeInfoWithStorage\[([^:\]]+):")


def addresses_with_blocks(cluster: RunningCluster, path: str) -> set[str]:
    """Returns the addresses of the DataNodes that hold a block below a path, as the NameNode says."""
    said = cluster.run_in("namenode", "hdfs", "fsck", path, "-files", "-blocks", "-locations")
    return set(_PLACE.findall(said))
