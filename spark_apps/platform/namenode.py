"""HDFS as its NameNode sees it, from the beans of its JMX page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spark_apps.platform.http import OtherAnswerError, get_json

DECOMMISSIONED = "Decommissioned"


@dataclass(frozen=True)
class DataNode:
    """A DataNode as the NameNode lists it; sizes in bytes."""

    name: str
    address: str
    state: str
    capacity: int
    used: int
    remaining: int
    blocks: int

    @property
    def leaving(self) -> bool:
        """Whether it is being drained or has been."""
        return self.state.startswith("Decommission")


@dataclass(frozen=True)
class NameNode:
    """The NameNode's view of HDFS; DataNodes that were drained are neither live nor dead. Sizes in bytes."""

    safe_mode: bool
    live: int
    dead: int
    capacity: int
    used: int
    remaining: int
    missing_blocks: int
    under_replicated: int
    blocks: int
    files: int
    datanodes: tuple[DataNode, ...]


def ask_namenode(url: str) -> NameNode:
    """Asks a NameNode for its state.

    Both beans are made when they are read; FSNamesystem, which has more figures, is ten seconds old.

    Args:
        url: of its pages, as http://namenode:9870.

    Raises:
        NoAnswerError: when nothing answers.
        OtherAnswerError: when what answers is no NameNode.
    """
    state, info = _bean(url, "FSNamesystemState"), _bean(url, "NameNodeInfo")
    try:
        return _namenode(state, info)
    except (LookupError, ValueError, TypeError) as error:
        raise OtherAnswerError(f"{type(error).__name__}: {error}") from error


def _namenode(state: Mapping[str, Any], info: Mapping[str, Any]) -> NameNode:
    datanodes = tuple(_datanode(name, row) for name, row in sorted(json.loads(info["LiveNodes"]).items()))
    return NameNode(
        safe_mode=bool(info["Safemode"]),
        live=sum(one.state != DECOMMISSIONED for one in datanodes),
        dead=int(state["NumDeadDataNodes"]) - int(state["NumDecomDeadDataNodes"]),
        capacity=int(state["CapacityTotal"]),
        used=int(state["CapacityUsed"]),
        remaining=int(state["CapacityRemaining"]),
        missing_blocks=int(info["NumberOfMissingBlocks"]),
        under_replicated=int(state["UnderReplicatedBlocks"]),
        blocks=int(state["BlocksTotal"]),
        files=int(state["FilesTotal"]),
        datanodes=datanodes,
    )


def _datanode(name: str, row: Mapping[str, Any]) -> DataNode:
    return DataNode(
        name=name.partition(":")[0],
        address=str(row["xferaddr"]),
        state=str(row["adminState"]),
        capacity=int(row["capacity"]),
        used=int(row["usedSpace"]),
        remaining=int(row["remaining"]),
        blocks=int(row["numBlocks"]),
    )


def _bean(url: str, name: str) -> dict[str, Any]:
    page = get_json(f"{url.rstrip('/')}/jmx?qry=Hadoop:service=NameNode,name={name}")
    try:
        found: dict[str, Any] = page["beans"][0]
    except (LookupError, TypeError) as error:
        raise OtherAnswerError(f"there is no bean {name}") from error
    return found
