"""The `shopstream` command: names the commands and where they are, nothing else."""

from __future__ import annotations

import os

import click

from spark_apps import __version__
from spark_apps.commands.lazy import LazyGroup
from spark_apps.output import take_every_character
from spark_apps.runtime.threads import one_native_thread

# before a command is imported, and NumPy with it
one_native_thread()
take_every_character()

# Imported when one is called: a command waits for no other's libraries.
COMMANDS = (
    "demo",
    "generate",
    "load",
    "unload",
    "clean",
    "quarantine",
    "analyze",
    "features",
    "segment",
    "train",
    "evaluate",
    "recommend",
    "report",
    "check",
    "simulate",
    "stream",
    "watch",
    "models",
    "cluster",
    "submit",
    "hdfs",
    "metrics",
    "alerts",
)


@click.group(
    cls=LazyGroup,
    modules={name: f"spark_apps.commands.{name}" for name in COMMANDS},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option("--debug", is_flag=True, help="Show the stack trace of an error.")
@click.version_option(__version__, prog_name="shopstream")
def main(debug: bool) -> None:
    """E-commerce events to segments, recommendations and a report.

    \b
    First try:  shopstream demo
    Your data:  shopstream load FILE, then clean, analyze, train, report
    A cluster:  shopstream cluster up, then cluster load FILE, submit train
    """
    if debug:
        os.environ["SHOPSTREAM_DEBUG"] = "true"  # a setting like the others, for everything this command starts
