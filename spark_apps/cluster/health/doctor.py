"""Looks for what usually goes wrong, and names the remedy for each."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from spark_apps.cluster import ports
from spark_apps.cluster.compose.docker import (
    FOLDER_LABEL,
    MIN_COMPOSE,
    MIN_ENGINE,
    PROJECT_LABEL,
    Docker,
    DockerError,
    DockerMissingError,
    find_docker,
    json_rows,
    version,
)
from spark_apps.cluster.config import ClusterConfig
from spark_apps.cluster.health.volumes import (
    DATA_NODE,
    NAME_NODE,
    ServerFolder,
    VolumesUnreadableError,
    helper_image,
    server_folders,
)
from spark_apps.cluster.secrets import FILE_MODE, FOLDER_MODE, NAMES
from spark_apps.cluster.sizing import MIB, default_budget
from spark_apps.cluster.state import Cluster
from spark_apps.errors import UserError
from spark_apps.platform import http

MIN_DISK = 10 * 1024**3
MAX_CLOCK_SKEW_SECONDS = 5.0
_INTO_IMAGES = ("docker", "compose", "hdfs_layout", "grafana/provisioning", "spark_apps")
_TEXT = {".sh", ".py", ".yaml", ".yml", ".xml", ".conf", ".properties", ".json", ".txt", ".lock", ".crt", ""}


@dataclass(frozen=True)
class Finding:
    """One check's result; `problem` is empty when all is well."""

    check: str
    seen: str = ""
    problem: str = ""
    remedy: str = ""
    skipped: bool = False

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problem


@dataclass(frozen=True)
class CheckContext:
    """What is examined: the cluster's files, what cluster.env says or would say, and Docker where it is there."""

    cluster: Cluster
    config: ClusterConfig
    docker: Docker | None
    info: Mapping[str, object]


class PreflightError(UserError):
    """The cluster cannot be started on this host as it is."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        super().__init__(f"{finding.problem}: {finding.remedy}.")


def examine(cluster: Cluster, config: ClusterConfig) -> Iterator[Finding]:
    """Runs every check, the ones that others rest on first; those that cannot be made are skipped with the reason."""
    docker, first = check_docker()
    yield first
    info: Mapping[str, object] = {}
    if docker is not None and first.ok:
        info = docker.info()
    context = CheckContext(cluster, config, docker, info)
    for check in CHECKS:
        yield _run_check(check, context)


def preflight(cluster: Cluster, config: ClusterConfig) -> None:
    """Makes the quick checks that a start needs.

    Raises:
        PreflightError: with the first problem and its remedy.
    """
    docker, first = check_docker()
    if not first.ok or docker is None:
        raise PreflightError(first)
    context = CheckContext(cluster, config, docker, docker.info())
    for check in QUICK_CHECKS:
        finding = _run_check(check, context)
        if not finding.ok:
            raise PreflightError(finding)


def check_docker() -> tuple[Docker | None, Finding]:
    """Is there a docker client, and does its engine run?"""
    name = "Docker"
    try:
        docker = find_docker()
    except DockerMissingError as error:
        problem, _, remedy = str(error).rstrip(".").partition(": ")
        return None, Finding(name, problem=problem, remedy=remedy)
    try:
        info = docker.info()
    except DockerError as error:
        return docker, Finding(name, problem="The Docker engine does not answer", remedy=_engine_remedy(error.text))
    return docker, Finding(name, seen=f"engine {info.get('ServerVersion')}")


def check_versions(context: CheckContext) -> Finding:
    """Are the engine and Compose new enough?"""
    name, info = "Versions", context.info
    engine = str(info.get("ServerVersion", ""))
    if version(engine) < MIN_ENGINE:
        return Finding(
            name, problem=f"Docker engine {engine} is too old", remedy=f"install {_dotted(MIN_ENGINE)} or newer"
        )
    done = _docker(context).call("compose", "version", "--short")
    found = done.stdout.strip()
    get_it = "install the plugin docker-compose-plugin of your distribution, or Docker Desktop"
    if done.returncode != 0 or not version(found):
        return Finding(name, problem="`docker compose` (Compose v2) is missing", remedy=get_it)
    if version(found) < MIN_COMPOSE:
        return Finding(name, problem=f"Compose {found} is older than {_dotted(MIN_COMPOSE)}", remedy=get_it)
    return Finding(name, seen=f"engine {engine}, Compose {found}")


def check_namesake(context: CheckContext) -> Finding:
    """Is the name free on this engine, or this copy's own? The secrets of what is there stand in one copy only."""
    name, cluster = "Name", context.cluster
    if cluster.started():
        return Finding(name, seen=f"{cluster.name}, started from here")
    docker = _docker(context)
    left = docker.resources_of(cluster.name)
    if not left:
        return Finding(name, seen=f"{cluster.name} is free")
    label = f"label={PROJECT_LABEL}={cluster.name}"
    shown = f'{{{{.Label "{FOLDER_LABEL}"}}}}'
    folders = sorted({*docker.ask("ps", "--all", "--filter", label, "--format", shown).splitlines()} - {""})
    where = f"was started from {folders[0]}" if folders else f"left {len(left)} volumes and no secrets here"
    return Finding(
        name,
        problem=f"Another cluster {cluster.name} is on this engine, which {where}",
        remedy="work on it from the copy that started it, give yours another name with `--name`, or remove it with all "
        f"its data by `shopstream cluster destroy{cluster.option()}`",
    )


