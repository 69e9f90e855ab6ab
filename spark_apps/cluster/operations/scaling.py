"""More or fewer workers and DataNodes while the cluster runs, and their removal without loss."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from spark_apps.cluster.compose.project import CLIENT, Compose, Container
from spark_apps.cluster.config import ClusterConfig
from spark_apps.cluster.health import web
from spark_apps.cluster.health.readiness import ServiceState, expected_counts, wait_until_ready
from spark_apps.cluster.operations.decommission import decommission, recommission
from spark_apps.cluster.operations.replication import Report, lower_replication, raise_replication
from spark_apps.cluster.operations.submit import running_jobs
from spark_apps.cluster.sizing import MIB, parse_size
from spark_apps.errors import UserError
from spark_apps.platform.namenode import DECOMMISSIONED, DataNode, NameNode
from spark_apps.platform.spark_master import SparkWorker

SERVICES = {"worker": "spark-worker", "datanode": "datanode"}
_SLOT_LOCK = re.compile(r"/var/lib/hdfs/\d+/lock")
_POLL_SECONDS = 1.0
_HDFS_SECONDS = 600.0
_STOP_SECONDS = 120.0


class CannotDrainError(UserError):
    """A node cannot be removed without loss."""


@dataclass(frozen=True)
class Scaling:
    """What a change of counts means; `resized` when the workers must restart with less memory."""

    config: ClusterConfig
    resized: bool
    added: dict[str, int]


def parse_counts(words: Sequence[str]) -> dict[str, int]:
    """Reads worker=3 datanode=3.

    Raises:
        UserError: when a word is something else.
    """
    counts = {}
    for word in words:
        kind, _, number = word.partition("=")
        if kind not in SERVICES or not number.isdigit() or int(number) < 1:
            raise UserError(f"{word!r} is not a count: use worker=N, datanode=N or both, with N from 1.")
        counts[kind] = int(number)
    return counts


def counts_of(config: ClusterConfig) -> dict[str, int]:
    """Returns the number of workers and of DataNodes, by kind."""
    return {"worker": config.workers, "datanode": config.datanodes}


def plan_scaling(config: ClusterConfig, counts: Mapping[str, int], memory: str | None = None) -> Scaling:
    """Works out what a change of counts means.

    Args:
        config: the cluster's as it is.
        counts: the new numbers of workers and DataNodes.
        memory: a new budget; None keeps it.

    Raises:
        TooLittleMemoryError: when the budget does not do for them.
    """
    before = counts_of(config)
    after = {**before, **counts}
    budget = parse_size(memory) // MIB if memory else config.memory
    scaled = replace(config, memory=budget).rescaled(after["worker"], after["datanode"])
    resized = scaled.limits["WORKER"] != config.limits["WORKER"]
    return Scaling(scaled, resized, {kind: after[kind] - before[kind] for kind in before})


def memory_to_keep(config: ClusterConfig, counts: Mapping[str, int]) -> int:
    """Returns the MiB for which other counts leave every running container as it is."""
    after = {**counts_of(config), **counts}
    return config.with_counts(after["worker"], after["datanode"]).total()


def scale(
    compose: Compose,
    counts: Mapping[str, int],
    report: Callable[[list[ServiceState]], None],
    announce: Report,
    seconds: float,
    memory: str | None = None,
) -> Scaling:
    """Brings the cluster to other numbers of workers and DataNodes; those too many are drained first.

    Args:
        compose: the cluster.
        counts: new numbers.
        report: receives the services' states while it waits.
        announce: receives lines about what is being drained.
        seconds: how long each wait may take.
        memory: a new budget.

    Returns:
        What was changed.

    Raises:
        UserError: when it cannot be done, with what to change; nothing is changed then.
    """
    config = compose.cluster.existing_config()
    scaling = plan_scaling(config, counts, memory)
    _refuse_too_large(compose, scaling)
    if scaling.resized:
        _refuse_restart(compose, memory_to_keep(config, counts))
    if "datanode" in counts:
        recommission(compose, announce)
    for kind, change in scaling.added.items():
        for _ in range(-change):
            drain(compose, kind, _newest(compose, kind), announce, seconds)
    scaling.config.write(compose.cluster.env_file)
    _bring_to(compose, scaling)
    expected = expected_counts([*SERVICES.values(), "namenode", "spark-master"], scaling.config)
    wait_until_ready(compose, expected, report, lambda: False, seconds)
    if scaling.added["datanode"] > 0:
        raise_replication(compose, config, scaling.config, announce)
    return scaling


def drain(compose: Compose, kind: str, which: str, announce: Report, seconds: float) -> None:
    """Takes a DataNode or worker out of the cluster without losing a block or a task.

    A drain that was interrupted is finished by the same command.

    Args:
        compose: the cluster.
        kind: worker or datanode.
        which: its container's name, id or number.
        announce: receives lines about the progress.
        seconds: how long it may take.

    Raises:
        CannotDrainError: when the others cannot take over, or it is not done in time.
    """
    container = find_container(compose, kind, which)
    config = compose.cluster.existing_config()
    if counts_of(config)[kind] < 2:
        raise CannotDrainError(
            f"{container.name} is the only {kind}: add another one first with "
            f"`shopstream cluster scale {kind}=2{compose.cluster.option()}`."
        )
    fewer = {kind: counts_of(config)[kind] - 1}
    after = plan_scaling(config, fewer).config
    if kind == "datanode":
        _drain_datanode(compose, container, config, after, announce, seconds)
    else:
        _drain_worker(compose, container, announce, seconds)
    after.write(compose.cluster.env_file)
    # of files written meanwhile, by a job that was given the former number and has ended
    lower_replication(compose, config, after, lambda text: None)


def find_container(compose: Compose, kind: str, which: str) -> Container:
    """Returns the container that a user means by name, id or number.

    Raises:
        UserError: listing those there are.
    """
    mine = [one for one in compose.containers() if one.service == SERVICES[kind]]
    for one in mine:
        if which in (one.name, _number(one)) or (len(which) > 3 and one.id.startswith(which)):
            return one
    there = ", ".join(sorted(one.name for one in mine)) or "none"
    raise UserError(f"There is no {kind} {which}: choose one of {there}.")


def _bring_to(compose: Compose, scaling: Scaling) -> None:
    """Starts what is missing, with all it depends on: Compose counts that to what a container was made from."""
    services = [*SERVICES.values()]
    if scaling.resized:  # the client submits executors of the workers' size
        services.append(CLIENT)
        compose.ask("rm", "--stop", "--force", SERVICES["worker"], CLIENT, timeout=_HDFS_SECONDS)
    counts = counts_of(scaling.config)
    scale = [f"--scale={service}={counts[kind]}" for kind, service in SERVICES.items()]
    compose.ask("up", "--detach", "--no-recreate", *scale, *services, timeout=_HDFS_SECONDS)


def _newest(compose: Compose, kind: str) -> str:
    mine = [one for one in compose.containers() if one.service == SERVICES[kind]]
    return max(mine, key=lambda one: int(_number(one))).name


def _number(container: Container) -> str:
    return container.labels.get("com.docker.compose.container-number", container.name.rpartition("-")[2])


def _refuse_too_large(compose: Compose, scaling: Scaling) -> None:
    whole = int(compose.docker.info()["MemTotal"]) // MIB
    asked = scaling.config.memory
    if asked > whole:
        raise UserError(f"Docker has {whole} MiB and --memory asks for {asked}: ask for less.")


def _refuse_restart(compose: Compose, needed: int) -> None:
    """Workers that become smaller are restarted, and the client with them: not under a running job."""
    jobs = running_jobs(compose)
    if jobs:
        raise UserError(
            f"The workers would be restarted with less memory while {' and '.join(jobs)} runs: wait until it ends, or "
            f"give --memory {needed}m, which leaves them as they are."
        )


def _drain_datanode(
    compose: Compose,
    container: Container,
    before: ClusterConfig,
    after: ClusterConfig,
    announce: Report,
    seconds: float,
) -> None:
    addresses = _addresses(compose, container)
    node = _hdfs(before)
    mine = _listed(node, addresses)
    if mine is None:
        raise CannotDrainError(
            f"The NameNode does not list {container.name} as live: see `shopstream cluster status` and start it first."
        )
    if node.missing_blocks:
        raise CannotDrainError(
            f"{node.missing_blocks} blocks have no copy at all: start the missing DataNode before draining one."
        )
    lower_replication(compose, before, after, announce)
    decommission(compose, mine)
    _wait_for_blocks(before, container, addresses, announce, seconds)
    slot = _slot(compose, container)
    _remove(compose, container)
    _clear_slot(compose, slot)


def _wait_for_blocks(
    config: ClusterConfig, container: Container, addresses: Sequence[str], announce: Report, seconds: float
) -> None:
    end = time.monotonic() + seconds
    while True:
        node = web.namenode(config)
        mine = _listed(node, addresses) if node else None
        if mine is not None and mine.state == DECOMMISSIONED:
            return
        if time.monotonic() > end:
            state = mine.state if mine else "not listed"
            raise CannotDrainError(
                f"{container.name} still holds blocks that no other DataNode has ({state} after {seconds:.0f} s): "
                "run the same command again to go on, or add a DataNode."
            )
        announce(
            f"{container.name}: {mine.state.lower() if mine else 'asking'}, {node.under_replicated if node else 0} "
            "blocks to copy"
        )
        time.sleep(_POLL_SECONDS)


def _drain_worker(compose: Compose, container: Container, announce: Report, seconds: float) -> None:
    addresses, config = _addresses(compose, container), compose.cluster.config()
    if _worker(config, addresses) is None:
        raise CannotDrainError(
            f"The master does not list {container.name}: see `shopstream cluster logs spark-worker` and start it first."
        )
    compose.docker.ask("kill", "--signal", "PWR", container.id)
    end = time.monotonic() + seconds
    while True:
        worker = _worker(config, addresses)
        if worker is None:
            break
        at_work = _cores_at_work(compose, container)
        if worker.state != "ALIVE" and not at_work:
            break
        if time.monotonic() > end:
            raise CannotDrainError(
                f"{container.name} still runs tasks after {seconds:.0f} s: run the same command again to go on waiting."
            )
        announce(f"{container.name}: {worker.state.lower()}, {at_work} cores at work")
        time.sleep(_POLL_SECONDS)
    _remove(compose, container)


def _cores_at_work(compose: Compose, container: Container) -> int:
    """Asks the worker itself: the master counts a decommissioned worker's cores as used for ever."""
    return int(compose.docker.ask("exec", "-i", container.id, "python", "-", program="worker_cores.py"))


