"""Runs the kit's playbooks as its users do, and reads what they say of each host."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PLAYBOOKS = REPOSITORY / "ansible"
# of the images that the hosts get; read before tests/conftest.py takes SHOPSTREAM_ variables away
TAG = os.environ.get("SHOPSTREAM_TAG", "dev")
_PROGRAM = Path(sys.executable).parent / "ansible-playbook"
_RECAP = re.compile(r"^(\S+)\s+: (ok=\d+.*)$", re.MULTILINE)
_TASK = re.compile(r"^(?:TASK|RUNNING HANDLER) \[(.*)\] \**$")
_CHANGED = re.compile(r"^changed: \[([^\]]+)\]")


@dataclass(frozen=True)
class Run:
    """One run of a playbook that has ended."""

    code: int
    seconds: float
    output: str

    @property
    def recap(self) -> dict[str, dict[str, int]]:
        """What the last lines say of each host: ok, changed, unreachable, failed ..."""
        found = _RECAP.findall(self.output.rpartition("PLAY RECAP")[2])
        return {host: {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", text)} for host, text in found}

    @property
    def changes(self) -> list[str]:
        """The tasks that changed something, with their hosts."""
        task, found = "", []
        for line in self.output.splitlines():
            if begun := _TASK.match(line):
                task = begun[1]
            elif changed := _CHANGED.match(line):
                found.append(f"{task} on {changed[1]}")
        return found


def start(playbook: str, inventory: Path, *options: str) -> subprocess.Popen[str]:
    """Starts a playbook of the kit."""
    command = [str(_PROGRAM), "-i", str(inventory), str(PLAYBOOKS / f"{playbook}.yaml")]
    command += ["-e", f"shopstream_tag={TAG}", *options]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(PLAYBOOKS / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"}
    return subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def play(playbook: str, inventory: Path, *options: str, code: int = 0, timeout: float = 3600) -> Run:
    """Runs a playbook of the kit to its end, which must be of this exit code."""
    began = time.monotonic()
    process = start(playbook, inventory, *options)
    try:
        output, _ = process.communicate(timeout=timeout)
    finally:
        process.kill()
    assert process.returncode == code, f"{playbook} ended with {process.returncode}:\n{output[-6000:]}"
    return Run(process.returncode, time.monotonic() - began, output)
