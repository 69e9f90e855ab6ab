"""unload: takes a loaded file out again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import click

from spark_apps.commands.common import json_option, next_step, out, print_json, print_table, root_option
from spark_apps.ingestion.loaded_files import rows_in_words
from spark_apps.ingestion.manifests import Manifest
from spark_apps.jobs import unload as unload_job
from spark_apps.settings import load_settings, table_root

_SHOWN_VERSIONS = 3


@click.command()
@click.argument("files", nargs=-1, metavar="[FILE]...")
@click.option("--list", "listing", is_flag=True, help="Show what is loaded and change nothing, as without FILE.")
@root_option
@json_option
def unload(files: tuple[str, ...], listing: bool, root: str | None, as_json: bool) -> None:
    """Take loaded files out again; without FILE, show what is loaded.

    FILE is the name that `load` showed, the path of a file with the same
    content, or the beginning of its SHA-256. Its raw rows go; the next
    `shopstream clean` makes its dates anew, of what other files have of them.

    \b
    Example: shopstream unload 2019-Oct.csv
    """
    folder = table_root(load_settings(root=root))
    if listing and files:
        raise click.UsageError("--list shows what is loaded: it goes without FILE.")
    if not files:
        _list(unload_job.loaded(folder), as_json)
        return
    done = unload_job.run(folder, files)
    if as_json:
        print_json(_as_json(done))
        return
    _print(done)


def _list(manifests: Sequence[Manifest], as_json: bool) -> None:
    if as_json:
        print_json([one.model_dump() for one in manifests])
        return
    if not manifests:
        out.print("No file is loaded.")
        next_step("shopstream load FILE")
        return
    rows = [
        (one.file, one.rows, _dates(one.dates()), one.landed_at[:16].replace("T", " "), one.sha256[:12])
        for one in manifests
    ]
    print_table("Loaded", ["file", "rows", "dates", "loaded at, UTC", "SHA-256"], rows)


def _dates(days: Sequence[date | None]) -> str:
    dated = [day for day in days if day is not None]
    spans = f"{len(dated):,}: {dated[0]} to {dated[-1]}" if len(dated) > 1 else "".join(map(str, dated))
    return ", ".join([*([spans] if spans else []), *(["no date"] if None in days else [])])


def _print(done: unload_job.Unloaded) -> None:
    for file in done.files:
        out.print(
            f"Taken out: {file.file}, {rows_in_words(file.rows)} ({_dates(file.dates())}).",
            soft_wrap=True,
            markup=False,
        )
    if done.cleaned_dates:
        out.print(
            f"Tables events and quarantine still have its dates ({_dates(done.cleaned_dates)}): "
            "`shopstream clean` makes them anew.",
            soft_wrap=True,
        )
    if done.tables:
        out.print(f"Made with its dates: {', '.join(done.tables)}.", soft_wrap=True)
    for version, names in list(done.versions.items())[-_SHOWN_VERSIONS:]:
        out.print(f"Trained with its dates: version {version} of {', '.join(names)}.", soft_wrap=True)
    if len(done.versions) > _SHOWN_VERSIONS:
        out.print(f"So were {len(done.versions) - _SHOWN_VERSIONS:,} older versions.", soft_wrap=True)
    if done.replay is not None:
        out.print(
            f"The replay of {done.replay.month:%Y-%m} took in its rows: {done.replay.position.rows:,} of "
            f"{done.replay.rows:,} events are dropped, the stream's tables keep them, and the next "
            "`shopstream simulate` begins anew with --again.",
            soft_wrap=True,
        )
    if done.streamed:
        out.print(
            "The stream began with the events of its dates and keeps them: to leave them out, remove "
            "processed/stream_* and temp/stream after the training, and replay with `shopstream simulate`.",
            soft_wrap=True,
        )
    then = ", then shopstream train" if done.tables or done.versions else ""
    next_step(f"shopstream clean{then}" if done.cleaned_dates else "shopstream load FILE")


def _as_json(done: unload_job.Unloaded) -> dict[str, object]:
    return {
        "files": [one.model_dump() for one in done.files],
        "cleaned_dates": [None if day is None else day.isoformat() for day in done.cleaned_dates],
        "tables": done.tables,
        "versions": done.versions,
        "replay": None if done.replay is None else f"{done.replay.month:%Y-%m}",
        "streamed": done.streamed,
    }
