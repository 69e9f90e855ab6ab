"""Runs a command and measures the whole tree of processes that it starts."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

_SAMPLE_SECONDS = 0.2


@dataclass(frozen=True)
class Measured:
    """A finished command: its output, wall time and the highest memory of its process tree.

    Attributes:
        output: what it printed on standard output.
        seconds: wall time.
        peak_bytes: the highest sum of resident memory over its processes; shared pages count for each.
        exit_code: of the command.
    """

    output: str
    seconds: float
    peak_bytes: int
    exit_code: int


def measure(command: Sequence[str], environment: dict[str, str]) -> Measured:
    """Runs a command to its end and measures it."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    peak, stop = [0], threading.Event()
    watcher = threading.Thread(target=_watch, args=(process.pid, peak, stop))
    watcher.start()
    output, _ = process.communicate()
    stop.set()
    watcher.join()
    return Measured(output, time.monotonic() - began, peak[0], process.returncode)


def _watch(pid: int, peak: list[int], stop: threading.Event) -> None:
    while not stop.wait(_SAMPLE_SECONDS):
        peak[0] = max(peak[0], _tree_bytes(pid))


def _tree_bytes(pid: int) -> int:
    total = 0
    try:
        root = psutil.Process(pid)
        tree = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0
    for process in tree:
        try:
            total += process.memory_info().rss
        except psutil.NoSuchProcess:
            continue  # it ended between the listing and the look
    return total
