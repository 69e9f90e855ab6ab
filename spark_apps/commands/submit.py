"""submit: a job on the running cluster."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from spark_apps.cluster.operations import submit as submission
from spark_apps.commands.cluster import inventory_option, name_option, open_compose


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@name_option
@inventory_option
@click.argument("job")
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF JOB]...")
def submit(name: str, inventory: Path | None, job: str, options: tuple[str, ...]) -> None:
    """Run a shopstream command in the cluster, such as clean or train.

    It fails at once if no worker has room for it. Ctrl-C stops the job.

    \b
    Example: shopstream submit train --seed 7
    """
    compose = open_compose(name, inventory)
    sys.exit(submission.submit(compose, job, options, lambda text: click.echo(text, err=True)))
