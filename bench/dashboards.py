"""How long dashboards take, on servers that are named by SHOPSTREAM_TEST_GRAFANA as for tests/cluster/browser.

    python -m bench.dashboards queries --days 30 --yes    # empties the bucket, fills it, asks every query
    python -m bench.dashboards latency ROOT --batches 40  # streams, and watches a panel change

Queries are asked of Grafana as a browser asks them, one after the other, over each dashboard's own range of time and
over all days. The latency of a batch is the time from the drop of its file until a panel's value says its number.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bench.stream import prepare, records_of, spread
from spark_apps.metrics.connection import Influx
from spark_apps.metrics.points import lines_of, points_of
from spark_apps.metrics.provision import BUCKET, ORG, WRITER_TOKEN
from tests.grafana.asking import Grafana, Question, questions
from tests.grafana.made_up import INTERVAL, batch_record, platform_report

_SERVERS = "SHOPSTREAM_TEST_GRAFANA"
_TARGET = {"org": ORG, "bucket": BUCKET, "precision": "s"}
_HOUR = timedelta(hours=1)
_LINES_PER_REQUEST = 20_000
_POLL_SECONDS = 0.2
_WATCHED = "Last batch"
Times = list[tuple[Question, list[float]]]


@dataclass(frozen=True)
class Servers:
    """Grafana, InfluxDB, and the file of the token that may write."""

    grafana: Grafana
    influx: Influx
    token: Path


@click.group()
def main() -> None:
    """Measure dashboards on servers that are there for it."""


@main.command()
@click.option("--days", type=int, default=30, show_default=True, help="Days of batches, one every 10 s.")
@click.option("--rounds", type=int, default=20, show_default=True, help="Times that each query is asked.")
@click.option("--yes", is_flag=True, required=True, help="Empty the bucket first.")
def queries(days: int, rounds: int, yes: bool) -> None:
    """Fill a bucket, then ask every query of every dashboard."""
    servers = _servers()
    end = datetime.now(timezone.utc).replace(microsecond=0)
    began = time.monotonic()
    lines = _fill(servers, end - timedelta(days=days), end)
    print(f"{lines:,} points of {days} days, {lines // days:,} a day, written in {time.monotonic() - began:.0f} s")
    _print("each dashboard's own half hour", _ask_own(servers.grafana, rounds))
    _print(f"all {days} days", _ask_over(servers.grafana, end - timedelta(days=days), end))
    print(f"on InfluxDB's disk by now: {_bytes_on_disk(servers.influx) / 1e6:,.0f} MB")


@main.command()
@click.argument("root", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--batches", type=int, default=40, show_default=True, help="Files to stream.")
@click.option("--events", type=int, default=10_000, show_default=True, help="Events of a file.")
@click.option("--warm-up", type=int, default=5, show_default=True, help="First batches that do not count.")
def latency(root: Path, batches: int, events: int, warm_up: int) -> None:
    """Stream a root's November, and see when a panel says so."""
    servers = _servers()
    work = root / "temp" / "bench-dashboards"
    prepare(root.resolve(), work)
    told = {"SHOPSTREAM_INFLUXDB_URL": servers.influx.url, "SHOPSTREAM_INFLUXDB_TOKEN_FILE": str(servers.token)}
    command = [sys.executable, "-m", "spark_apps", "simulate", "--stream", "--root", str(work)]
    command += ["--batches", str(batches), "--events", str(events)]
    watched = (one for dashboard in servers.grafana.dashboards() for one in questions(dashboard))
    panel = next(one for one in watched if one.name == _WATCHED)
    with subprocess.Popen(command, env=os.environ | told) as process:
        try:
            seen = _watched(servers.grafana, panel, process, batches)
        finally:
            process.terminate()  # does nothing unless the watch ended before it
    if process.returncode:
        sys.exit(process.returncode)
    records = [record for record in records_of(work) if record.batch >= warm_up and record.batch in seen]
    ways = {
        "drop to tables": [record.latency for record in records],
        "drop to panel": [(seen[record.batch] - record.dropped_at).total_seconds() for record in records],
    }
    table = Table("way", "p50, s", "p95, s", "longest, s", title=f"{len(records)} batches of {events:,} events")
    for name, seconds in ways.items():
        table.add_row(name, *(f"{value:.2f}" for value in spread(seconds).values()))
    Console().print(table)
    shutil.rmtree(work)


def _servers() -> Servers:
    given = os.environ.get(_SERVERS, "").split()
    if len(given) != 3:
        raise click.UsageError(f"Set {_SERVERS} to Grafana's URL, InfluxDB's URL and a folder of secrets.")
    grafana, influx, folder = given
    token = Path(folder) / WRITER_TOKEN
    password = (Path(folder) / "grafana_admin_password").read_text(encoding="utf-8").strip()
    return Servers(Grafana(grafana, password), Influx(influx, token.read_text(encoding="utf-8").strip()), token)


