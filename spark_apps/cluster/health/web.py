"""The few HTTP questions that the host asks the cluster's own pages."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any

from spark_apps.cluster.ports import url

DECOMMISSIONED = "Decommissioned"
_SECONDS = 5.0
# a company's proxy must not be asked for 127.0.0.1
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class SparkWorker:
    """A worker as the master lists it; memory in MiB."""

    id: str
    host: str
    state: str
    cores: int
    cores_free: int
    memory: int
    memory_free: int


@dataclass(frozen=True)
class SparkMaster:
    """The master's view of the cluster."""

    workers: tuple[SparkWorker, ...] = ()
    applications: tuple[str, ...] = ()

    @property
    def alive(self) -> list[SparkWorker]:
        """The workers that take executors."""
        return [worker for worker in self.workers if worker.state == "ALIVE"]


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
    """The NameNode's view of HDFS; DataNodes that were drained are neither live nor dead."""

    safe_mode: bool
    live: int
    dead: int
    capacity: int
    used: int
    remaining: int
    missing_blocks: int
    under_replicated: int
    datanodes: tuple[DataNode, ...] = field(default=())


def get(address: str) -> tuple[int, str, Mapping[str, str]] | None:
    """Returns status, text and headers of a page, or None where nothing answers."""
    try:
        with _OPENER.open(address, timeout=_SECONDS) as answer:
            return answer.status, answer.read().decode("utf-8", "replace"), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, "", dict(error.headers)
    except (OSError, ValueError, http.client.HTTPException):
        return None


def get_json(address: str) -> Any:
    """Returns a page's JSON value, or None where there is none."""
    answer = get(address)
    if answer is None or answer[0] != 200:
        return None
    try:
        return json.loads(answer[1])
    except ValueError:
        return None


def answers(address: str) -> bool:
    """Whether a page is served."""
    answer = get(address)
    return answer is not None and answer[0] == 200


def server_time(address: str) -> float | None:
    """Returns the seconds since 1970 by the clock of the container behind a page, to one second."""
    answer = get(address)
    headers = {name.lower(): value for name, value in answer[2].items()} if answer else {}
    try:
        return parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, TypeError, ValueError):
        return None


def spark_master(environment: Mapping[str, str]) -> SparkMaster | None:
    """Asks the Spark master for its workers and running applications; None while it does not answer."""
    page = get_json(f"{url(environment, 'SPARK')}/json/")
    if not isinstance(page, dict):
        return None
    workers = tuple(
        SparkWorker(
            id=str(one["id"]),
            host=str(one["host"]),
            state=str(one["state"]),
            cores=int(one["cores"]),
            cores_free=int(one["coresfree"]),
            memory=int(one["memory"]),
            memory_free=int(one["memoryfree"]),
        )
        for one in page.get("workers", ())
    )
    return SparkMaster(workers, tuple(str(one["name"]) for one in page.get("activeapps", ())))


def namenode(environment: Mapping[str, str]) -> NameNode | None:
    """Asks the NameNode for its state; None while it does not answer."""
    state = _bean(environment, "FSNamesystemState")
    info = _bean(environment, "NameNodeInfo")
    if state is None or info is None:
        return None
    listed = json.loads(info.get("LiveNodes") or "{}")
    datanodes = tuple(_datanode(name, one) for name, one in sorted(listed.items()))
    return NameNode(
        safe_mode=bool(info.get("Safemode")),
        live=sum(one.state != DECOMMISSIONED for one in datanodes),
        dead=int(state["NumDeadDataNodes"]) - int(state.get("NumDecomDeadDataNodes") or 0),
        capacity=int(state["CapacityTotal"]),
        used=int(state["CapacityUsed"]),
        remaining=int(state["CapacityRemaining"]),
        missing_blocks=int(info.get("NumberOfMissingBlocks") or 0),
        under_replicated=int(state.get("UnderReplicatedBlocks") or 0),
        datanodes=datanodes,
    )


def _datanode(name: str, row: Mapping[str, Any]) -> DataNode:
    return DataNode(
        name=name.partition(":")[0],
        address=str(row.get("xferaddr", "")),
        state=str(row.get("adminState", "")),
        capacity=int(row.get("capacity") or 0),
        used=int(row.get("usedSpace") or 0),
        remaining=int(row.get("remaining") or 0),
        blocks=int(row.get("numBlocks") or 0),
    )


def _bean(environment: Mapping[str, str], name: str) -> dict[str, Any] | None:
    page = get_json(f"{url(environment, 'HDFS')}/jmx?qry=Hadoop:service=NameNode,name={name}")
    beans = page.get("beans") if isinstance(page, dict) else None
    return beans[0] if beans else None
