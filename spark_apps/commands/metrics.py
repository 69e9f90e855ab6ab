"""metrics provision, push, check and platform: InfluxDB is set up, sent what it lacks, and compared."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from spark_apps.commands.cluster import name_option
from spark_apps.commands.common import FAILED, json_option, next_step, out, print_json, print_table, root_option
from spark_apps.errors import UserError
from spark_apps.platform.influxdb import Influx
from spark_apps.settings import load_settings, table_root
from spark_apps.telemetry.platform_report import PlatformNotReportedError, Report, look, moments, send
from spark_apps.telemetry.provision import BUCKET, ORG, READER_TOKEN, RETENTION_DAYS, WRITER_TOKEN, Role
from spark_apps.telemetry.provision import provision as run_provision
from spark_apps.telemetry.token_files import read_secret

if TYPE_CHECKING:
    from spark_apps.storage import StoragePath
    from spark_apps.telemetry.comparison import Compared

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

    It is safe to run again: what is right stays; a token that does not work or
    has too many rights is replaced, in its file too.

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


@metrics.command()
@root_option
@click.option("--url", help="InfluxDB's, as http://127.0.0.1:8086.  [default: none, points go to files]")
@click.option(
    "--token-file", type=_file, metavar="FILE", help="Holds a token that may write.  [default: as in the cluster]"
)
@click.option("--again", is_flag=True, help="Send everything anew, for an InfluxDB that lost its data.")
@json_option
def push(root: str | None, url: str | None, token_file: Path | None, again: bool, as_json: bool) -> None:
    """Send the points of all batches that were not sent yet.

    They are made from the stream's batch log; line-protocol files of batches
    without a record are sent too. Points that are there already are replaced by
    the same. Without a URL, points go to line-protocol files in reports/metrics/.

    \b
    Example: shopstream metrics push --url http://127.0.0.1:8086 --token-file writer_token
    """
    # these import Spark's types, for which `provision` need not wait
    from spark_apps.progress import notice, row_progress
    from spark_apps.telemetry.push import Push
    from spark_apps.telemetry.sinks import sink_of

    settings = load_settings(root=root, influxdb_url=url, influxdb_token_file=token_file)
    folder = table_root(settings)
    pushing = Push(folder, sink_of(settings, folder), again)
    with row_progress("Sending batches", pushing.total) as show:
        for done in pushing.steps():
            show(done)
    sent = pushing.outcome()
    if as_json:
        print_json(asdict(sent))
        return
    files = f" and {sent.files:,} files" if sent.files else ""
    out.print(f"Sent {sent.batches:,} batches{files} with {sent.points:,} points to {sent.sink}.", soft_wrap=True)
    if sent.expired:
        notice(f"InfluxDB refused {sent.expired:,} of these points: they are older than {RETENTION_DAYS} days.")
    if not settings.influxdb_url:
        next_step("shopstream metrics push --url URL --token-file FILE, when there is an InfluxDB")


@metrics.command()
@name_option
@root_option
@click.option("--url", help="InfluxDB's, as http://127.0.0.1:8086; goes with --token-file.  [default: the cluster's]")
@click.option("--token-file", type=_file, metavar="FILE", help="Holds a token that may read; - is standard input.")
@json_option
def check(name: str, root: str | None, url: str | None, token_file: Path | None, as_json: bool) -> None:
    """Compare what InfluxDB holds with what the stream's batch log says.

    Point by point and value by value: every batch that was sent and is young
    enough to be kept. Without --token-file, in the cluster on this machine.
    Changes nothing. Ends with exit code 1 when a point is missing, too many, or
    other than it must be.

    \b
    Example: shopstream metrics check
    """
    if token_file is None:
        sys.exit(_check_in_cluster(name, root, url, as_json))
    settings = load_settings(root=root, influxdb_url=url)
    if not settings.influxdb_url:
        raise UserError("--url and --token-file go together: give both, or none for the cluster on this machine.")
    token = sys.stdin.readline().strip() if str(token_file) == "-" else read_secret(token_file)
    compared = _compare(table_root(settings), Influx(settings.influxdb_url, token))
    if as_json:
        print_json({**asdict(compared), "equal": not compared.wrong})
    else:
        _print(compared)
    sys.exit(FAILED if compared.wrong else 0)


def _check_in_cluster(name: str, root: str | None, url: str | None, as_json: bool) -> int:
    """Runs the check in the client, where the batch log is read; the reader's token goes there by standard input."""
    from spark_apps.cluster.compose.project import CLIENT
    from spark_apps.commands.monitoring import monitored, reader_token

    if url is not None:
        raise UserError("--url and --token-file go together: give both, or none for the cluster on this machine.")
    compose = monitored(name)
    compose.running(CLIENT)
    words = ["metrics", "check", "--token-file", "-", *(["--root", root] if root else []), *(["--json"] * as_json)]
    process = compose.start("exec", "-T", CLIENT, "shopstream", *words, stdin=subprocess.PIPE)
    process.communicate(f"{reader_token(compose)}\n")
    return process.returncode


