"""The `shopstream` command: registers the commands, nothing else."""

from __future__ import annotations

import os

import click

from spark_apps import __version__
from spark_apps.commands.common import Main
from spark_apps.commands.demo import demo
from spark_apps.commands.events import analyze, clean, generate, load
from spark_apps.commands.models import features, models, recommend, report, segment, train


@click.group(cls=Main, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option("--debug", is_flag=True, help="Show the stack trace of an error.")
@click.version_option(__version__, prog_name="shopstream")
def main(debug: bool) -> None:
    """E-commerce events to segments, recommendations and a report.

    \b
    First try:  shopstream demo
    Your data:  shopstream load FILE, then clean, analyze, train, report
    """
    if debug:
        os.environ["SHOPSTREAM_DEBUG"] = "true"  # a setting like the others, for everything this command starts


for command in (demo, generate, load, clean, analyze, features, segment, train, recommend, report, models):
    main.add_command(command)
