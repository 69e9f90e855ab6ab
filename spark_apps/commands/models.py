"""models list, show, promote, rollback: the versions of each model, and which of them jobs use."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from spark_apps.commands.common import json_option, next_step, out, print_json, print_table, root_option
from spark_apps.errors import MissingModelError, NothingToDoError
from spark_apps.registry.alias import Alias, Promotion, read_alias
from spark_apps.registry.promotion import promote, rollback
from spark_apps.registry.serving import current, stale_tables
from spark_apps.registry.versions import NAMES, Metadata, Version, complete, version_names, versions
from spark_apps.settings import load_settings, table_root
from spark_apps.storage import StoragePath
from spark_apps.storage.transaction import recover

_ALL = "all"
_model_argument = click.argument("name", type=click.Choice(NAMES))
_models_argument = click.argument("name", metavar="NAME", type=click.Choice([*NAMES, _ALL]))


@click.group()
def models() -> None:
    """Model versions, what is known of them, and which of them jobs use."""


@models.command("list")
@root_option
@json_option
def list_models(root: str | None, as_json: bool) -> None:
    """List the versions of every model, which are promoted, and why.

    \b
    Example: shopstream models list
    """
    folder = _settled(root)
    aliases = {name: read_alias(folder, name) for name in NAMES}
    found = [version for name in NAMES for version in versions(folder, name)]
    if as_json:
        print_json([_listed(version, aliases[version.name]) for version in found])
        return
    if not found:
        raise NothingToDoError("There is no model yet: run `shopstream train` first (with the same --root).")
    columns = ["model", "version", "state", "users", "events of"]
    print_table("Models", columns, [_row(version, aliases[version.name]) for version in found])
    for text in [*_promotions(found, aliases), *_refusals(found, aliases)]:
        out.print(text, soft_wrap=True)
    if not _print_stale_tables(folder):
        next_step("shopstream models show als, or shopstream models promote als VERSION")


def _listed(version: Version, alias: Alias | None) -> dict[str, Any]:
    promotion = _promotion(version.version, alias)
    verdict = version.metadata.verdict if version.metadata is not None else None
    return {
        "name": version.name,
        "version": version.version,
        "complete": version.metadata is not None,
        "promoted": promotion is not None,
        "promotion": promotion.model_dump() if promotion is not None else None,
        "gate": verdict.model_dump() if verdict is not None else None,
    }


def _row(version: Version, alias: Alias | None) -> tuple[object, ...]:
    metadata = version.metadata
    if metadata is None:
        return version.name, version.version, "INCOMPLETE", None, "-"
    days = f"{metadata.first_date} to {metadata.last_date}"
    return version.name, version.version, _state(metadata, alias), metadata.users, days


def _state(metadata: Metadata, alias: Alias | None) -> str:
    if _promotion(metadata.version, alias) is not None:
        return "promoted"
    return "refused" if metadata.verdict is not None and not metadata.verdict.passed else "complete"


def _promotion(version: str, alias: Alias | None) -> Promotion | None:
    return alias.latest() if alias is not None and alias.version == version else None


def _promotions(found: Sequence[Version], aliases: Mapping[str, Alias | None]) -> list[str]:
    there = {(version.name, version.version) for version in found if version.metadata is not None}
    told = []
    for name, alias in aliases.items():
        if alias is not None:
            lost = "" if (name, alias.version) in there else ". It is gone or incomplete: the newest complete is used"
            told.append((name, f"{alias}{lost}"))
    return _once(told)


def _refusals(found: Sequence[Version], aliases: Mapping[str, Alias | None]) -> list[str]:
    """Why the promotion policy refused versions; of those that --force promoted, the promotion says it."""
    told = []
    for version in found:
        promotion = _promotion(version.version, aliases[version.name])
        verdict = version.metadata.verdict if version.metadata is not None else None
        forced = promotion is not None and promotion.by == "force"
        if verdict is not None and not verdict.passed and not forced:
            told.append(
                (version.name, f"version {version.version} is refused by the promotion policy: {verdict.reason}")
            )
    return _once(told)


def _once(told: Sequence[tuple[str, str]]) -> list[str]:
    """What is the same of several models, once with their names."""
    names_of: dict[str, list[str]] = {}
    for name, text in told:
        names_of.setdefault(text, []).append(name)
    return [f"{', '.join(names)}: {text}." for text, names in names_of.items()]


@models.command("show")
@_model_argument
@click.option("--version", "wanted", help="Which version.  [default: the promoted one, else the newest complete one]")
@root_option
def show_model(name: str, wanted: str | None, root: str | None) -> None:
    """Print a model's metadata and promotions as JSON.

    \b
    Example: shopstream models show als
    """
    folder = _settled(root)
    found = current(folder, name) if wanted is None else complete(folder, name, wanted)
    if found is None or wanted not in (None, *version_names(folder, name)):
        raise MissingModelError(name, wanted)
    metadata, alias = found[1], read_alias(folder, name)
    promotion = _promotion(metadata.version, alias)
    promotions = alias.all() if alias is not None else []
    print_json(
        {
            **metadata.model_dump(),
            "promotion": promotion.model_dump() if promotion is not None else None,
            "promotions": [one.model_dump() for one in promotions],
        }
    )
    if promotion is None:
        next_step(f"shopstream models promote {name} {metadata.version}, if jobs should use this version")


@models.command("promote")
@_models_argument
@click.argument("version")
@click.option("--reason", help="Why, for `models list` and the history.")
@root_option
@json_option
def promote_models(name: str, version: str, reason: str | None, root: str | None, as_json: bool) -> None:
    """Make jobs use a version of a model, or of all models at one moment.

    Tables that were made with another version stay as they are; the command that makes them anew is named.

    \b
    Example: shopstream models promote als 20191101T060000Z --reason "for phones"
    """
    folder = _settled(root)
    names = [one for one in NAMES if version in version_names(folder, one)] if name == _ALL else [name]
    _tell(folder, promote(folder, names or NAMES, version, reason), as_json)


@models.command("rollback")
@_models_argument
@root_option
@json_option
def rollback_models(name: str, root: str | None, as_json: bool) -> None:
    """Make jobs use the version that was promoted before, of a model or of all models at one moment.

    Run again it goes one further back. The history is kept: `models show` prints it.

    \b
    Example: shopstream models rollback als
    """
    folder = _settled(root)
    _tell(folder, rollback(folder, NAMES if name == _ALL else [name]), as_json)


def _settled(root: str | None) -> StoragePath:
    folder = table_root(load_settings(root=root))
    recover(folder)
    return folder


def _tell(root: StoragePath, moved: Mapping[str, Alias], as_json: bool) -> None:
    if as_json:
        print_json([{"name": name, **alias.model_dump()} for name, alias in moved.items()])
        return
    for name, alias in moved.items():
        before = f"before: {alias.history[-1].version}" if alias.history else "the first"
        out.print(f"Model {name}: version {alias.version} is promoted ({before}).", soft_wrap=True)
    _print_others(root, {alias.version for alias in moved.values()})
    if not _print_stale_tables(root):
        next_step("shopstream recommend --user ID, or shopstream models list")


def _print_others(root: StoragePath, versions_of_moved: set[str]) -> None:
    """Names the models that are at another version: those of one training are made to work together."""
    for name in NAMES:
        alias = read_alias(root, name)
        if alias is not None and alias.version not in versions_of_moved:
            out.print(f"Model {name} stays at version {alias.version}; `all` moves every model.", soft_wrap=True)


def _print_stale_tables(root: StoragePath) -> bool:
    """Says which tables do not fit the models in use and how to fix it; false when all do."""
    stale = stale_tables(root)
    for one in stale:
        out.print(f"{one}.", soft_wrap=True)
    for command in dict.fromkeys(one.command for one in stale):
        next_step(f"{command} makes new models and tables of the same events; `recommend --user` needs none of it")
    return bool(stale)
