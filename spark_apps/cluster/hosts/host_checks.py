"""Looks at every host of an inventory for what usually goes wrong, and names the remedy for each."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from spark_apps.cluster.compose.docker import MIN_ENGINE, PROJECT_LABEL, version
from spark_apps.cluster.config import ClusterConfig
from spark_apps.cluster.health.doctor import MAX_CLOCK_SKEW_SECONDS, MIN_DISK, Finding
from spark_apps.cluster.hosts import placement
from spark_apps.cluster.hosts.remote import AT_ONCE, HostDocker, Inventory, UnreachableError, dockers
from spark_apps.cluster.sizing import MIB

# Compose's files for hosts take settings back, which an older one cannot
MIN_COMPOSE = (2, 24, 4)
_GIB = 1024**3

_FACTS = Path(__file__).with_name("host_facts.py")


def examine(inventory: Inventory) -> Iterator[Finding]:
    """Makes every check on every host, all hosts at once; what needs an answer is skipped where there is none."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for findings in pool.map(lambda docker: list(_examine_host(docker, inventory)), dockers(inventory).values()):
            yield from findings


def _examine_host(docker: HostDocker, inventory: Inventory) -> Iterator[Finding]:
    before = time.time()
    try:
        facts = json.loads(docker.python(_FACTS, placement.FOLDER, f"{PROJECT_LABEL}={inventory.name}"))
    except UnreachableError as error:
        yield Finding(docker.host, problem=error.problem, remedy=error.remedy)
        return
    skew = max(before - facts["time"], facts["time"] - time.time(), 0.0)
    yield _software(docker.host, facts)
    yield _memory(docker.host, facts)
    yield _disk(docker.host, facts)
    yield _clock(docker.host, skew)
    yield _secrets(docker.host, facts)
    yield _containers(docker.host, facts, inventory)


def _software(host: str, facts: Mapping[str, Any]) -> Finding:
    again = "run ansible-playbook -i INVENTORY site.yaml, which installs it on Debian and Ubuntu"
    if not facts["engine"]:
        return Finding(host, problem=f"The Docker engine of {host} does not answer", remedy=f"start it, or {again}")
    if version(facts["engine"]) < MIN_ENGINE or version(facts["compose"]) < MIN_COMPOSE:
        problem = f"{host} has engine {facts['engine']} and Compose {facts['compose'] or 'none'}, which is too old"
        return Finding(host, problem=problem, remedy=again)
    return Finding(host, seen=f"engine {facts['engine']}, Compose {facts['compose']}")


def _memory(host: str, facts: Mapping[str, Any]) -> Finding:
    budget, whole = ClusterConfig.parse(facts["env"]).memory, facts["memory"] // MIB
    if not budget:
        return Finding(host, seen="not set up yet", skipped=True)
    if budget > whole:
        problem = f"The containers of {host} may take {budget} MiB and it has {whole} MiB"
        return Finding(host, problem=problem, remedy="lower shopstream_memory and run site.yaml")
    return Finding(host, seen=f"{budget} of {whole} MiB")


def _disk(host: str, facts: Mapping[str, Any]) -> Finding:
    shown = f"{facts['free'] / _GIB:.1f} GiB free for Docker"
    if facts["free"] < MIN_DISK:
        return Finding(host, problem=f"{host} has only {shown}", remedy="run `docker image prune` there, or add a disk")
    return Finding(host, seen=shown)


def _clock(host: str, skew: float) -> Finding:
    if skew > MAX_CLOCK_SKEW_SECONDS:
        return Finding(
            host, problem=f"The clock of {host} is {skew:.0f} s off this machine's", remedy="synchronize it by NTP"
        )
    return Finding(host, seen=f"clock within {MAX_CLOCK_SKEW_SECONDS:.0f} s")


def _secrets(host: str, facts: Mapping[str, Any]) -> Finding:
    if facts["open"]:
        shown = ", ".join(facts["open"])
        return Finding(
            host, problem=f"Others on {host} can read {shown}", remedy="run site.yaml, which corrects the permissions"
        )
    if not set(placement.SECRETS) <= set(facts["secrets"]):
        return Finding(host, problem=f"Secrets are missing on {host}", remedy="run site.yaml, which copies them")
    shown = "firewall on" if facts["firewall"] == "active" else "firewall off"
    return Finding(host, seen=f"{len(facts['secrets'])} secrets for root only, {shown}")


def _containers(host: str, facts: Mapping[str, Any], inventory: Inventory) -> Finding:
    groups = inventory.variables[host]["group_names"]
    expected = [service for group in groups for service in placement.SERVICES[group]]
    rows = {service: (state, status) for service, state, status in (row.split("|") for row in facts["containers"])}
    down = [one for one in expected if rows.get(one, ("", ""))[0] != "running" or "unhealthy" in rows[one][1]]
    if down:
        remedy = f"look at `docker logs {inventory.name}-{down[0]}-1` there, then run site.yaml"
        return Finding(host, problem=f"Not running or not healthy on {host}: {', '.join(down)}", remedy=remedy)
    return Finding(host, seen=", ".join(expected))
