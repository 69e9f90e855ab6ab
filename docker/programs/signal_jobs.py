"""Signals the jobs in this container whose environment holds a mark, and prints the command of each: MARK NUMBER.

A job is a process with the mark whose parent has none. The mark is the beginning of NAME=VALUE. 0 signals nothing.
"""

import os
import sys
from pathlib import Path

mark, number = sys.argv[1].encode(), int(sys.argv[2])
parents, commands = {}, {}
for folder in Path("/proc").glob("[0-9]*"):
    try:
        if any(value.startswith(mark) for value in (folder / "environ").read_bytes().split(b"\0")):
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            commands[int(folder.name)] = (folder / "cmdline").read_text().split("\0")
    except OSError:
        continue  # it ended, or is not ours
jobs = [process for process, parent in parents.items() if parent not in parents and process != os.getpid()]
for process in jobs:
    os.kill(process, number)
    print(" ".join(commands[process][2:3]))
