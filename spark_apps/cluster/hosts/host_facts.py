"""Prints as JSON what a host says of itself.

`host_checks` hands this file to the host's own Python, which has nothing else of this project.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any


def facts(folder: Path, label: str) -> dict[str, Any]:
    """Returns what is installed, free, readable and running.

    Args:
        folder: the cluster's on this host.
        label: that its containers have, as NAME=VALUE.
    """
    env, secrets = folder / "cluster.env", folder / "secrets"
    memory = Path("/proc/meminfo").read_text(encoding="ascii").split("MemTotal:")[1].split()[0]
    columns = '{{.Label "com.docker.compose.service"}}|{{.State}}|{{.Status}}'
    readable = [one for one in (secrets, *secrets.glob("*")) if one.exists() and one.stat().st_mode & 0o077]
    return {
        "engine": _output("docker", "version", "--format", "{{.Server.Version}}"),
        "compose": _output("docker", "compose", "version", "--short"),
        "memory": int(memory) * 1024,
        "free": _free(Path(_output("docker", "info", "--format", "{{.DockerRootDir}}") or "/")),
        "env": env.read_text(encoding="utf-8") if env.is_file() else "",
        "open": sorted(one.name for one in readable),
        "secrets": sorted(one.name for one in secrets.glob("*") if one.stat().st_size),
        "containers": _output("docker", "ps", "--all", "--format", columns, "--filter", f"label={label}").splitlines(),
        "firewall": _output("systemctl", "is-active", "shopstream-firewall"),
        "time": time.time(),
    }


def _output(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _free(path: Path) -> int:
    return shutil.disk_usage(next(one for one in (path, *path.parents) if one.is_dir())).free


if __name__ == "__main__":
    print(json.dumps(facts(Path(sys.argv[1]), sys.argv[2])))
