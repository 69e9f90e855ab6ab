"""metrics provision: InfluxDB made ready."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from spark_apps.commands.common import json_option, print_json, print_table
from spark_apps.metrics.provision import READER_TOKEN, WRITER_TOKEN, Role
from spark_apps.metrics.provision import provision as run_provision

_DEFAULT_URL = "http://127.0.0.1:8086"
_file = click.Path(path_type=Path, dir_okay=False)


@click.group("metrics")
def metrics() -> None:
    """Metrics in InfluxDB."""


@metrics.command()
@click.option("--url", envvar="SHOPSTREAM_INFLUXDB_URL", default=_DEFAULT_URL, show_default=True, help="InfluxDB's.")
@click.option(
    "--secrets",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("/run/shopstream/secrets"),
    show_default=True,
    help="Folder of the admin's password and token.",
)
@click.option("--writer-token", type=_file, metavar="FILE", help="Where it goes.  [default: in the secrets' folder]")
@click.option("--reader-token", type=_file, metavar="FILE", help="Where it goes.  [default: in the secrets' folder]")
@click.option("--wait", type=click.FloatRange(min=0), default=0, metavar="SECONDS", help="Wait for a starting server.")
@json_option
def provision(
    url: str, secrets: Path, writer_token: Path | None, reader_token: Path | None, wait: float, as_json: bool
) -> None:
    """Make InfluxDB's org, bucket, writer token and reader token.

    Running it again does no harm: what is right stays, a token that does not
    work or may do too much is replaced, its file too.

    \b
    Example: shopstream metrics provision --secrets .cluster/shopstream/secrets
    """
    roles = [
        Role("write", writer_token or secrets / WRITER_TOKEN),
        Role("read", reader_token or secrets / READER_TOKEN),
    ]
    done = list(run_provision(url, secrets, roles, wait))
    if as_json:
        print_json([asdict(one) for one in done])
        return
    print_table("InfluxDB", ["", "", ""], [(one.thing, one.outcome, one.note) for one in done])