def _compare(root: StoragePath, influx: Influx) -> Compared:
    from spark_apps.progress import row_progress
    from spark_apps.telemetry.comparison import Comparing

    if not influx.may_read(ORG, BUCKET):
        raise UserError(
            f"The token may not read {ORG}/{BUCKET} at {influx.url}: take the reader's, which "
            "`shopstream metrics provision` makes."
        )
    comparing = Comparing(root, influx)
    with row_progress("Comparing batches", comparing.total) as show:
        for done in comparing.steps():
            show(done)
    return comparing.outcome


def _print(compared: Compared) -> None:
    rows = [
        (one.measurement, one.expected, one.found, one.differing, one.first) for one in compared.comparisons.values()
    ]
    columns = ["measurement", "batch log", "InfluxDB", "differ", "first batch"]
    print_table(f"Points of {compared.batches:,} batches", columns, rows)
    if compared.too_old:
        out.print(f"Not compared: {compared.too_old:,} batches so old that InfluxDB may have dropped them.")
    if compared.waiting:
        out.print(f"Not sent yet: {compared.waiting:,} batches. A stream sends them, or `shopstream metrics push`.")
    if compared.wrong:
        out.print("To fix: `shopstream metrics push --again`, which replaces every point by what it must be.")
    else:
        next_step("shopstream check, for the tables")


@metrics.command()
@click.option("--url", envvar="SHOPSTREAM_INFLUXDB_URL", default=_DEFAULT_URL, show_default=True, help="InfluxDB's.")
@click.option("--token-file", type=_file, required=True, metavar="FILE", help="Holds a token that may write.")
@click.option("--namenode", default="http://namenode:9870", show_default=True, help="The NameNode's pages.")
@click.option("--master", default="http://spark-master:8080", show_default=True, help="The Spark master's pages.")
@click.option(
    "--interval", type=click.FloatRange(min=1), default=10, show_default=True, help="Seconds from one to the next."
)
@click.option("--once", is_flag=True, help="Report once, and show what was reported.")
def platform(url: str, token_file: Path, namenode: str, master: str, interval: float, once: bool) -> None:
    """Report the state of HDFS and Spark to InfluxDB at regular intervals.

    A server that does not answer is reported as down. In a cluster the service
    platform-metrics runs this; Grafana shows it and raises alerts.

    \b
    Example: shopstream metrics platform --token-file writer_token --once
    """
    if once:
        report = look(namenode, master, int(time.time()))
        send(Influx(url, read_secret(token_file)), report)
        rows = [(name, key, value) for name, figures in report.figures.items() for key, value in figures.items()]
        print_table("Platform", ["measurement", "field", "value"], rows)
        return
    said: set[str] = set()
    for moment in moments(interval):
        report = look(namenode, master, moment)
        faults = {f"{name}: {fault}" for name, fault in report.faults.items()} | _fault_of(url, token_file, report)
        for fault in sorted(faults - said):  # once, not every ten seconds
            click.echo(fault, err=True)
        said = faults


def _fault_of(url: str, token_file: Path, report: Report) -> set[str]:
    """Sends a report; returns why it did not arrive, if it did not: the next one will say how things stand."""
    try:
        send(Influx(url, read_secret(token_file)), report)  # read each time: `provision` may have replaced it
    except PlatformNotReportedError as error:
        return {str(error)}
    return set()
