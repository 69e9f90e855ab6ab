"""What a command that a test starts may write on a terminal: its own notices, and nothing that a library says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
# Warnings become errors in the command, in what it starts and in Spark's Python workers, whose tasks fail then. PySpark
# leaves sockets and files to the garbage collector; Python shows that warning to nobody who does not ask for it.
WARNINGS_ARE_ERRORS = {"PYTHONWARNINGS": "error,ignore::ResourceWarning"}
# A finished step, a notice, what to do next, what was wrong, a batch of the stream and its events far ahead.
_OWN = re.compile(r"✓ |! |Next: |Error: | *\d+  +([\d,]+ events|\S+\.csv)| +[\d,]+ events? far ahead")
# Java says so whenever Spark starts it; no option of Spark or Java keeps it from that.
_OF_JAVA = "WARNING: Using incubator modules: jdk.incubator.vector"


def shopstream(*arguments: object, timeout: float = 300, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in a process of its own, in which warnings are errors, and looks at what it tells.

    Args:
        arguments: of the command.
        timeout: seconds.
        environment: added to this process's.
    """
    command = [sys.executable, "-m", "spark_apps", *map(str, arguments)]
    done = subprocess.run(
        command,
        cwd=REPOSITORY,
        env={**os.environ, "SHOPSTREAM_DRIVER_MEMORY": "1g", **WARNINGS_ARE_ERRORS, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout,
    )
    assert strange_lines(done.stderr) == [], done.stderr
    return done


def strange_lines(told: str) -> list[str]:
    """Returns the lines of standard error that are not notices of ours."""
    return [line for line in told.splitlines() if line and line != _OF_JAVA and not _OWN.match(line)]
