"""generate: synthetic events, calibrated on a real shop's log."""

from __future__ import annotations

from pathlib import Path

import click

from spark_apps.commands.common import (
    next_step,
)
from spark_apps.jobs import generate as generate_job
from spark_apps.progress import step
from spark_apps.settings import load_settings


@click.command()
@click.option("--events", type=click.IntRange(min=1), default=300_000, show_default=True, help="Number of events.")
@click.option("--month", default="2019-10", show_default=True, help="Month in which they happen.")
@click.option("--seed", type=int, help="Seed: the same seed gives the same bytes.  [default: 42]")
@click.option("--users", type=click.IntRange(min=1), help="Users to spread them over.  [default: as in real October]")
@click.option("--removals", type=float, default=0.0, show_default=True, help="Share of carts that are emptied again.")
@click.option(
    "--output", type=click.Path(path_type=Path), default=Path(), show_default=True, help="Folder to write to."
)
@click.option("--gzip", "compress", is_flag=True, help="Compress the file.")
def generate(
    events: int,
    month: str,
    seed: int | None,
    users: int | None,
    removals: float,
    output: Path,
    compress: bool,
) -> None:
    """Make synthetic events, calibrated on a real shop's log.

    \b
    Example: shopstream generate --events 2000000 --month 2019-10 --output .
    """
    seed = load_settings(seed=seed).seed
    with step("Generating") as shown:
        target = generate_job.run(events, month, seed, users, removals, output, compress)
        shown.done = f"{events:,} synthetic events, seed {seed}"
    click.echo(target)
    next_step(f"shopstream load {target}")
