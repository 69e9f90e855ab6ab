"""The one-shot service `secrets`: hands each service the secret files it needs, readable by its user only.

A secret that Compose mounts keeps the owner and mode of the file on the host, mode 0600 of whoever runs Docker:
no unprivileged user in a container can read it. So this role, as root without a network, copies them into
volumes, one per group of services.
"""

from __future__ import annotations

import os
from pathlib import Path

from common import StartError

SOURCE = Path("/run/secrets")
VOLUMES = Path("/volumes")
PREFIX = "PLACE_"
GROUP = 10000


def run(_: list[str]) -> int:
    """Fills the volumes.

    A variable PLACE_GRAFANA="472 NAME NAME" gives user 472 two secrets in /volumes/grafana. A name with a plus sign
    stands for one that user will write there itself, for its group to read.

    Raises:
        StartError: when a secret is missing or empty.
    """
    for variable, words in os.environ.items():
        if variable.startswith(PREFIX):
            owner, *names = words.split()
            fill(VOLUMES / variable.removeprefix(PREFIX).lower(), int(owner), names)
    return 0


def fill(volume: Path, owner: int, names: list[str]) -> None:
    """Puts secrets into a volume."""
    later = [name.removeprefix("+") for name in names if name.startswith("+")]
    for name in names:
        if not name.startswith("+"):
            place(volume / name, owner, content(name), 0o400)
    for name in later:
        if not (volume / name).exists():
            place(volume / name, owner, b"", 0o440)
    # who writes there owns the folder; else nobody but root does
    os.chown(volume, owner if later else 0, GROUP)
    volume.chmod(0o750 if later else 0o755)


def content(name: str) -> bytes:
    """Returns a secret of the host.

    Raises:
        StartError: when there is none.
    """
    source = SOURCE / name
    if not source.is_file() or not source.stat().st_size:
        raise StartError(f"secret {name} is missing or empty on the host: make the cluster's secrets again")
    return source.read_bytes()


def place(target: Path, owner: int, value: bytes, mode: int) -> None:
    """Writes one secret by rename, never with wider rights than it is to have."""
    draft = target.with_name(f".{target.name}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(value)
        os.fchown(file.fileno(), owner, GROUP)
    draft.replace(target)
