"""What jobs work with: the promoted version of a model, and tables that may have been made with another."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from spark_apps.errors import MissingModelError
from spark_apps.progress import notice
from spark_apps.registry.alias import read_alias
from spark_apps.registry.versions import ALS, HYBRID, NAMES, POPULARITY, SEGMENTS, Complete, Metadata, complete, newest
from spark_apps.settings import MODEL_OPTIONS
from spark_apps.storage import StoragePath, write_durably
from spark_apps.tables import MADE_WITH_FILE, RECOMMENDATIONS, USER_SEGMENTS, Table

# The tables that are made with models, each with its models.
MADE_WITH: dict[Table, tuple[str, ...]] = {
    RECOMMENDATIONS: (HYBRID, ALS, POPULARITY),
    USER_SEGMENTS: (SEGMENTS,),
}


def promoted(root: StoragePath, name: str) -> Complete | None:
    """Returns the promoted version of a model; None when none is promoted, or it is gone or incomplete."""
    alias = read_alias(root, name)
    return None if alias is None else complete(root, name, alias.version)


def current(root: StoragePath, name: str) -> Complete:
    """Returns the version of a model that jobs use: the promoted one, else the newest complete one.

    A promoted version that is gone or incomplete is told of in one line on standard error.

    Raises:
        MissingModelError: when there is no complete version.
    """
    alias = read_alias(root, name)
    if alias is None:
        return newest(root, name)
    found = complete(root, name, alias.version)
    if found is not None:
        return found
    folder, metadata = newest(root, name)
    notice(
        f"The promoted version {alias.version} of model {name} is gone or incomplete: {metadata.version}, the newest "
        "complete one, is used; see `shopstream models list`."
    )
    return folder, metadata


@dataclass(frozen=True)
class StaleTable:
    """A table that was made with another version of a model than the one that jobs use now.

    Attributes:
        table: its name.
        made_with: the version it was made with.
        name: the model.
        current: the version that jobs use.
        command: the command that makes the table anew as the version in use was made, on the same events.
    """

    table: str
    made_with: str
    name: str
    current: str
    command: str

    def __str__(self) -> str:
        used = f"version {self.current} of model {self.name} is in use"
        return f"Table {self.table} was made with version {self.made_with}, while {used}"


def note_version(folder: StoragePath, version: str) -> None:
    """Notes in a staged table's folder which version of its models it was made with; both appear together."""
    write_durably(folder / MADE_WITH_FILE, json.dumps({"version": version}))


def stale_tables(root: StoragePath) -> list[StaleTable]:
    """Returns the published tables that do not fit the models in use, as after a promotion by hand."""
    found = (_stale(root, table, names) for table, names in MADE_WITH.items())
    return [stale for stale in found if stale is not None]


def _stale(root: StoragePath, table: Table, names: tuple[str, ...]) -> StaleTable | None:
    made_with = _noted_version(root, table)
    if made_with is None:
        return None
    used = (_used(root, name) for name in names)
    for other in (metadata for metadata in used if metadata is not None and metadata.version != made_with):
        return StaleTable(table.name, made_with, other.name, other.version, _training_of(root, other))
    return None


def _training_of(root: StoragePath, metadata: Metadata) -> str:
    """The command that trains as one version was trained, by what its models say of it."""
    found = (complete(root, name, metadata.version) for name in NAMES)
    told = {name: value for one in found if one is not None for name, value in one[1].parameters.items()}
    options = {"from": metadata.first_date, "to": metadata.last_date, "seed": metadata.seed}
    options |= {"k": told["k"]} if "k" in told else {}
    options |= model_options_of(told)
    return f"shopstream train {' '.join(f'--{name} {value}' for name, value in options.items())} --force"


def model_options_of(parameters: dict[str, Any]) -> dict[str, Any]:
    """Returns the options of settings.MODEL_OPTIONS that train with the parameters of a version's metadata."""
    # a version's metadata hold its model's own settings beside each other, and the blend as one
    told = {"als": als_library(parameters), **parameters}
    told |= {f"{name}-weight": value for name, value in parameters.get("blend", {}).items()}
    return {name: told[name] for name in MODEL_OPTIONS if told.get(name) is not None}


def als_library(parameters: dict[str, Any]) -> str | None:
    """Returns what fitted the factors of an ALS version; older versions call it engine. None for another model."""
    library: str | None = parameters.get("als", parameters.get("engine"))
    return library


def _used(root: StoragePath, name: str) -> Metadata | None:
    """The metadata behind `current`, without its notice."""
    try:
        return (promoted(root, name) or newest(root, name))[1]
    except MissingModelError:
        return None


def _noted_version(root: StoragePath, table: Table) -> str | None:
    """The version a table was made with; None for one that is not there or was made before this was noted."""
    try:
        noted: str = json.loads((root / table.path / MADE_WITH_FILE).read_text(encoding="utf-8"))["version"]
    except FileNotFoundError:
        return None
    return noted
