"""What the services of a cluster on several hosts log, each line behind the name of its host."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from spark_apps.cluster.hosts import placement
from spark_apps.cluster.hosts.remote import HostDocker, Inventory, UnreachableError, dockers
from spark_apps.errors import UserError

_SSH_FAILED = 255


def show_logs(inventory: Inventory, service: str | None, tail: int, follow: bool, show: Callable[[str], None]) -> int:
    """Hands on what services log, host by host, or as it comes where it is followed.

    Args:
        inventory: the hosts.
        service: a service's name; None shows all services.
        tail: most lines of each container.
        follow: go on until each host's docker ends.
        show: receives each line.

    Returns:
        The largest exit code.

    Raises:
        UserError: when no host runs the service, or one does not answer.
    """
    known = dockers(inventory)
    chosen = [known[host] for host in _hosts_of(inventory, service)]
    options = ["--no-color", "--tail", str(tail), *(["--follow"] if follow else []), *([service] if service else [])]

    def relay(docker: HostDocker) -> int:
        return _relay(docker, ["compose", "-p", inventory.name, "logs", *options], show)

    with ThreadPoolExecutor(len(chosen) if follow else 1) as pool:
        return max(pool.map(relay, chosen))


def _hosts_of(inventory: Inventory, service: str | None) -> list[str]:
    groups = {name: group for group, names in placement.SERVICES.items() for name in names}
    if service is None:
        return list(inventory.variables)
    if service not in groups:
        raise UserError(f"There is no service {service}: choose one of {', '.join(groups)}.")
    found = inventory.members(groups[service])
    if not found:
        raise UserError(f"No host of {inventory.path} runs {service}: see its groups.")
    return found


def _relay(docker: HostDocker, arguments: Sequence[str], show: Callable[[str], None]) -> int:
    """Hands on what one host's docker prints; ssh and docker say what is wrong in their last line."""
    process = subprocess.Popen(
        docker.command(*arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )
    assert process.stdout is not None
    last = ""
    with process.stdout:
        for line in process.stdout:
            last = line.rstrip("\n")
            show(f"{docker.host}: {last}")
    code = process.wait()
    if code == _SSH_FAILED:
        raise UnreachableError(docker.host, last)
    return code
