"""cluster up, status, doctor, scale, drain, logs, load, down, destroy, images."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from rich.markup import escape

from spark_apps.cluster.compose.docker import find_docker
from spark_apps.cluster.compose.project import Compose
from spark_apps.cluster.config import NAME_VARIABLE, ClusterConfig
from spark_apps.cluster.health import doctor as checks
from spark_apps.cluster.health.status import cluster_status, urls
from spark_apps.cluster.hosts import host_checks, host_logs
from spark_apps.cluster.hosts.remote import INVENTORY_VARIABLE, open_hosts, read_inventory
from spark_apps.cluster.operations import lifecycle, scaling
from spark_apps.cluster.operations import submit as submission
from spark_apps.cluster.state import (
    DEFAULT_NAME,
    Cluster,
    EarlierVersionError,
    NoClusterError,
    find_cluster,
)
from spark_apps.commands.cluster_views import (
    console,
    failure_logs,
    print_findings,
    print_status,
    print_urls,
    service_progress,
    working,
)
from spark_apps.commands.common import FAILED, Function, json_option, next_step, print_json, print_table
from spark_apps.errors import UserError

UP_SECONDS = 600.0
# what works on the hosts of an inventory too; images are built here for both
ON_HOSTS = ("status", "doctor", "logs", "load", "images")


def name_option(function: Function) -> Function:
    """Adds --name."""
    return click.option(
        "--name", envvar=NAME_VARIABLE, default=DEFAULT_NAME, show_default=True, help="Name of the cluster."
    )(function)


def inventory_option(function: Function) -> Function:
    """Adds --inventory, which names a cluster on several hosts."""
    return click.option(
        "--inventory",
        envvar=INVENTORY_VARIABLE,
        type=click.Path(path_type=Path),
        help="Ansible inventory of a cluster on several hosts; replaces --name.",
    )(function)


def wait_option(function: Function) -> Function:
    """Adds --wait, how long services may take."""
    return click.option(
        "--wait",
        "seconds",
        type=click.FloatRange(min=1),
        default=UP_SECONDS,
        show_default=True,
        help="Seconds to wait before giving up.",
    )(function)


@click.group()
@click.pass_context
def cluster(context: click.Context) -> None:
    """Run HDFS, Spark, InfluxDB and Grafana in Docker."""
    asked = context.invoked_subcommand
    if os.environ.get(INVENTORY_VARIABLE) and asked not in ON_HOSTS and "--help" not in sys.argv:
        raise UserError(
            f"{INVENTORY_VARIABLE} names a cluster on several hosts, where `cluster {asked}` does not work: run the "
            "playbook that docs/hosts.md names, or unset it for the cluster on this machine."
        )


@cluster.command()
@name_option
@click.option(
    "--memory",
    envvar="SHOPSTREAM_MEMORY",
    help="Memory for all containers, such as 12g.  [default: what Docker can give]",
)
@click.option("--workers", type=click.IntRange(min=1), help="Number of Spark workers.  [default: 2]")
@click.option("--datanodes", type=click.IntRange(min=1), help="Number of HDFS DataNodes.  [default: 2]")
@click.option(
    "--port-offset", type=click.IntRange(min=0), help="Number to add to every port on this machine.  [default: 0]"
)
@click.option("--monitoring/--no-monitoring", default=None, help="Whether to run InfluxDB and Grafana.  [default: yes]")
@click.option("--build", "rebuild", is_flag=True, help="Rebuild the images first.")
@wait_option
def up(
    name: str,
    memory: str | None,
    workers: int | None,
    datanodes: int | None,
    port_offset: int | None,
    monitoring: bool | None,
    rebuild: bool,
    seconds: float,
) -> None:
    """Start the cluster and wait until it is ready.

    Later runs keep the options of earlier ones and start only what is missing.

    \b
    Example: shopstream cluster up --memory 12g --workers 2 --datanodes 2
    """
    files, docker = find_cluster(name), find_docker()
    _, finding = checks.check_docker()
    if not finding.ok:
        raise checks.PreflightError(finding)
    options = lifecycle.UpOptions(memory, workers, datanodes, port_offset, monitoring)
    config = lifecycle.decide(options, files, files.config(), docker.info())
    compose = Compose(docker, files, config.monitoring)
    started = time.monotonic()
    with failure_logs(), service_progress() as (report, announce):
        changed = lifecycle.up(compose, config, seconds, report, rebuild, announce)
    took = f"{time.monotonic() - started:.0f} s"
    console.print(escape(f"Cluster {name} is ready after {took}" + ("" if changed else ", unchanged")))
    print_urls(urls(config, compose.monitoring))
    next_step(f"shopstream cluster load FILE{files.option()}, then shopstream submit clean{files.option()}")


@cluster.command()
@name_option
@inventory_option
@json_option
def status(name: str, inventory: Path | None, as_json: bool) -> None:
    """Show services, workers, DataNodes, memory and URLs.

    The exit code is 1 while a service is not ready.

    \b
    Example: shopstream cluster status --json
    """
    compose = open_compose(name, inventory)
    seen = cluster_status(compose)
    if as_json:
        print_json(seen.as_json())
    else:
        print_status(seen, compose.cluster.option())
    if not seen.ready:
        sys.exit(FAILED)


@cluster.command()
@name_option
@inventory_option
@json_option
def doctor(name: str, inventory: Path | None, as_json: bool) -> None:
    """Check for common problems and say how to fix each.

    The exit code is 1 when a problem is found.

    \b
    Example: shopstream cluster doctor
    """
    if inventory:
        findings = list(host_checks.examine(read_inventory(inventory)))
        following = f"shopstream cluster status --inventory {inventory}"
    else:
        files = find_cluster(name)
        config = files.config() if files.started() else _planned(files)
        findings = list(checks.examine(files, config))
        following = f"shopstream cluster up{files.option()}"
    if as_json:
        print_json(checks.as_json(findings))
    else:
        print_findings(findings, following)
    if not all(finding.ok for finding in findings):
        sys.exit(FAILED)


@cluster.command()
@name_option
@click.argument("counts", nargs=-1, required=True, metavar="worker=N datanode=N")
@click.option("--memory", help="New memory for all containers, such as 15g.  [default: unchanged]")
@wait_option
def scale(name: str, counts: tuple[str, ...], memory: str | None, seconds: float) -> None:
    """Change the number of workers or DataNodes.

    Nodes to be removed are drained first. If memory is short for more workers, all are restarted with less each.

    \b
    Example: shopstream cluster scale worker=3 datanode=3
    """
    compose = compose_of(find_cluster(name))
    with failure_logs(), service_progress() as (report, announce):
        done = scaling.scale(compose, scaling.parse_counts(counts), report, announce, seconds, memory)
    if done.resized:
        console.print(f"Workers have {done.config.limits['WORKER']} MiB each now.")
    next_step(f"shopstream cluster status{compose.cluster.option()}")


@cluster.command()
@name_option
@click.argument("kind", type=click.Choice(list(scaling.SERVICES)))
@click.argument("which", metavar="ID")
@wait_option
def drain(name: str, kind: str, which: str, seconds: float) -> None:
    """Remove a worker or DataNode without losing data or tasks.

    ID is the name, id or number of its container.

    \b
    Example: shopstream cluster drain datanode 2
    """
    compose = compose_of(find_cluster(name))
    with failure_logs(), service_progress() as (_, announce):
        scaling.drain(compose, kind, which, announce, seconds)
    console.print(escape(f"{kind} {which} is drained and removed"))
    next_step(f"shopstream cluster status{compose.cluster.option()}")


@cluster.command()
@name_option
@inventory_option
@click.argument("service", required=False)
@click.option(
    "--tail", type=click.IntRange(min=0), default=100, show_default=True, help="Last lines to show of each container."
)
@click.option("--follow", is_flag=True, help="Show new lines until Ctrl-C.")
def logs(name: str, inventory: Path | None, service: str | None, tail: int, follow: bool) -> None:
    """Show the logs of all services, or of one.

    \b
    Example: shopstream cluster logs namenode --tail 20
    """
    if inventory:
        sys.exit(host_logs.show_logs(read_inventory(inventory), service, tail, follow, click.echo))
    compose = _compose_of_any_version(find_cluster(name))
    options = ["--tail", str(tail), *(["--follow"] if follow else [])]
    sys.exit(compose.pass_through("logs", *options, *([service] if service else [])))


@cluster.command()
@name_option
@inventory_option
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@json_option
def load(name: str, inventory: Path | None, files: tuple[Path, ...], as_json: bool) -> None:
    """Load event logs from this machine into HDFS.

    \b
    Example: shopstream cluster load 2019-Oct.csv
    """
    compose = open_compose(name, inventory)
    sys.exit(submission.load(compose, files, ["--json"] if as_json else []))


@cluster.command()
@name_option
def down(name: str) -> None:
    """Stop the cluster and keep its data.

    \b
    Example: shopstream cluster down
    """
    compose = _compose_of_any_version(find_cluster(name))
    with working("Stopping"):
        lifecycle.down(compose)
    next_step(f"shopstream cluster up{compose.cluster.option()}, which starts it again with its data")


@cluster.command()
@name_option
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def destroy(name: str, yes: bool) -> None:
    """Remove the cluster with all its data and secrets.

    It may have been started from another copy of this repository.

    \b
    Example: shopstream cluster destroy --name trial
    """
    compose = _compose_or_what_is_left(find_cluster(name))
    if not yes:
        typed = click.prompt(f"All data of cluster {name} will be lost. Type its name to go on", err=True)
        if typed != name:
            raise click.Abort()
    with working("Removing"):
        lifecycle.destroy(compose)
    console.print(escape(f"Cluster {name} is removed"))


@cluster.command()
@name_option
def images(name: str) -> None:
    """Build the images and show their sizes.

    \b
    Example: shopstream cluster images
    """
    files, docker = find_cluster(name), find_docker()
    if files.started():
        compose_of(files)
    with failure_logs(), service_progress() as (_, announce):
        sizes = lifecycle.with_images(docker, files, _planned(files), announce)
    rows = [
        (image, f"{size / 1e6:,.0f} MB" if size is not None else "not built or pulled") for image, size in sizes.items()
    ]
    print_table("Images", ["image", "size"], rows)
    next_step(f"shopstream cluster up{files.option()}")


def open_compose(name: str, inventory: Path | None) -> Compose:
    """Compose on a cluster that was started before, here or on the hosts of an inventory."""
    if inventory is None:
        return compose_of(find_cluster(name))
    return click.get_current_context().with_resource(open_hosts(inventory))


def compose_of(files: Cluster) -> Compose:
    """Returns Compose on a cluster that was started before, by this version or one that needed no more."""
    compose = _compose_of_any_version(files)
    if compose.by_labels:
        raise EarlierVersionError(files.name, compose.missing_variables())
    return compose


def _compose_of_any_version(files: Cluster) -> Compose:
    """Compose to look at a cluster's logs and to remove it, whichever version started it."""
    monitoring = files.existing_config().monitoring
    compose = Compose(find_docker(), files, monitoring)
    return Compose(compose.docker, files, monitoring, by_labels=bool(compose.missing_variables()))


def _compose_or_what_is_left(files: Cluster) -> Compose:
    """The same for a cluster whose secrets and sizes are not here, while the engine still has its parts."""
    if files.started():
        return _compose_of_any_version(files)
    docker = find_docker()
    if not docker.resources_of(files.name):
        raise NoClusterError(files.name)
    return Compose(docker, files, by_labels=True)


def _planned(files: Cluster) -> ClusterConfig:
    """The config that it would have; with an engine that does not answer, for the smallest cluster."""
    docker, finding = checks.check_docker()
    info: Mapping[str, Any] = docker.info() if docker is not None and finding.ok else {}
    options = lifecycle.UpOptions() if info else lifecycle.UpOptions(memory="12g")
    return lifecycle.decide(options, files, files.config(), info)
