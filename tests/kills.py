"""Kills work at every step: for scripts of tests, which run in a process of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
_TOUCHES = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir"}


def run_script(script: str, *arguments: object) -> str:
    """Runs a script of Python's with arguments, and returns what it printed."""
    command = [sys.executable, "-c", script, *map(str, arguments)]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def kill_at_every_step(root: Path, work: Callable[[], object], check: Callable[[], object]) -> int:
    """Forks processes of which the first is killed before it touches its first file, the second before its second.

    Args:
        root: below it, files count.
        work: what the processes do; nothing that starts threads may have run in this one.
        check: looks at what a process left.

    Returns:
        How many were killed before one ended by itself.
    """
    kills = 0
    while True:
        child = os.fork()
        if not child:
            _kill_at(root, kills + 1)
            work()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        check()
        if status == 0:
            return kills
        assert os.WTERMSIG(status) == signal.SIGKILL, status
        kills += 1


def _kill_at(root: Path, number: int) -> None:
    touched = 0

    def touch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal touched
        if event in _TOUCHES and str(arguments[0]).startswith(str(root)):
            touched += 1
            if touched == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(touch)
