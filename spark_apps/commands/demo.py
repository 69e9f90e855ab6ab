"""demo: the whole batch path with one command."""

from __future__ import annotations

import time
from pathlib import Path

import click

from spark_apps.commands.common import next_step, seed_option
from spark_apps.commands.stream import tell_batch
from spark_apps.engine.opening import open_engine
from spark_apps.jobs import demo as demo_job
from spark_apps.settings import load_settings, local_root


@click.command()
@click.option("--input", "files", multiple=True, type=click.Path(path_type=Path), help="Event logs of your own.")
@click.option("--events", type=click.IntRange(min=1), default=300_000, show_default=True, help="Synthetic events.")
@click.option("--root", default="data/demo", show_default=True, help="Folder; an earlier demo in it is replaced.")
@seed_option
def demo(files: tuple[Path, ...], events: int, root: str, seed: int | None) -> None:
    """Turn events into segments, recommendations and a report, on this machine.

    Of synthetic events, the first of the next month are streamed too, before the report.

    \b
    Example: shopstream demo --input 2019-Oct.csv
    """
    started = time.monotonic()
    settings = load_settings(root=root, seed=seed)
    folder = local_root(settings)
    demo_job.prepare_root(folder)
    demo_job.land_input(settings, folder, files, events)
    with open_engine(settings, "demo") as engine:
        demo_job.run(engine, settings, folder)
        if not files:
            demo_job.run_november(engine, settings, folder, events, tell_batch)
        page = demo_job.make_report(engine, settings)
    click.echo(f"\nDone in {time.monotonic() - started:.0f} s. Report: {page}")
    after = "models list" if files else "simulate --stream --interval 2s"
    next_step(f"open the report, then try: shopstream {after} --root {root}")
