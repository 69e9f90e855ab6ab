"""Starts, stops and removes a cluster."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from filelock import FileLock

from spark_apps.cluster import ports
from spark_apps.cluster.compose import build_inputs
from spark_apps.cluster.compose.docker import Docker
from spark_apps.cluster.compose.project import Compose, Container
from spark_apps.cluster.config import ClusterConfig
from spark_apps.cluster.health import doctor
from spark_apps.cluster.health.readiness import (
    LOG_LINES,
    NotReadyError,
    ServiceState,
    expected_counts,
    failure_of,
    first_failed,
    last_lines,
    wait_until_ready,
)
from spark_apps.cluster.health.remedies import remedy_for
from spark_apps.cluster.operations.decommission import recommission
from spark_apps.cluster.operations.recreation import DesiredState, interrupted_jobs
from spark_apps.cluster.secrets import make_secrets
from spark_apps.cluster.sizing import MIB, default_budget, make_plan, parse_size
from spark_apps.cluster.state import Cluster
from spark_apps.errors import UserError

Value = TypeVar("Value")
WORKERS, DATANODES = 2, 2
# what a user may set in the environment of `up`, by its attribute in the config; remembered there once given
_FROM_ENVIRONMENT = {
    "tag": "SHOPSTREAM_TAG",
    "influxdb_image": "INFLUXDB_IMAGE",
    "grafana_image": "GRAFANA_IMAGE",
    "hdfs_recheck_ms": "SHOPSTREAM_HDFS_RECHECK_MS",
    "java_options": "SHOPSTREAM_JAVA_OPTIONS",
}
_PORT_VARIABLES = {f"{ports.PREFIX}{name}" for name in ports.DEFAULTS}
_PULL_SECONDS = 3600.0
_END_SECONDS = 5.0


@dataclass(frozen=True)
class UpOptions:
    """What the user asked of `up`; None means: as before, or the default."""

    memory: str | None = None
    workers: int | None = None
    datanodes: int | None = None
    port_offset: int | None = None
    monitoring: bool | None = None


def decide(
    options: UpOptions,
    cluster: Cluster,
    before: ClusterConfig,
    info: Mapping[str, object],
    environment: Mapping[str, str] | None = None,
) -> ClusterConfig:
    """Returns the config that a cluster shall have.

    Sizes stay as they are while what they follow from stays, so that a second `up` changes nothing.

    Args:
        options: what the user asked for.
        cluster: whose it is.
        before: the config that it has.
        info: what the engine says of itself.
        environment: the process environment.

    Raises:
        UserError: when sizes or ports do not work out.
    """
    environment = os.environ if environment is None else environment
    engine_memory, cores = int(str(info.get("MemTotal", 0))), int(str(info.get("NCPU", 1)))
    given: dict[str, Any] = {
        one: environment.get(name) or getattr(before, one) for one, name in _FROM_ENVIRONMENT.items()
    }
    offset = before.port_offset if options.port_offset is None else options.port_offset
    config = ClusterConfig(
        name=cluster.name,
        secrets=cluster.secrets.as_posix(),
        memory=_budget(options.memory, before, engine_memory),
        workers=options.workers or before.workers or WORKERS,
        datanodes=options.datanodes or before.datanodes or DATANODES,
        monitoring=before.monitoring if options.monitoring is None else options.monitoring,
        port_offset=offset,
        ports=ports.port_numbers(offset, _own_ports(options, before, environment)),
        **given,
    )
    sized = config.with_plan(make_plan(config.memory, config.workers, config.datanodes, cores, config.monitoring))
    same = _sizing_inputs(before) == _sizing_inputs(config)
    return sized.with_sizes_of(before) if same else sized


def up(
    compose: Compose,
    config: ClusterConfig,
    seconds: float,
    report: Callable[[list[ServiceState]], None],
    rebuild: bool = False,
    announce: Callable[[str], None] = lambda text: None,
) -> bool:
    """Brings a cluster to where it can be used.

    Args:
        compose: the cluster.
        config: what it shall have.
        seconds: how long services may take to be ready.
        report: receives all services' states at each look.
        rebuild: build the images even when they are there.
        announce: receives a line about each long step that begins: a build, a download.

    Returns:
        False when all was up and unchanged already.

    Raises:
        UserError: naming the check, image or service that failed, with the likely remedy; or the job that would end.
    """
    cluster, before = compose.cluster, compose.cluster.config()
    doctor.preflight(cluster, config)
    make_secrets(cluster.secrets)
    changed = config.write(cluster.env_file)
    changed |= _provide_images(compose, rebuild, announce)
    recommission(compose, announce)
    expected = expected_counts(compose.services(), config)
    desired = DesiredState(compose)
    if interrupted := interrupted_jobs(compose, desired):
        before.write(cluster.env_file)
        raise UserError(
            f"The client would be restarted while {' and '.join(interrupted)} runs in it: stop it or wait until it "
            "ends, and run the same command again."
        )
    if not changed and unchanged(compose, expected, desired):
        wait_until_ready(compose, expected, report, lambda: False, seconds)
        return False
    _start(compose, config, expected, seconds, report, desired)
    return True


@dataclass(frozen=True)
class Image:
    """An image that is here: its bytes, and what it was built from."""

    size: int
    inputs: str


def unchanged(compose: Compose, expected: Mapping[str, int], desired: DesiredState) -> bool:
    """Whether each service's containers are up and as desired, no more and no fewer."""
    containers = compose.containers()
    for service, count in expected.items():
        mine = [one for one in containers if one.service == service]
        if not len(mine) == sum(one.ready and desired.matches(one) for one in mine) == count:
            return False
    return True


