"""What each image is built from, as one digest, which the image carries in a label."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

LABEL = "shopstream.inputs"
_IMAGE = re.compile(r"shopstream/(\w+):.*")
_BASE = ("docker/Dockerfile", "docker/entrypoint")
# Not among them: README.md and extra CA certificates, which change nothing in a container that runs.
INPUTS = {
    "base": _BASE,
    "hadoop": (*_BASE, "docker/hadoop"),
    "spark": (
        *_BASE,
        "requirements-spark.lock",
        "requirements-dev.lock",
        "pyproject.toml",
        "spark_apps",
        "hdfs_layout",
    ),
}


def of(image: str, repository: Path) -> str:
    """Returns the digest of what an image is built from now, names and contents; nothing for one that is not ours."""
    found = _IMAGE.fullmatch(image)
    return _digest(repository, INPUTS[found[1]]) if found and found[1] in INPUTS else ""


def variables(repository: Path) -> dict[str, str]:
    """Returns the variables by which compose/cluster.yaml labels what it builds."""
    return {f"SHOPSTREAM_{name.upper()}_INPUTS": _digest(repository, parts) for name, parts in INPUTS.items()}


def _digest(repository: Path, parts: tuple[str, ...]) -> str:
    whole = hashlib.sha256()
    for path in sorted({path for part in parts for path in _files(repository / part)}):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        whole.update(f"{path.relative_to(repository).as_posix()} {content}\n".encode())
    return whole.hexdigest()[:16]


def _files(path: Path) -> Iterator[Path]:
    """The files at or below a path, as .dockerignore leaves them."""
    inside = path.rglob("*") if path.is_dir() else [path]
    yield from (one for one in inside if one.is_file() and "__pycache__" not in one.parts and one.suffix != ".pyc")
