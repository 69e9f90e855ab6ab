"""Versions of models: their names, their metadata, which are complete, which is the newest (SPEC M1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from pydantic import BaseModel, ValidationError

from spark_apps import __version__
from spark_apps.errors import MissingModelError
from spark_apps.storage import StoragePath

MODELS = "models"
ALS, SEGMENTS, POPULARITY, HYBRID = "als", "segments", "popularity", "hybrid"
NAMES = (ALS, SEGMENTS, POPULARITY, HYBRID)
METADATA = "metadata.json"
_VERSION_FORMAT = "%Y%m%dT%H%M%SZ"


class Metadata(BaseModel):
    """What is known of a model version.

    Attributes:
        name: the model.
        version: its UTC time stamp.
        trained_at: when, UTC, ISO 8601.
        code_version: of shopstream.
        seed: of everything random.
        first_date: first date of the events, ISO.
        last_date: last date of the events.
        users: users in the data.
        products: products in the data.
        interactions: (user, product) pairs.
        segments: names of the segments.
        parameters: what the training was told.
        metrics: what was measured; the same data and seed give the same figures.
        files: size in bytes of every file of the version, by which a partial copy is known.
    """

    name: str
    version: str
    trained_at: str
    code_version: str
    seed: int
    first_date: str
    last_date: str
    users: int
    products: int
    interactions: int
    segments: list[str]
    parameters: dict[str, Any]
    metrics: dict[str, Any]
    files: dict[str, int] = {}

    @classmethod
    def describe(cls, **known: Any) -> Metadata:
        """Builds the metadata of a version made now by this code; the other attributes are given."""
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")
        return cls(trained_at=now, code_version=__version__, **known)


@dataclass(frozen=True)
class Version:
    """One version's folder, and its metadata unless it is incomplete.

    Attributes:
        name: the model.
        version: its UTC time stamp.
        folder: where it stands.
        metadata: None when files are missing or cut short.
    """

    name: str
    version: str
    folder: StoragePath
    metadata: Metadata | None


def model_path(name: str, version: str) -> str:
    """Returns a version's path below the root."""
    return f"{MODELS}/{name}/{version}"


def new_version(root: StoragePath) -> str:
    """Returns a version name that no model has yet: the UTC time, moved on by seconds if it is taken."""
    moment = datetime.now(timezone.utc)
    while any((root / model_path(name, moment.strftime(_VERSION_FORMAT))).exists() for name in NAMES):
        moment += timedelta(seconds=1)
    return moment.strftime(_VERSION_FORMAT)


def write_metadata(folder: StoragePath, metadata: Metadata) -> None:
    """Completes a staged version: notes the sizes of its files and writes its metadata."""
    files = {path.relative_to(folder).as_posix(): path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    complete = metadata.model_copy(update={"files": dict(sorted(files.items()))})
    (folder / METADATA).write_text(complete.model_dump_json(indent=1), encoding="utf-8")


def versions(root: StoragePath, name: str) -> list[Version]:
    """Returns every version of a model, oldest first, complete or not."""
    folders = sorted(path for path in (root / MODELS / name).glob("*") if path.is_dir())
    return [Version(name, folder.name, folder, _read_complete(folder)) for folder in folders]


def newest(root: StoragePath, name: str) -> tuple[StoragePath, Metadata]:
    """Returns the folder and metadata of the newest complete version.

    Raises:
        MissingModelError: when there is none.
    """
    for version in reversed(versions(root, name)):
        if version.metadata is not None:
            return version.folder, version.metadata
    raise MissingModelError(name)


def _read_complete(folder: StoragePath) -> Metadata | None:
    """Reads the metadata of a version whose files are all there at their full size."""
    try:
        metadata = Metadata.model_validate_json((folder / METADATA).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    for name, size in metadata.files.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != size:
            return None
    return metadata