def start_services(compose: Compose, config: ClusterConfig, *options: str) -> subprocess.Popen[str]:
    """Starts `compose up` with this cluster's counts; what it prints goes to up.log in the state folder."""
    scale = [f"--scale=datanode={config.datanodes}", f"--scale=spark-worker={config.workers}"]
    with log_file(compose.cluster).open("w", encoding="utf-8") as log:
        return compose.start("up", "--detach", *options, *scale, stdout=log, stderr=subprocess.STDOUT)


def log_file(cluster: Cluster) -> Path:
    """Returns the file that Compose's own words of the last start go to."""
    return cluster.folder / "up.log"


def failed_start(compose: Compose) -> NotReadyError:
    """Returns the error behind a `compose up` that ended in failure."""
    lines = log_file(compose.cluster).read_text(encoding="utf-8", errors="replace").strip().splitlines()[-LOG_LINES:]
    containers = compose.containers()
    # what the engine itself refused (a port, a volume) stands in Compose's words, not in a service's log
    refused = any("Error response from daemon" in line for line in lines)
    failed, blamed = first_failed(containers), _named_service(lines, containers)
    if failed is not None and not refused:
        return failure_of(compose, failed)
    if blamed and not refused:
        lines = last_lines(compose, blamed)
    return NotReadyError(blamed or "compose", "could not be started", lines, remedy_for("\n".join(lines)))


def _named_service(lines: Sequence[str], containers: Sequence[Container]) -> str:
    """The service that Compose's last line names: by the time of the look it may be starting again."""
    last = lines[-1] if lines else ""
    return next((one.service for one in containers if one.name in last or f'"{one.service}"' in last), "")


def down(compose: Compose) -> None:
    """Stops the cluster and removes its containers; its data stays on its volumes.

    Raises:
        DockerError: when Compose fails.
    """
    compose.ask("down", "--remove-orphans", timeout=_PULL_SECONDS)


def destroy(compose: Compose) -> None:
    """Removes the cluster with its volumes, secrets and state folder, or waits until another destroy has done so.

    Raises:
        DockerError: when Compose fails; the state folder is then kept.
    """
    cluster = compose.cluster
    cluster.folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(cluster.folder.with_name(f".{cluster.folder.name}.destroy")):
        if not cluster.folder.exists() and not compose.docker.resources_of(cluster.name):
            return
        compose.ask("down", "--volumes", "--remove-orphans", timeout=_PULL_SECONDS)
        # those of services that were left out of the last start, such as monitoring
        left = compose.docker.volumes_of(cluster.name)
        if left:
            compose.docker.ask("volume", "rm", *left)
        if cluster.folder.exists():
            shutil.rmtree(cluster.folder)


