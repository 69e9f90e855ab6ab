"""Submits jobs from the client container, after a look at what the workers can give."""

from __future__ import annotations

import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from spark_apps.cluster.compose.project import CLIENT, Compose
from spark_apps.cluster.config import REPLICATION_VARIABLE, ClusterConfig
from spark_apps.cluster.health import web
from spark_apps.cluster.operations import replication
from spark_apps.cluster.operations.replication import Report
from spark_apps.errors import UserError, readable_file
from spark_apps.platform.signals import handled
from spark_apps.platform.spark_master import SparkMaster

# jobs that need no executor
WITHOUT_SPARK = (
    *("load", "unload", "generate", "quarantine", "models", "hdfs", "metrics", "recommend", "simulate"),
    "stream status",
)
MARK = "SHOPSTREAM_SUBMISSION"
PARTITIONS = "SHOPSTREAM_SHUFFLE_PARTITIONS"
CORES = "SHOPSTREAM_MOST_CORES"
_INPUT = "/input"
_OTHERS_READ = 0o004

# How long to wait before looking again for a job that is only just starting.
_LOOK_AGAIN_SECONDS = 0.3


class NoResourcesError(UserError):
    """The workers cannot take an executor: the job would wait for ever."""


def check_resources(master: SparkMaster | None, config: ClusterConfig, option: str = "") -> None:
    """Checks that at least one executor would start at once.

    Args:
        master: what the master says, None where it does not answer.
        config: the cluster's, with the executor's size.
        option: the option that names this cluster, for the sentence.

    Raises:
        NoResourcesError: saying what to change.
    """
    memory, cores = config.executor_memory, config.worker_cores
    if master is None:
        raise NoResourcesError(f"The Spark master does not answer: start it with `shopstream cluster up{option}`.")
    alive = master.alive
    if not alive:
        raise NoResourcesError(
            f"No Spark worker is registered: see `shopstream cluster logs spark-worker{option}`, or add one with "
            f"`shopstream cluster scale worker=1{option}`."
        )
    if any(one.cores_free >= cores and one.memory_free >= memory for one in alive):
        return
    if not any(one.cores >= cores and one.memory >= memory for one in alive):
        best = max(alive, key=lambda one: (one.memory, one.cores))
        raise NoResourcesError(
            f"An executor needs {memory} MiB and {cores} cores, and the largest worker has {best.memory} MiB and "
            f"{best.cores}: run `shopstream cluster up --memory` with more{option}."
        )
    running = ", ".join(master.applications) or "another application"
    raise NoResourcesError(
        f"All workers are taken by {running}: wait until it ends, or add a worker with "
        f"`shopstream cluster scale worker={len(alive) + 1}{option}`."
    )


def submit(compose: Compose, job: str, options: Sequence[str], announce: Report = lambda text: None) -> int:
    """Runs a command of `shopstream` in the client, with this terminal's output.

    Ctrl-C and SIGTERM are handed on to the job; a third one gives up waiting for it.

    Args:
        compose: the cluster.
        job: the command, such as `train`.
        options: its options.
        announce: receives a line about what is still done after the job.

    Returns:
        Its exit code.

    Raises:
        UserError: when the client does not run or the workers cannot take an executor.
    """
    config = compose.cluster.existing_config()
    compose.running(CLIENT)
    mark = _mark()
    environment_options = ["--env", mark, *_copies(config)]
    if needs_executor(job, options):
        master = web.spark_master(config)
        check_resources(master, config, compose.cluster.option())
        environment_options += ["--env", f"{PARTITIONS}={shuffle_partitions(master)}"]
        if job in ("stream", "simulate"):  # it runs for hours: other jobs need workers too
            environment_options += ["--env", f"{CORES}={stream_cores(master, config)}"]
    code = _run(compose, mark, "exec", "-T", *environment_options, CLIENT, "shopstream", job, *options)
    replication.correct_after_job(compose, config, announce)
    return code


def needs_executor(job: str, options: Sequence[str]) -> bool:
    """Says whether a command of `shopstream` starts a Spark application."""
    if job == "simulate" and "--stream" in options:
        return True
    return job not in WITHOUT_SPARK and " ".join([job, *options[:1]]) not in WITHOUT_SPARK


