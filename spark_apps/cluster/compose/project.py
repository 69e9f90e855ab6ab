"""Compose on the files of one cluster, and the cluster's containers."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spark_apps.cluster.compose.docker import Client, Docker, DockerError, json_rows
from spark_apps.cluster.state import Cluster
from spark_apps.errors import UserError

COMPOSE_FILES = ("compose/cluster.yaml", "compose/monitoring.yaml")
CLIENT, LAYOUT = "client", "layout"
ONE_SHOTS = ("secrets", "namenode-format", LAYOUT, "metrics-provision")
HASH_LABEL, IMAGE_LABEL, ONE_OFF_LABEL = (f"com.docker.compose.{name}" for name in ("config-hash", "image", "oneoff"))
_LIST_TRIES = 5
_GONE = "No such container"
# what Compose may take from the user's own environment: how images are built, and how Docker itself is reached
_NOT_FROM_OUTSIDE = re.compile(r"SHOPSTREAM_.*|INFLUXDB_IMAGE|GRAFANA_IMAGE")
_NEEDED = re.compile(r"\$\{(\w+):\?")


@dataclass(frozen=True)
class Container:
    """One container of a cluster, as Compose lists it."""

    id: str
    name: str
    service: str
    state: str
    health: str = ""
    exit_code: int = 0
    image: str = ""
    ports: tuple[int, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def one_shot(self) -> bool:
        """Whether it is meant to end."""
        return self.service in ONE_SHOTS

    @property
    def ready(self) -> bool:
        """Whether it is up and healthy, or has done its one task."""
        if self.one_shot:
            return self.state == "exited" and self.exit_code == 0
        return self.state == "running" and self.health in ("", "healthy")

    @property
    def failed(self) -> bool:
        """Whether it has ended although it should not have, or ended in failure."""
        if self.state in ("exited", "dead"):
            return self.exit_code != 0 or not self.one_shot
        return self.state == "restarting" or self.health == "unhealthy"


class Compose(Client):
    """Docker Compose on one cluster's files.

    With `by_labels` it goes without the files: it finds containers, networks and volumes of any version of the kit,
    to show and to remove them.
    """

    # name in `ports` -> address, where a page is on another machine than this one
    pages: Mapping[str, str] = {}
    title = ("docker", "compose")

    def __init__(self, docker: Docker, cluster: Cluster, monitoring: bool = True, by_labels: bool = False) -> None:
        self.docker = docker
        self.cluster, self.folder = cluster, cluster.repository
        self.monitoring = monitoring
        self.by_labels = by_labels

    def files(self) -> list[str]:
        """Returns the names of the Compose files."""
        names = COMPOSE_FILES[: 2 if self.monitoring else 1]
        return [name for name in names if (self.cluster.repository / name).is_file()]

    def missing_variables(self) -> list[str]:
        """Returns the variables that the files need and cluster.env, of an earlier version, does not have."""
        own = self.cluster.config().variables()
        texts = [(self.cluster.repository / name).read_text(encoding="utf-8") for name in self.files()]
        needed = dict.fromkeys(name for text in texts for name in _NEEDED.findall(text))
        return [name for name in needed if name not in own]

    def command(self, *arguments: str) -> list[str]:
        """Returns the whole command line of a Compose call."""
        where = ["-p", self.cluster.name]
        if not self.by_labels:
            where += ["--project-directory", str(self.cluster.repository), "--env-file", str(self.cluster.env_file)]
            where += [part for name in self.files() for part in ("-f", name)]
        return self.docker.command("compose", *where, *arguments)

    def environment(self) -> dict[str, str]:
        """Returns the process environment without what cluster.env sets, which Compose would let win over it."""
        own = self.cluster.config().variables()
        return {
            name: value
            for name, value in os.environ.items()
            if name not in own and not _NOT_FROM_OUTSIDE.fullmatch(name)
        }

    def pass_through(self, *arguments: str) -> int:
        """Runs a Compose command with this terminal's output and returns its exit code."""
        return self.start(*arguments).wait()

    def start(self, *arguments: str, more: Mapping[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
        """Starts a Compose command, with some more environment, and returns its process."""
        return subprocess.Popen(
            self.command(*arguments),
            env={**self.environment(), **(more or {})},
            cwd=self.folder,
            text=True,
            encoding="utf-8",
            errors="replace",
            **{"stdin": subprocess.DEVNULL, **options},
        )

    def containers(self) -> list[Container]:
        """Returns the cluster's containers, ended ones too, without those of `compose run`."""
        return own_containers(read_container(row) for row in json_rows(self._list()))

    def memory(self) -> tuple[int, int]:
        """Returns the sum of all containers' limits, and the budget, in MiB."""
        config = self.cluster.config()
        return config.total(), config.memory

    def services(self) -> list[str]:
        """Returns the names of all services."""
        return self.ask("config", "--services").split()

    @contextmanager
    def uploaded(self, files: Sequence[Path]) -> Iterator[dict[Path, str]]:
        """Gives the path of each file of this machine where Compose runs."""
        yield {path: str(path.resolve()) for path in files}

    def _list(self) -> str:
        # Compose asks for each container after it has listed them: one that goes in between is no failure
        for _ in range(_LIST_TRIES - 1):
            try:
                return self.ask("ps", "--all", "--format", "json")
            except DockerError as error:
                if _GONE not in error.text:
                    raise
        return self.ask("ps", "--all", "--format", "json")

    def running(self, service: str) -> Container:
        """Returns one running container of a service.

        Raises:
            UserError: when none runs.
        """
        for container in self.containers():
            if container.service == service and container.state == "running":
                return container
        raise UserError(
            f"The service {service} of cluster {self.cluster.name} is not running: start it with "
            f"`shopstream cluster up{self.cluster.option()}`."
        )


def own_containers(listed: Iterable[Container]) -> list[Container]:
    """Leaves out those of `compose run`."""
    return [one for one in listed if one.labels.get(ONE_OFF_LABEL, "False").lower() != "true"]


def read_container(row: Mapping[str, Any]) -> Container:
    """Turns one row of `compose ps --format json` into a Container."""
    labels = (pair.partition("=") for pair in str(row.get("Labels") or "").split(","))
    published = {int(one.get("PublishedPort") or 0) for one in row.get("Publishers") or ()}
    return Container(
        id=str(row["ID"]),
        name=str(row["Name"]),
        service=str(row["Service"]),
        state=str(row["State"]).lower(),
        health=str(row.get("Health") or "").lower(),
        exit_code=int(row.get("ExitCode") or 0),
        image=str(row.get("Image") or ""),
        ports=tuple(sorted(published - {0})),
        labels={name: value for name, _, value in labels},
    )
