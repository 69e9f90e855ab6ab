"""Which images of a host are not the controller's, by what `docker image inspect` says of both."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

# what engines of all versions say of an image's configuration
_START = ("Cmd", "Entrypoint", "Env", "ExposedPorts", "Healthcheck", "Labels", "User", "Volumes", "WorkingDir")


def compare(names: Iterable[str], controller: str, host: str) -> dict[str, list[str]]:
    """Tells which images of a host are to be handed over, under `send`, and which are to be pulled, under `pull`.

    Args:
        names: the images that the host needs.
        controller: what `docker image inspect` prints of them there.
        host: the same of the host.
    """
    ours, theirs = _identities(controller), _identities(host)
    send = [name for name in names if name in ours and ours[name] != theirs.get(name)]
    return {"send": send, "pull": [name for name in names if name not in ours and name not in theirs]}


def _identities(inspected: str) -> dict[str, str]:
    """By name: when an image was made, its layers and how it starts, which are the same wherever it is stored."""
    rows = json.loads(inspected) if inspected.strip() else []
    return {tag: json.dumps(_identity(row)) for row in rows for tag in row["RepoTags"] or ()}


def _identity(row: Mapping[str, Any]) -> list[Any]:
    # one engine says nothing where another says null
    start = {key: row["Config"][key] for key in _START if row["Config"].get(key)}
    return [row["Created"], row["RootFS"]["Layers"], start]
