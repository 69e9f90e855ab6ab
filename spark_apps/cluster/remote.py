"""Commands on the hosts of an inventory, over ssh as Ansible itself would go."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

_CONNECT_SECONDS = 10


def ssh_arguments(variables: Mapping[str, Any]) -> list[str]:
    """Returns the ssh command that leads to a host, without what is to run there.

    Args:
        variables: the host's, as the inventory gives them.
    """
    command = ["ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={_CONNECT_SECONDS}"]
    if variables.get("ansible_ssh_private_key_file"):
        command += ["-i", str(variables["ansible_ssh_private_key_file"])]
    if variables.get("ansible_port"):
        command += ["-p", str(variables["ansible_port"])]
    for name in ("ansible_ssh_common_args", "ansible_ssh_extra_args"):
        command += shlex.split(str(variables.get(name) or ""))
    user = f"{variables['ansible_user']}@" if variables.get("ansible_user") else ""
    return [*command, f"{user}{variables.get('ansible_host') or variables['inventory_hostname']}"]


def ssh_command(variables: Mapping[str, Any]) -> str:
    """Returns the same as a line for a shell."""
    return shlex.join(ssh_arguments({name: variables[name] for name in READ if name in variables}))


READ = (
    *("inventory_hostname", "ansible_host", "ansible_port", "ansible_user", "ansible_ssh_private_key_file"),
    *("ansible_ssh_common_args", "ansible_ssh_extra_args"),
)