def _fill(servers: Servers, start: datetime, end: datetime) -> int:
    """Empties the bucket and writes batches and reports, one of each every 10 s; returns the number of points."""
    everything = {"start": "1970-01-01T00:00:00Z", "stop": "2200-01-01T00:00:00Z"}
    servers.influx.call("POST", "/api/v2/delete", params=_TARGET, json=everything)
    hour, written = _hour(start), 0
    for number in range(int((end - start) / _HOUR)):
        shift = number * int(_HOUR.total_seconds())
        lines = [f"{body} {at + shift}" for body, at in hour]
        for first in range(0, len(lines), _LINES_PER_REQUEST):
            body = "\n".join(lines[first : first + _LINES_PER_REQUEST]).encode()
            servers.influx.call("POST", "/api/v2/write", params=_TARGET, data=body)
        written += len(lines)
    return written


def _hour(start: datetime) -> list[tuple[str, int]]:
    """An hour's points, which are repeated: what stands before the time, and the time, Unix seconds."""
    moments = [start + number * INTERVAL for number in range(int(_HOUR / INTERVAL))]
    nanoseconds = [
        line.rpartition(" ")
        for number, moment in enumerate(moments)
        for line in lines_of(points_of(batch_record(number, moment))).decode().splitlines()
    ]
    seconds = [line.rpartition(" ") for moment in moments for line in platform_report(moment).lines().splitlines()]
    return [(body, int(at) // 10**9) for body, _, at in nanoseconds] + [(body, int(at)) for body, _, at in seconds]


def _bytes_on_disk(influx: Influx) -> float:
    """What InfluxDB says of the sizes of its shards."""
    text = influx.ask("GET", "/metrics").text
    return sum(float(line.split()[-1]) for line in text.splitlines() if line.startswith("storage_shard_disk_size{"))


def _ask_own(grafana: Grafana, rounds: int) -> Times:
    """The seconds of each query over its dashboard's own range, some times over."""
    asked = [(one, dashboard["time"]) for dashboard in grafana.dashboards() for one in questions(dashboard)]
    own: Times = [(one, []) for one, _ in asked]
    for _ in range(rounds):
        for (one, span), (_, seconds) in zip(asked, own, strict=True):
            seconds.append(_seconds(grafana, one, span["from"], span["to"]))
    return own


def _ask_over(grafana: Grafana, start: datetime, end: datetime) -> Times:
    """The seconds of each query over a range, once."""
    asked = [one for dashboard in grafana.dashboards() for one in questions(dashboard)]
    return [(one, [_seconds(grafana, one, start, end)]) for one in asked]


def _seconds(grafana: Grafana, question: Question, start: datetime | str, stop: datetime | str) -> float:
    """How long a query takes, with or without an answer: Grafana gives up after 30 s."""
    began = time.monotonic()
    _, fault = grafana.ask(question, start, stop)
    assert not fault or "Client.Timeout exceeded" in fault, f"{question}: {fault}"
    return time.monotonic() - began


def _watched(grafana: Grafana, panel: Question, process: subprocess.Popen[bytes], batches: int) -> dict[int, datetime]:
    """When the panel first said each batch's number, or a later one's; points of an earlier run do not count."""
    began = datetime.now(timezone.utc)
    seen: dict[int, datetime] = {}
    while process.poll() is None or not seen.get(batches - 1):
        frames, fault = grafana.frames(panel, began, "now")
        assert not fault, fault
        last = max((int(value) for columns in frames if columns for value in columns[-1]), default=-1)
        now = datetime.now(timezone.utc)
        for batch in range(max(seen, default=-1) + 1, last + 1):
            seen[batch] = now
        if process.poll() is not None and last < batches - 1:
            break  # its last points were not sent
        time.sleep(_POLL_SECONDS)
    return seen


def _print(title: str, found: Times) -> None:
    by_dashboard: dict[str, list[list[float]]] = defaultdict(list)
    for one, seconds in found:
        by_dashboard[one.dashboard].append(seconds)
        by_dashboard["all"].append(seconds)
    table = Table("dashboard", "queries", "p50, ms", "p95, ms", "longest, ms", title=title)
    for name, asked in sorted(by_dashboard.items()):
        figures = spread([value for seconds in asked for value in seconds], 4).values()
        table.add_row(name, str(len(asked)), *(f"{1000 * value:.0f}" for value in figures))
    Console().print(table)
    slowest = sorted(found, key=lambda pair: -spread(pair[1], 4)["p95"])[:5]
    for one, seconds in slowest:
        print(f"  {one}: {1000 * spread(seconds, 4)['p95']:.0f} ms at 95 %")


if __name__ == "__main__":
    main()
