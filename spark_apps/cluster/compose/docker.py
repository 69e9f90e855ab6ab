"""Calls to the docker client, by list of arguments, never through a shell."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from spark_apps.cluster.state import REPOSITORY
from spark_apps.errors import UserError

PROGRAM_VARIABLE = "SHOPSTREAM_DOCKER"
MIN_ENGINE, MIN_COMPOSE = (20, 10), (2, 20)
PROJECT_LABEL, FOLDER_LABEL = "com.docker.compose.project", "com.docker.compose.project.working_dir"
_QUICK_SECONDS = 60.0
_PROGRAMS = REPOSITORY / "docker" / "programs"


class DockerMissingError(UserError):
    """There is no docker client on this host."""

    def __init__(self) -> None:
        super().__init__(
            "There is no docker command on this machine: install Docker Engine (Linux) or Docker Desktop "
            f"(macOS, Windows), or name its client in {PROGRAM_VARIABLE}."
        )


class DockerError(UserError):
    """A docker command failed; the sentence carries its own last words."""

    def __init__(self, arguments: Sequence[str], text: str) -> None:
        self.text = text
        super().__init__(f"`{_shown(arguments)}` failed: {_last_words(text)}.")


class Client(ABC):
    """A program whose commands are called one by one."""

    title: tuple[str, ...] = ("docker",)
    folder: Path | None = None

    @abstractmethod
    def command(self, *arguments: str) -> list[str]:
        """Returns the command line of a command."""

    def environment(self) -> dict[str, str] | None:
        """Returns the environment of its processes; None for this process's own."""
        return None

    def call(
        self, *arguments: str, timeout: float = _QUICK_SECONDS, program: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Runs a command and returns what it printed; the exit code is the caller's to look at.

        Args:
            arguments: of the command.
            timeout: seconds that it may take.
            program: a file of docker/programs/ that the container reads on its standard input.

        Raises:
            DockerError: when it does not start or does not end in time.
        """
        command = self.command(*arguments)
        try:
            with (_PROGRAMS / program if program else Path(os.devnull)).open("rb") as stream:
                return subprocess.run(
                    command,
                    env=self.environment(),
                    cwd=self.folder,
                    stdin=stream,
                    capture_output=True,
                    text=True,
                    encoding="utf-8",
                    errors="replace",
                    check=False,
                    timeout=timeout,
                )
        except subprocess.TimeoutExpired:
            raise DockerError(("docker", *command[1:]), f"it gave no answer within {timeout:.0f} s") from None
        except OSError as error:
            raise DockerError(("docker", *command[1:]), str(error)) from None

    def ask(self, *arguments: str, timeout: float = _QUICK_SECONDS, program: str | None = None) -> str:
        """Runs a command, as `call` does, and returns its standard output.

        Raises:
            DockerError: when it fails.
        """
        done = self.call(*arguments, timeout=timeout, program=program)
        if done.returncode != 0:
            raise DockerError((*self.title, *arguments), done.stderr or done.stdout)
        return done.stdout


class Docker(Client):
    """The docker client of this host."""

    def __init__(self, program: str) -> None:
        self.program = program

    def command(self, *arguments: str) -> list[str]:
        """Returns the command line of a docker command."""
        return [self.program, *arguments]

    def resources_of(self, project: str) -> list[str]:
        """Returns the containers and volumes of a Compose project, ended and unused ones too.

        Raises:
            DockerError: when the engine does not answer.
        """
        label = f"label={PROJECT_LABEL}={project}"
        containers = self.ask("ps", "--all", "--filter", label, "--format", "{{.Names}}").split()
        return containers + self.volumes_of(project)

    def volumes_of(self, project: str) -> list[str]:
        """Returns the names of a Compose project's volumes.

        Raises:
            DockerError: when the engine does not answer.
        """
        return self.ask("volume", "ls", "--quiet", "--filter", f"label={PROJECT_LABEL}={project}").split()

    def image_id(self, name: str) -> str:
        """Returns the id of the image that a name stands for, empty where there is none."""
        return self.call("image", "inspect", "--format", "{{.Id}}", name).stdout.strip()

    def info(self) -> dict[str, Any]:
        """Returns what the engine says of itself: version, memory, cores.

        Raises:
            DockerError: when it is not running.
        """
        values: dict[str, Any] = json.loads(self.ask("info", "--format", "{{json .}}"))
        if values.get("ServerErrors"):
            raise DockerError(("docker", "info"), "; ".join(values["ServerErrors"]))
        return values


def find_docker() -> Docker:
    """Returns the docker client named in SHOPSTREAM_DOCKER, or the first on the PATH.

    Raises:
        DockerMissingError: when there is none.
    """
    program = shutil.which(os.environ.get(PROGRAM_VARIABLE) or "docker")
    if program is None:
        raise DockerMissingError()
    return Docker(program)


def json_rows(text: str) -> Iterator[dict[str, Any]]:
    """Reads what Compose prints as JSON: an array (before 2.21) or one object a line."""
    text = text.strip()
    if text.startswith("["):
        yield from json.loads(text)
        return
    yield from (json.loads(line) for line in text.splitlines() if line.strip())


def version(text: str) -> tuple[int, ...]:
    """Returns the numbers at the start of a version, such as (2, 26, 1) of v2.26.1-ds1."""
    numbers = []
    for part in text.strip().lstrip("v").split("."):
        digits = part[: next((place for place, sign in enumerate(part) if not sign.isdigit()), len(part))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)


def _last_words(text: str) -> str:
    lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
    return (lines[-1] if lines else "no reason given").rstrip(".")


def _shown(arguments: Sequence[str]) -> str:
    """A command short enough for a sentence."""
    text = " ".join(arguments)
    return text if len(text) < 90 else f"{text[:87]}..."
