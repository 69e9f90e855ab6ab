"""Versions of models: their names, their metadata, which are complete, which is the newest (SPEC M1)."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from spark_apps import __version__
from spark_apps.errors import MissingModelError
from spark_apps.registry.promotion_policy import Verdict
from spark_apps.storage import StoragePath, write_durably
from spark_apps.tables import METADATA, MODELS, model_path

ALS, SEGMENTS, POPULARITY, HYBRID = "als", "segments", "popularity", "hybrid"
NAMES = (ALS, SEGMENTS, POPULARITY, HYBRID)
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
        reference_date: the date that recency counts from: see features.reference. None where it was not noted yet: then
            it was the last date.
        users: users in the data.
        products: products in the data.
        interactions: (user, product) pairs.
        segments: names of the segments.
        parameters: what the training was told.
        metrics: what was measured; the same data and seed give the same figures.
        files: size in bytes of every file of the version, by which a partial copy is known.
        verdict: of the promotion policy; None for versions that it does not cover. In JSON it is called gate.
    """

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    name: str
    version: str
    trained_at: str
    code_version: str
    seed: int
    first_date: str
    last_date: str
    reference_date: str | None = None
    users: int
    products: int
    interactions: int
    segments: list[str]
    parameters: dict[str, Any]
    metrics: dict[str, Any]
    files: dict[str, int] = {}
    verdict: Verdict | None = Field(None, alias="gate")

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


# the folder and the metadata of a complete version
Complete = tuple[StoragePath, Metadata]


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
    (folder / METADATA).write_bytes(complete.model_dump_json(indent=1).encode())


def write_verdict(folder: StoragePath, verdict: Verdict) -> None:
    """Adds the promotion policy's verdict to the metadata of a staged version."""
    metadata = Metadata.model_validate_json((folder / METADATA).read_bytes())
    decided = metadata.model_copy(update={"verdict": verdict})
    write_durably(folder / METADATA, decided.model_dump_json(indent=1))


def version_names(root: StoragePath, name: str) -> list[str]:
    """Returns the names of a model's versions, oldest first, complete or not."""
    return sorted(path.name for path in (root / MODELS / name).glob("*") if path.is_dir())


def read_version(root: StoragePath, name: str, version: str) -> Version:
    """Returns one version of a model; without metadata when it is incomplete or not there."""
    folder = root / model_path(name, version)
    return Version(name, version, folder, _read_complete(folder))


def versions(root: StoragePath, name: str) -> list[Version]:
    """Returns every version of a model, oldest first, complete or not."""
    return [read_version(root, name, version) for version in version_names(root, name)]


def newest(root: StoragePath, name: str) -> Complete:
    """Returns the folder and metadata of the newest complete version.

    Raises:
        MissingModelError: when there is none.
    """
    for version in reversed(version_names(root, name)):
        found = complete(root, name, version)
        if found is not None:
            return found
    raise MissingModelError(name)


def complete(root: StoragePath, name: str, version: str) -> Complete | None:
    """Returns the folder and metadata of a version; None when it is incomplete or not there."""
    found = read_version(root, name, version)
    return None if found.metadata is None else (found.folder, found.metadata)


def _read_complete(folder: StoragePath) -> Metadata | None:
    """Reads the metadata of a version whose files are all there at their full size."""
    try:
        metadata = Metadata.model_validate_json((folder / METADATA).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    whole = all(_file_size(folder / name) == size for name, size in metadata.files.items())
    return metadata if whole else None


def _file_size(path: StoragePath) -> int | None:
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