def check_memory(context: CheckContext) -> Finding:
    """Has the engine the memory that the cluster may take?"""
    name = "Memory"
    whole = int(str(context.info.get("MemTotal", 0))) // MIB
    budget = context.config.memory
    if budget > whole:
        problem = f"The cluster may take {budget} MiB and Docker has {whole}"
        remedy = f"run `up --memory {default_budget(whole * MIB)}m`"
        if "desktop" in str(context.info.get("OperatingSystem", "")).lower():
            remedy += ", or more memory to Docker Desktop under Settings > Resources"
        return Finding(name, problem=problem, remedy=remedy)
    return Finding(name, seen=f"{budget} of {whole} MiB")


def check_ports(context: CheckContext) -> Finding:
    """Are the cluster's ports free, or its own?"""
    needed = context.config.used_ports()
    published = _published(_docker(context))
    own = {port for port, (_, project) in published.items() if project == context.cluster.name}
    taken = ports.taken(port for port in needed.values() if port not in own)
    if not taken:
        return Finding("Ports", seen=", ".join(str(port) for port in needed.values()))
    holders = [f"{port} by {_holder(port, published)}" for port in taken]
    return Finding(
        "Ports",
        problem=f"Ports in use on {ports.HOST}: {', '.join(holders)}",
        remedy=f"stop {'that program' if len(taken) == 1 else 'those programs'}, or run `up --port-offset 100`",
    )


def check_disk(context: CheckContext) -> Finding:
    """Is there room where Docker keeps its images and volumes?"""
    root = Path(str(context.info.get("DockerRootDir", "")))
    # Docker Desktop's folder is inside its virtual machine: the disk of the repository is what can be looked at
    place = root if root.is_absolute() and root.is_dir() else context.cluster.repository
    free = shutil.disk_usage(place).free
    shown = f"{free / 1024**3:.1f} GiB free at {place}"
    if free < MIN_DISK:
        remedy = "free some (`docker system df` shows what Docker holds, `docker image prune` removes unused images)"
        return Finding("Disk", problem=f"Only {shown}", remedy=remedy)
    return Finding("Disk", seen=shown)


