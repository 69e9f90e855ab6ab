"""load: raw rows of event logs, landed by date."""

from __future__ import annotations

from pathlib import Path

import click

from spark_apps.commands.common import (
    json_option,
    next_step,
    print_json,
    print_table,
    root_option,
)
from spark_apps.jobs import load as load_job
from spark_apps.settings import load_settings, table_root


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@root_option
@json_option
def load(files: tuple[Path, ...], root: str | None, as_json: bool) -> None:
    """Land the raw rows of event logs (CSV or CSV.gz) by date.

    A file that was loaded before changes nothing; `shopstream unload` takes one
    out again.

    \b
    Example: shopstream load 2019-Oct.csv
    """
    landed = load_job.run(table_root(load_settings(root=root)), files)
    if as_json:
        print_json([{**manifest.model_dump(), "new": new} for manifest, new in landed])
        return
    rows = [
        (
            m.file,
            m.rows,
            len(m.rows_per_date),
            f"{m.bytes / 1e6:,.1f} MB",
            m.sha256[:12],
            "new" if new else "was there",
        )
        for m, new in landed
    ]
    print_table("Landed", ["file", "rows", "dates", "size", "SHA-256", ""], rows)
    next_step("shopstream clean")
