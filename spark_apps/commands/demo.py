"""demo: the whole batch path with one command."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path

import click

from spark_apps.commands.common import next_step
from spark_apps.commands.stream import tell_batch
from spark_apps.engine.session import spark_session
from spark_apps.jobs import demo as demo_job
from spark_apps.progress import step
from spark_apps.settings import load_settings, local_root


@click.command()
@click.option("--input", "files", multiple=True, type=click.Path(path_type=Path), help="Event logs of your own.")
@click.option("--events", type=click.IntRange(min=1), default=300_000, show_default=True, help="Synthetic events.")
@click.option("--root", default="data/demo", show_default=True, help="Folder; an earlier demo in it is replaced.")
@click.option("--master", metavar="URL", help="Spark master.  [default: local[*]]")
@click.option("--seed", type=int, help="Of everything random.  [default: 42]")
def demo(files: tuple[Path, ...], events: int, root: str, master: str | None, seed: int | None) -> None:
    """Turn events into segments, recommendations and a report, on this machine.

    Of synthetic events, the first of the next month are streamed too, before the report.

    \b
    Example: shopstream demo --input 2019-Oct.csv
    """
    started = time.monotonic()
    settings = load_settings(root=root, master=master, seed=seed)
    folder = local_root(settings)
    demo_job.prepare_root(folder)
    demo_job.land_input(settings, folder, files, events)
    demo_job.run(settings, folder)
    with ExitStack() as stack:
        if not files:
            with step("Starting Spark"):
                spark = stack.enter_context(spark_session(settings, "demo"))
            demo_job.run_november(spark, settings, folder, events, tell_batch)
        page = demo_job.make_report(settings)
    click.echo(f"\nDone in {time.monotonic() - started:.0f} s. Report: {page}")
    after = "models list" if files else "simulate --stream --interval 2s"
    next_step(f"open the report, then try: shopstream {after} --root {root}")
