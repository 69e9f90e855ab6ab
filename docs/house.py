"""Prints the house: rooms, files, lines and import arrows of a commit (python docs/house.py [COMMIT])."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections import Counter, defaultdict


def git(*words: str) -> str:
    """What a git command prints."""
    return subprocess.run(["git", *words], capture_output=True, text=True, check=True).stdout


def room_of(parts: list[str]) -> str:
    """A folder of spark_apps, or `(top)` for the modules beside them."""
    return parts[1] if len(parts) > 2 else "(top)"


def main(commit: str) -> None:
    """Prints a line a room, and their sum."""
    files = [name for name in git("ls-tree", "-r", "--name-only", commit, "spark_apps").splitlines()]
    rooms = {name.split("/")[1] for name in files if name.count("/") > 1}
    number, lines, arrows = Counter[str](), Counter[str](), defaultdict[str, set[str]](set)
    for name in files:
        if not name.endswith((".py", ".sql")):
            continue
        text, room = git("show", f"{commit}:{name}"), room_of(name.split("/"))
        number[room] += 1
        lines[room] += len(text.splitlines())
        for node in ast.walk(ast.parse(text)) if name.endswith(".py") else ():
            module = node.module if isinstance(node, ast.ImportFrom) else None
            if module and module.startswith("spark_apps."):
                target = module.split(".")[1]
                if target in rooms and target != room:
                    arrows[room].add(target)
    print(f"{'room':16}{'files':>6}{'lines':>7}  imports")
    for room in sorted(number):
        print(f"{room:16}{number[room]:6}{lines[room]:7}  {', '.join(sorted(arrows[room]))}".rstrip())
    print(f"{'all':16}{number.total():6}{lines.total():7}  {sum(map(len, arrows.values()))} arrows")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "HEAD")