def _hdfs(config: ClusterConfig) -> NameNode:
    node = web.namenode(config)
    if node is None:
        raise CannotDrainError("The NameNode does not answer: start it with `shopstream cluster up`.")
    if node.safe_mode:
        raise CannotDrainError(
            "HDFS is in safe mode and moves no blocks: wait until `shopstream cluster status` is ready."
        )
    return node


def _listed(node: NameNode, addresses: Sequence[str]) -> DataNode | None:
    """Finds a DataNode by its container's names, or else by an address, which a former one may have had too."""
    named = [one for one in node.datanodes if one.name in addresses]
    at = [one for one in node.datanodes if one.address.rpartition(":")[0] in addresses]
    return next(iter(named + at), None)


def _worker(config: ClusterConfig, addresses: Sequence[str]) -> SparkWorker | None:
    master = web.spark_master(config)
    if master is None:
        raise CannotDrainError("The Spark master does not answer: start it with `shopstream cluster up`.")
    # a worker that was restarted is listed twice: dead under its former id
    return next((one for one in master.workers if one.host in addresses and one.state != "DEAD"), None)


def _addresses(compose: Compose, container: Container) -> list[str]:
    """The container's addresses on its networks first, then its names."""
    template = "{{range .NetworkSettings.Networks}}{{.IPAddress}} {{end}}{{.Config.Hostname}}"
    return [*compose.docker.ask("inspect", "--format", template, container.id).split(), container.name]


def _slot(compose: Compose, container: Container) -> str:
    """Returns the folder of the DataNodes' shared volume that this one holds a lock on."""
    links = compose.docker.ask("exec", "-i", container.id, "sh", "-s", program="datanode_lock.sh").split()
    return next((link.removesuffix("/lock") for link in links if _SLOT_LOCK.fullmatch(link)), "")


def _clear_slot(compose: Compose, slot: str) -> None:
    """Removes what an emptied DataNode leaves: nobody must start on its old copies again."""
    others = [one for one in compose.containers() if one.service == SERVICES["datanode"] and one.state == "running"]
    if slot and others:
        compose.docker.ask("exec", others[0].id, "rm", "-r", "--", slot)


def _remove(compose: Compose, container: Container) -> None:
    compose.docker.ask("stop", container.id, timeout=_STOP_SECONDS)
    compose.docker.ask("rm", "--volumes", container.id)
