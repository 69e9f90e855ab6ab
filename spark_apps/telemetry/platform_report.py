"""The state of HDFS and Spark as points in InfluxDB (SPEC V1, V3).

InfluxDB could scrape both servers' Prometheus pages itself, but a scraper takes all that a page holds: hundreds of
series, Spark's with an application's id in their names, so that there would be more with each run. These are two
points with 18 figures, from what NameNode and master say of themselves in JSON.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import requests

from spark_apps.errors import UserError
from spark_apps.telemetry.connection import Influx, InfluxAwayError, InfluxRefusedError
from spark_apps.telemetry.measurements import PLATFORM_HDFS, PLATFORM_SPARK, Measurement
from spark_apps.telemetry.provision import BUCKET, ORG

_SECONDS = (2, 4)
_MIB = 1024**2
_TARGET = {"org": ORG, "bucket": BUCKET, "precision": "s"}

Figures = dict[str, int]


class PlatformNotReportedError(UserError):
    """A report did not reach InfluxDB."""


@dataclass(frozen=True)
class Report:
    """What was seen at one moment: figures by measurement, and why a server has none.

    Attributes:
        at: Unix seconds.
        figures: measurement's name -> field -> value.
        faults: measurement's name -> what its server said instead.
    """

    at: int
    figures: dict[str, Figures]
    faults: dict[str, str]

    def lines(self) -> str:
        """The report in InfluxDB's line protocol, times in seconds."""
        return "".join(
            f"{name} {','.join(f'{field}={value}i' for field, value in figures.items())} {self.at}\n"
            for name, figures in self.figures.items()
        )


def look(namenode: str, master: str, at: int) -> Report:
    """Asks both servers once; one that does not answer is reported as down.

    Args:
        namenode: URL of the NameNode's pages, as http://namenode:9870.
        master: URL of the Spark master's pages, as http://spark-master:8080.
        at: the time of the report, Unix seconds.
    """
    questions: dict[Measurement, Callable[[], Figures]] = {
        PLATFORM_HDFS: lambda: hdfs_figures(_bean(namenode, "FSNamesystemState"), _bean(namenode, "NameNodeInfo")),
        PLATFORM_SPARK: lambda: spark_figures(_json(f"{master.rstrip('/')}/json/")),
    }
    figures: dict[str, Figures] = {}
    faults: dict[str, str] = {}
    for measurement, question in questions.items():
        try:
            figures[measurement.name] = {"up": 1, **question()}
        except (requests.RequestException, LookupError, ValueError, TypeError) as error:
            figures[measurement.name] = {"up": 0}
            faults[measurement.name] = _fault(error)
    return Report(at, figures, faults)


def hdfs_figures(state: Mapping[str, Any], info: Mapping[str, Any]) -> Figures:
    """Returns the figures of platform_hdfs, from two beans of the NameNode.

    These are asked when they are read; the bean FSNamesystem, with more figures, is ten seconds old.

    Raises:
        KeyError: when a figure is not there.
    """
    return {
        "safe_mode": int(bool(info["Safemode"])),
        "live_nodes": int(state["NumLiveDataNodes"]),
        # one that was drained is gone on purpose
        "dead_nodes": int(state["NumDeadDataNodes"]) - int(state["NumDecomDeadDataNodes"]),
        "missing_blocks": int(info["NumberOfMissingBlocks"]),
        "short_blocks": int(state["UnderReplicatedBlocks"]),
        "blocks": int(state["BlocksTotal"]),
        "files": int(state["FilesTotal"]),
        "capacity": int(state["CapacityTotal"]),
        "used": int(state["CapacityUsed"]),
    }


def spark_figures(master: Mapping[str, Any]) -> Figures:
    """Returns the figures of platform_spark, from what the master says of itself.

    Raises:
        KeyError: when a figure is not there.
    """
    states = [application["state"] for application in master["activeapps"]]
    return {
        "workers": int(master["aliveworkers"]),
        "cores": int(master["cores"]),
        "cores_used": int(master["coresused"]),
        "memory": int(master["memory"]) * _MIB,
        "memory_used": int(master["memoryused"]) * _MIB,
        "running": states.count("RUNNING"),
        "waiting": states.count("WAITING"),
    }


def send(influx: Influx, report: Report) -> None:
    """Writes a report.

    Raises:
        PlatformNotReportedError: when InfluxDB is away or refuses it. The report is then lost: the next one says
            how things stand by then.
    """
    try:
        answer = influx.ask("POST", "/api/v2/write", params=_TARGET, data=report.lines().encode())
    except (InfluxAwayError, InfluxRefusedError) as error:
        raise PlatformNotReportedError(str(error)) from error
    if not answer.ok:
        raise PlatformNotReportedError(f"InfluxDB at {influx.url} refuses the report: {influx.said(answer)}")


def moments(interval: float) -> Iterator[int]:
    """Gives the time now, and again every so many seconds, for ever; what took longer is not made up for."""
    due = time.monotonic()
    while True:
        yield int(time.time())
        due = max(due + interval, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))  # a clock is all that this waits for


def _fault(error: Exception) -> str:
    if isinstance(error, requests.ConnectionError | requests.Timeout):
        return "its server does not answer"
    return f"its server answers something else ({type(error).__name__}: {error})"


def _bean(namenode: str, name: str) -> dict[str, Any]:
    query = {"qry": f"Hadoop:service=NameNode,name={name}"}
    beans = _json(f"{namenode.rstrip('/')}/jmx", query)["beans"]
    found: dict[str, Any] = beans[0]
    return found


def _json(url: str, query: Mapping[str, str] | None = None) -> dict[str, Any]:
    with requests.Session() as session:
        session.trust_env = False  # no proxy stands between the cluster's own servers
        answer = session.get(url, params=query, timeout=_SECONDS)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found
