"""The NameNode's list of DataNodes that are to be emptied (dfs.hosts.exclude).

An entry is the address and port of one DataNode, and stays when that one is gone: the NameNode remembers a DataNode
until it is started again itself, and counts one that is not on the list as dead. Each DataNode of a host takes any free
port, so that a new one at a former address is not on the list.
"""

from __future__ import annotations

from collections.abc import Iterable

from spark_apps.cluster.compose.project import Compose
from spark_apps.cluster.health import web
from spark_apps.cluster.operations.replication import Report, apply_layout
from spark_apps.platform.namenode import DataNode

EXCLUDE = "/var/lib/hdfs/exclude"
_SERVICE = "datanode"
_ID_LENGTH = 12


def decommission(compose: Compose, node: DataNode) -> None:
    """Has the NameNode empty a DataNode."""
    _exclude(compose, "add", [node.address])


def recommission(compose: Compose, announce: Report) -> None:
    """Takes DataNodes back whose drain was interrupted: their containers are there, and they are on the list.

    Args:
        compose: the cluster.
        announce: receives a line that names them.
    """
    namenode = web.namenode(compose.cluster.config())
    leaving = [one for one in namenode.datanodes if one.leaving] if namenode else []
    if namenode is None or not leaving:
        return
    there = {one.id[:_ID_LENGTH] for one in compose.containers() if one.service == _SERVICE}
    back = {one.address: one.name for one in leaving if one.name in there}
    if not back:
        return
    announce(f"Recommissioning DataNodes whose drain was interrupted: {', '.join(back.values())}")
    _exclude(compose, "remove", back)
    if not namenode.safe_mode:
        apply_layout(compose)


def _exclude(compose: Compose, action: str, entries: Iterable[str]) -> None:
    """Changes the list, and has the NameNode read it."""
    compose.ask("exec", "-T", "namenode", "sh", "-s", "--", action, EXCLUDE, *entries, program="exclude.sh")