def build_images(compose: Compose, announce: Callable[[str], None] = lambda text: None) -> None:
    """Builds the kit's own images.

    Raises:
        NotReadyError: with the build's last lines and the likely remedy.
    """
    announce("Building images")
    log = compose.cluster.folder / "build.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as stream:
        labels = build_inputs.variables(compose.cluster.repository)
        done = compose.start("build", more=labels, stdout=stream, stderr=subprocess.STDOUT).wait()
    if done != 0:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-LOG_LINES:]
        raise NotReadyError("build", f"failed (full log: {log})", lines, remedy_for("\n".join(lines)))
    _forget_replaced_images(compose.docker)


def _forget_replaced_images(docker: Docker) -> None:
    """Removes images that lost their names to the ones just built; those still in use go at a later build."""
    # its exit code does not matter: it fails where another prune is at work, which removes the same
    docker.call("image", "prune", "--force", "--filter", f"label={build_inputs.LABEL}", timeout=_PULL_SECONDS)


def with_images(
    docker: Docker, cluster: Cluster, config: ClusterConfig, announce: Callable[[str], None]
) -> dict[str, int | None]:
    """Builds the kit's images, for a cluster that was started or not.

    Returns:
        The bytes of each image that the cluster uses, None for one that is not here.

    Raises:
        NotReadyError: when the build fails.
    """
    begun = cluster.started()
    try:
        if not begun:
            make_secrets(cluster.secrets)
            config.write(cluster.env_file)
        compose = Compose(docker, cluster, config.monitoring)
        build_images(compose, announce)
        images = {name: _image(docker, name) for name in sorted(set(_images(compose)))}
        return {name: image.size if image else None for name, image in images.items()}
    finally:
        if not begun:
            cluster.env_file.unlink(missing_ok=True)


def _start(
    compose: Compose,
    config: ClusterConfig,
    expected: Mapping[str, int],
    seconds: float,
    report: Callable[[list[ServiceState]], None],
    desired: DesiredState,
) -> None:
    process = start_services(compose, config, "--remove-orphans")

    def at_work() -> bool:
        code = process.poll()
        if code:
            raise failed_start(compose)
        return code is None

    try:
        wait_until_ready(compose, expected, report, at_work, seconds, desired.matches)
    finally:
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """Ends a `compose up` that is not needed any more, by force where it does not end on request."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _provide_images(compose: Compose, rebuild: bool, announce: Callable[[str], None]) -> bool:
    """Builds or downloads what is missing, and builds what is of other code than this; tells whether anything was."""
    seen = {image: _image(compose.docker, image) for image in _images(compose)}
    inputs = {name: build_inputs.of(name, compose.cluster.repository) for name in seen}
    missing = [name for name, image in seen.items() if image is None]
    aged = [name for name, image in seen.items() if image and inputs[name] and image.inputs != inputs[name]]
    if aged and not rebuild:
        announce(f"Built from other code: {', '.join(sorted(aged))}")
    if rebuild or aged or any(inputs[name] for name in missing):
        build_images(compose, announce)
    for image in (name for name in missing if not inputs[name]):
        announce(f"Downloading {image}")
        done = compose.docker.call("pull", "--quiet", image, timeout=_PULL_SECONDS)
        if done.returncode != 0:
            raise UserError(f"The image {image} cannot be pulled: {remedy_for(done.stderr)}.")
    return rebuild or bool(missing or aged)


def _images(compose: Compose) -> list[str]:
    return compose.ask("config", "--images").split()


def _image(docker: Docker, name: str) -> Image | None:
    done = docker.call("image", "inspect", "--format", "{{.Size}} {{json .Config.Labels}}", name)
    if done.returncode != 0:
        return None
    size, _, labels = done.stdout.partition(" ")
    return Image(int(size), (json.loads(labels) or {}).get(build_inputs.LABEL, ""))


def _sizing_inputs(config: ClusterConfig) -> tuple[int, int, int, bool]:
    return config.memory, config.workers, config.datanodes, config.monitoring


def _budget(asked: str | None, before: ClusterConfig, engine_memory: int) -> int:
    return parse_size(asked) // MIB if asked else before.memory or default_budget(engine_memory)


def _own_ports(options: UpOptions, before: ClusterConfig, environment: Mapping[str, str]) -> dict[str, str | int]:
    """Ports set one by one: in the environment now, or before, while no new offset moves them all."""
    names = {name.removeprefix(ports.PREFIX): value for name, value in environment.items() if name in _PORT_VARIABLES}
    return {**(before.ports if options.port_offset is None else {}), **names}
