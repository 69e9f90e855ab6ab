"""Spark as its master sees it, from the master's page in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from spark_apps.platform.http import OtherAnswerError, get_json


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
    """The master's view of the cluster.

    Attributes:
        workers: all that it lists, those that are gone too.
        applications: names of those that run or wait.
        running: how many of these are at work.
        waiting: how many of these wait for cores or memory.
    """

    workers: tuple[SparkWorker, ...] = ()
    applications: tuple[str, ...] = ()
    running: int = 0
    waiting: int = 0

    @property
    def alive(self) -> list[SparkWorker]:
        """The workers that take executors."""
        return [worker for worker in self.workers if worker.state == "ALIVE"]


def ask_master(url: str) -> SparkMaster:
    """Asks a Spark master for its workers and applications.

    Args:
        url: of its pages, as http://spark-master:8080.

    Raises:
        NoAnswerError: when nothing answers.
        OtherAnswerError: when what answers is no Spark master.
    """
    page = get_json(f"{url.rstrip('/')}/json/")
    try:
        applications = page["activeapps"]
        states = [one["state"] for one in applications]
        return SparkMaster(
            workers=tuple(_worker(row) for row in page["workers"]),
            applications=tuple(str(one["name"]) for one in applications),
            running=states.count("RUNNING"),
            waiting=states.count("WAITING"),
        )
    except (LookupError, ValueError, TypeError) as error:
        raise OtherAnswerError(f"{type(error).__name__}: {error}") from error


def _worker(row: Mapping[str, Any]) -> SparkWorker:
    return SparkWorker(
        id=str(row["id"]),
        host=str(row["host"]),
        state=str(row["state"]),
        cores=int(row["cores"]),
        cores_free=int(row["coresfree"]),
        memory=int(row["memory"]),
        memory_free=int(row["memoryfree"]),
    )