def check_clock(context: CheckContext) -> Finding:
    """Do host and containers agree on the time?"""
    before = time.time()
    page = http.get(f"{context.config.url('HDFS')}/jmx?qry=none")
    if page is None or "Date" not in page.headers:
        return Finding("Clock", seen="the NameNode does not answer", skipped=True)
    inside = http.server_time(page)
    # the page's date has whole seconds
    skew = min(abs(inside + part - (before + time.time()) / 2) for part in (0.0, 1.0))
    if skew > MAX_CLOCK_SKEW_SECONDS:
        return Finding(
            "Clock",
            problem=f"The containers' clock is {skew:.0f} s off the host's",
            remedy="synchronize the host's clock by NTP, and restart Docker Desktop where that is used",
        )
    return Finding("Clock", seen=f"within {MAX_CLOCK_SKEW_SECONDS:.0f} s")


def check_secrets(context: CheckContext) -> Finding:
    """Are all secrets there, and only for their owner?"""
    name, folder = "Secrets", context.cluster.secrets
    if not folder.is_dir():
        return Finding(name, seen="none yet: `up` makes them", skipped=True)
    lost = [one for one in NAMES if not (folder / one).is_file() or not (folder / one).stat().st_size]
    if lost:
        return Finding(
            name,
            problem=f"Missing or empty in {folder}: {', '.join(lost)}",
            remedy="remove the empty ones and run `up`, which makes what is missing",
        )
    modes = {folder: FOLDER_MODE, **{folder / one: FILE_MODE for one in NAMES}}
    # Windows has no such modes: there the user's own folder is what keeps others out
    open_ones = [
        path for path, mode in modes.items() if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & ~mode
    ]
    if open_ones:
        shown = ", ".join(path.name for path in open_ones)
        return Finding(
            name, problem=f"Others can read {shown} in {folder}", remedy=f"run `chmod -R u=rwX,go= {folder}`"
        )
    return Finding(name, seen=f"{len(NAMES)}, for their owner only")


def check_line_ends(context: CheckContext) -> Finding:
    """Have files that go into images Windows line ends?"""
    bad = list(_with_windows_ends(context.cluster.repository))
    if bad:
        more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
        return Finding(
            "Line ends",
            problem=f"Windows line ends (CRLF) in {', '.join(bad[:3])}{more}",
            remedy="run `git config core.autocrlf input`, then `git rm --cached -rq .` and `git reset --hard` "
            "once your own changes are committed",
        )
    return Finding("Line ends", seen="LF")


def check_cluster_ids(context: CheckContext) -> Finding:
    """Do the DataNodes' volumes belong to the NameNode's?"""
    name, image = "Cluster id", helper_image(context.config)
    found = _server_folders(context, name)
    if isinstance(found, Finding):
        return found
    ids = {one.cluster_id for one in found if one.cluster_id and one.kind == NAME_NODE}
    strangers = [one for one in found if one.kind == DATA_NODE and one.cluster_id not in ids]
    shown = ", ".join(f"{one.path} in {one.volume}" for one in strangers)
    remedy = " and ".join(f"`{one.removal(image)}`" for one in strangers)
    if len(ids) > 1:
        return Finding(name, problem=f"{len(ids)} NameNodes' volumes", remedy="remove the one that is not in use")
    if strangers and not ids:
        return Finding(
            name,
            problem=f"DataNode folders without a NameNode's: {shown}",
            remedy=f"restore the NameNode's volume, or discard the data with {remedy}",
        )
    if not ids:
        return Finding(name, seen="nothing formatted yet", skipped=True)
    if strangers:
        return Finding(
            name,
            problem=f"The cluster id differs from the NameNode's: {shown}",
            remedy=f"if that data is not needed, run {remedy}, then `up`",
        )
    return Finding(name, seen=ids.pop())


