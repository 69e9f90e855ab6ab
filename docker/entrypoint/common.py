"""What the roles share: settings from the environment, files, and becoming another process."""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

SECRETS = Path("/run/shopstream/secrets")
# Where a container shares its host's network: the address that others reach it at, and the only one it listens on.
ADDRESS = os.environ.get("SHOPSTREAM_ADDRESS", "")
EVERYWHERE = "0.0.0.0"
MOST_SLOTS = 1000


class StartError(Exception):
    """A reason not to start, in one sentence that says what to do."""


def setting(name: str, default: str | None = None) -> str:
    """Returns an environment variable.

    Raises:
        StartError: when it is neither set nor has a default.
    """
    value = os.environ.get(name) or default
    if value is None:
        raise StartError(f"set {name} in the container's environment")
    return value


def secret(name: str) -> str:
    """Returns the content of a secret file.

    Raises:
        StartError: when it cannot be read or is empty.
    """
    try:
        value = (SECRETS / name).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise StartError(f"secret {SECRETS / name} cannot be read ({error.strerror}): see service secrets") from None
    if not value:
        raise StartError(f"secret {SECRETS / name} is empty: make the cluster's secrets again")
    return value


def write(path: Path, content: str, mode: int = 0o444) -> None:
    """Writes a file that never, not even for a moment, has a wider mode than asked for."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(content)
    draft.replace(path)


def slots(parent: Path) -> list[Path]:
    """Returns the folders of a volume that may be taken: first those that hold data already, then new ones."""
    numbers = range(1, MOST_SLOTS)
    there = [number for number in numbers if (parent / str(number)).is_dir()]
    return [parent / str(number) for number in (*there, *(number for number in numbers if number not in there))]


def take_slot(parent: Path) -> Path:
    """Takes the first folder below a volume that no other container uses, an existing one before a new one.

    The containers of a scaled service share one volume. Each holds a lock on its own folder as long as it runs:
    the lock goes with the process, however it ends, and the next container finds the folder's data again.

    Args:
        parent: the volume's folder.

    Returns:
        The folder, which this process and what it turns into hold from now on.

    Raises:
        StartError: when the volume cannot be written.
    """
    for folder in slots(parent):
        try:
            folder.mkdir(mode=0o750, exist_ok=True)
            lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o640)
        except OSError as error:
            raise StartError(f"{folder} cannot be written ({error.strerror}): see the volume's owner") from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        os.set_inheritable(lock, True)
        return folder
    raise StartError(f"all folders of {parent} are taken")


def empty(folder: Path) -> Path:
    """Makes a folder, without anything that was in it before."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o750)
    return folder


def become(command: Sequence[str], **environment: str) -> NoReturn:
    """Turns this process into another program, with some more environment."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.execvpe(command[0], list(command), {**os.environ, **environment})
