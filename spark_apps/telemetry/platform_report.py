"""The state of HDFS and Spark as points in InfluxDB (SPEC V1, V3).

InfluxDB could scrape both servers' Prometheus pages itself, but a scraper takes all that a page holds: hundreds of
series, Spark's with an application's id in their names, so that there would be more with each run. These are two
points with 18 figures, from what NameNode and master say of themselves in JSON.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from spark_apps.errors import UserError
from spark_apps.platform.http import NoAnswerError, OtherAnswerError
from spark_apps.platform.influxdb import Influx, InfluxAwayError, InfluxRefusedError
from spark_apps.platform.namenode import NameNode, ask_namenode
from spark_apps.platform.spark_master import SparkMaster, ask_master
from spark_apps.telemetry.measurements import PLATFORM_HDFS, PLATFORM_SPARK, Measurement
from spark_apps.telemetry.provision import BUCKET, ORG

_MIB = 1024**2

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
        PLATFORM_HDFS: lambda: hdfs_figures(ask_namenode(namenode)),
        PLATFORM_SPARK: lambda: spark_figures(ask_master(master)),
    }
    figures: dict[str, Figures] = {}
    faults: dict[str, str] = {}
    for measurement, question in questions.items():
        try:
            figures[measurement.name] = {"up": 1, **question()}
        except NoAnswerError:
            figures[measurement.name], faults[measurement.name] = {"up": 0}, "its server does not answer"
        except OtherAnswerError as error:
            figures[measurement.name] = {"up": 0}
            faults[measurement.name] = f"its server answers something else ({error})"
    return Report(at, figures, faults)


def hdfs_figures(seen: NameNode) -> Figures:
    """Returns the figures of platform_hdfs."""
    return {
        "safe_mode": int(seen.safe_mode),
        "live_nodes": len(seen.datanodes),
        "dead_nodes": seen.dead,
        "missing_blocks": seen.missing_blocks,
        "short_blocks": seen.under_replicated,
        "blocks": seen.blocks,
        "files": seen.files,
        "capacity": seen.capacity,
        "used": seen.used,
    }


def spark_figures(seen: SparkMaster) -> Figures:
    """Returns the figures of platform_spark."""
    return {
        "workers": len(seen.alive),
        "cores": sum(one.cores for one in seen.alive),
        "cores_used": sum(one.cores - one.cores_free for one in seen.alive),
        "memory": sum(one.memory for one in seen.alive) * _MIB,
        "memory_used": sum(one.memory - one.memory_free for one in seen.alive) * _MIB,
        "running": seen.running,
        "waiting": seen.waiting,
    }


def send(influx: Influx, report: Report) -> None:
    """Writes a report.

    Raises:
        PlatformNotReportedError: when InfluxDB is away or refuses it. The report is then lost: the next one says
            how things stand by then.
    """
    try:
        influx.write(ORG, BUCKET, report.lines().encode(), "s")
    except InfluxAwayError as error:
        raise PlatformNotReportedError(str(error)) from error
    except InfluxRefusedError as error:
        raise PlatformNotReportedError(f"InfluxDB at {influx.url} refuses the report: {error.said}") from error


def moments(interval: float) -> Iterator[int]:
    """Gives the time now, and again every so many seconds, for ever; what took longer is not made up for."""
    due = time.monotonic()
    while True:
        yield int(time.time())
        due = max(due + interval, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))  # a clock is all that this waits for
