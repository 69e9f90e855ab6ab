"""report: one HTML page of everything that was computed."""

from __future__ import annotations

import click

from spark_apps.commands.common import (
    engine_options,
    next_step,
)
from spark_apps.engine.opening import open_engine
from spark_apps.jobs import report as report_job
from spark_apps.progress import step
from spark_apps.settings import load_settings, table_root


@click.command()
@engine_options
def report(root: str | None, engine: str | None, master: str | None) -> None:
    """Write one HTML page with charts of everything computed so far.

    \b
    Example: shopstream report
    """
    settings = load_settings(root=root, engine=engine, master=master)
    with open_engine(settings, "report") as opened, step("Report"):
        page = report_job.run(opened, table_root(settings))
    click.echo(page)
    next_step("open it in a browser; it needs no network")