def stream_cores(master: SparkMaster | None, config: ClusterConfig) -> int:
    """Returns how many cores a stream takes: half of the workers', but those of one worker at least."""
    one = config.worker_cores
    workers = len(master.alive) if master else 1
    return one * max(1, workers // 2)


def shuffle_partitions(master: SparkMaster | None) -> int:
    """Returns how many parts a shuffle has: four for each core that is there now, as on one machine."""
    return 4 * max(2, sum(worker.cores for worker in master.alive) if master else 0)


def load(compose: Compose, files: Sequence[Path], options: Sequence[str] = ()) -> int:
    """Lands files of the host in HDFS, from a client that sees just these files, read-only.

    Args:
        compose: the cluster.
        files: CSV files of the host; they are read where they are.
        options: further options of `shopstream load`.

    Returns:
        Its exit code.

    Raises:
        UserError: when a file cannot be read, here or by the container's user.
    """
    config = compose.cluster.existing_config()
    compose.running(CLIENT)
    names: list[str] = []
    for path in files:
        _readable_inside(path)
        if path.name in names:
            raise UserError(f"Two files are called {path.name}: load them one after the other.")
        names.append(path.name)
    mark = _mark()
    inside = [f"{_INPUT}/{name}" for name in names]
    with compose.uploaded(files) as places:
        mounts = [part for path in files for part in ("--volume", f"{places[path]}:{_INPUT}/{path.name}:ro")]
        run = ["run", "--rm", "--no-deps", "-T", "--env", mark, *_copies(config), *mounts, CLIENT]
        return _run(compose, mark, *run, "shopstream", "load", *inside, *options)


def running_jobs(compose: Compose) -> list[str]:
    """Returns the commands that were submitted and have not ended, such as `stream`."""
    return [job for container in _clients(compose) for job in _signal_jobs(compose, container, MARK, 0)]


def _mark() -> str:
    """What a submission's processes are known by."""
    return f"{MARK}={uuid.uuid4().hex}"


def _copies(config: ClusterConfig) -> list[str]:
    """The option that tells a job how many copies its files get: the client may be older than the number."""
    return ["--env", f"{REPLICATION_VARIABLE}={config.replication}"]


def _readable_inside(path: Path) -> None:
    readable_file(path)
    if ":" in path.name:
        raise UserError(f"{path.name} has a colon in its name, which Docker cannot mount: rename the file.")
    # Docker Desktop hands files on with the user's own rights
    if sys.platform.startswith("linux") and not path.stat().st_mode & _OTHERS_READ:
        raise UserError(f"The container's user cannot read {path}: run `chmod o+r {path}` first.")


def _run(compose: Compose, mark: str, *arguments: str) -> int:
    over, started = threading.Event(), list[subprocess.Popen[str]]()
    with _forwarding_signals(compose, mark, over, started):
        try:
            started.append(compose.start(*arguments, **_own_group()))
            return started[0].wait()
        finally:
            over.set()


def _own_group() -> dict[str, Any]:
    """The terminal's Ctrl-C reaches this process alone, which hands it on: docker itself would only let go."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


@contextmanager
def _forwarding_signals(
    compose: Compose, mark: str, over: threading.Event, started: Sequence[subprocess.Popen[str]]
) -> Iterator[None]:
    """Hands SIGINT and SIGTERM on to the job, from before it starts until it is over; the third ends its client."""
    seen: list[int] = []

    def handle(number: int) -> None:
        seen.append(number)
        if len(seen) > 2 and started:
            started[0].terminate()
            return
        # Docker's own answer does not matter: the end of the job is awaited
        threading.Thread(target=_send, args=(compose, mark, number, over), daemon=True).start()

    with handled(handle):
        yield


def _send(compose: Compose, mark: str, number: int, over: threading.Event) -> None:
    """Signals the job inside its container, as soon as it is there."""
    while not over.is_set():
        if any([_signal_jobs(compose, container, mark, number) for container in _clients(compose)]):
            return
        over.wait(_LOOK_AGAIN_SECONDS)


def _signal_jobs(compose: Compose, container: str, mark: str, number: int) -> list[str]:
    """Signals the jobs in a container whose mark begins like this, and returns their commands."""
    arguments = ("exec", "-i", container, "python", "-", mark, str(number))
    return compose.docker.call(*arguments, program="signal_jobs.py").stdout.splitlines()


def _clients(compose: Compose) -> list[str]:
    """The client and one-off clients of this cluster."""
    filters = [f"label=com.docker.compose.project={compose.cluster.name}", f"label=com.docker.compose.service={CLIENT}"]
    return compose.docker.ask("ps", "--quiet", *(part for one in filters for part in ("--filter", one))).split()