def check_owners(context: CheckContext) -> Finding:
    """Do the volumes belong to the users that write them?"""
    found = _server_folders(context, "Owners")
    if isinstance(found, Finding):
        return found
    wrong = [one for one in found if one.uid != one.expected_uid]
    if wrong:
        shown = [f"{one.path} in {one.volume} belongs to {one.uid} instead of {one.expected_uid}" for one in wrong]
        remedy = f"run `{wrong[0].chown(helper_image(context.config))}`"
        return Finding("Owners", problem="; ".join(shown), remedy=remedy)
    return Finding("Owners", seen=f"{len(found)} folders on volumes")


def _server_folders(context: CheckContext, check: str) -> list[ServerFolder] | Finding:
    """What servers keep on the cluster's volumes, or the finding of a check that cannot be made."""
    try:
        return server_folders(_docker(context), context.cluster.name, helper_image(context.config))
    except VolumesUnreadableError as reason:
        return Finding(check, seen=str(reason), skipped=True)


CHECKS: tuple[Callable[[CheckContext], Finding], ...] = (
    check_versions,
    check_namesake,
    check_memory,
    check_ports,
    check_disk,
    check_clock,
    check_secrets,
    check_line_ends,
    check_cluster_ids,
    check_owners,
)
QUICK_CHECKS: tuple[Callable[[CheckContext], Finding], ...] = (
    check_versions,
    check_namesake,
    check_memory,
    check_ports,
    check_line_ends,
)
_NEED_DOCKER = {check_versions, check_namesake, check_memory, check_ports, check_disk, check_cluster_ids, check_owners}


def _run_check(check: Callable[[CheckContext], Finding], context: CheckContext) -> Finding:
    """Makes a check; one that Docker itself refuses is a finding too."""
    name = check.__name__.removeprefix("check_").replace("_", " ").capitalize()
    if check in _NEED_DOCKER and not context.info:
        return Finding(name, seen="needs Docker", skipped=True)
    try:
        return check(context)
    except DockerError as error:
        return Finding(name, problem=str(error).rstrip("."), remedy="run the command yourself to see its whole output")


def _docker(context: CheckContext) -> Docker:
    if context.docker is None:
        raise DockerMissingError()
    return context.docker


def _published(docker: Docker) -> dict[int, tuple[str, str]]:
    """Returns container and Compose project by host port, of all running containers."""
    found = {}
    for row in json_rows(docker.ask("ps", "--no-trunc", "--format", "{{json .}}")):
        labels = dict(pair.partition("=")[::2] for pair in str(row.get("Labels", "")).split(","))
        for published in str(row.get("Ports", "")).split(", "):
            port = published.partition("->")[0].rpartition(":")[2]
            if "->" in published and port.isdigit():
                found[int(port)] = (str(row["Names"]), labels.get(PROJECT_LABEL, ""))
    return found


def _holder(port: int, published: Mapping[int, tuple[str, str]]) -> str:
    if port in published:
        name, project = published[port]
        return f"the container {name}" + (f" of {project}" if project else "")
    return ports.holder(port) or "another program"


def _engine_remedy(text: str) -> str:
    if "permission denied" in text.lower():
        return "you may not use Docker: add yourself to its group (`sudo usermod -aG docker $USER`) and log in again"
    if sys.platform.startswith("linux"):
        return "start it (`sudo systemctl start docker`)"
    return "start Docker Desktop and wait until it says that it runs"


def _with_windows_ends(repository: Path) -> Iterator[str]:
    for folder in _INTO_IMAGES:
        for path in sorted((repository / folder).rglob("*")):
            is_text = path.suffix in _TEXT and path.is_file() and "__pycache__" not in path.parts
            if is_text and b"\r\n" in path.read_bytes():
                yield path.relative_to(repository).as_posix()


def _dotted(numbers: tuple[int, ...]) -> str:
    return ".".join(str(number) for number in numbers)


def as_json(findings: list[Finding]) -> list[dict[str, object]]:
    """Returns the findings for `doctor --json`."""
    return [{**one.__dict__, "ok": one.ok} for one in findings]
