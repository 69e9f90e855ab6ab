"""How long dashboards take, on an InfluxDB and a Grafana of the cluster's images and sizes.

    python -m bench.dashboards queries --days 30          # fills a fresh InfluxDB, asks every query, says its size
    python -m bench.dashboards latency ROOT --batches 40  # streams on this machine, and watches a panel change
    python -m bench.dashboards cluster NAME --batches 40  # the same on a cluster that runs and has its models

Queries are asked of Grafana as a browser asks them, one after the other, over each dashboard's own range of time, over
a day and over all days. The latency of a batch is the time from the drop of its file until a panel shows the batch.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from bench.month import points_of_a_day
from bench.stream import prepare, spread
from spark_apps.platform.influxdb import Influx
from spark_apps.telemetry.provision import BUCKET, ORG, WRITER_TOKEN
from tests.grafana.asking import Grafana, Question, questions
from tests.grafana.servers import Pair, docker, fresh_pair

_DAY = timedelta(days=1)
_LINES_PER_REQUEST = 20_000
_ROUNDS = 3
_TICKS = 100  # a second, for programs on any Linux
_POLL_SECONDS = 0.2
_SETTLE_SECONDS, _SETTLED_LOOKS, _MOST_LOOKS = 5.0, 6, 240
# InfluxDB writes what it holds to its disk, and packs a day's files, when nothing came for this long: usually 10
# minutes and 4 hours, which a bench need not wait for.
_COLD = {"STORAGE_CACHE_SNAPSHOT_WRITE_COLD_DURATION": "10s", "STORAGE_COMPACT_FULL_WRITE_COLD_DURATION": "30s"}
_ENGINE = "/var/lib/influxdb2/engine"
_WATCHED = "Recent batches"
Times = list[tuple[Question, list[float]]]
Span = tuple[datetime | str, datetime | str]


@dataclass(frozen=True)
class Seen:
    """A batch as the panel first showed it.

    Attributes:
        batch: its number.
        waiting: files that waited behind its own.
        committed_after, seen_after: seconds from its file's drop to the commit of its tables, and to the panel.
    """

    batch: int
    waiting: int
    committed_after: float
    seen_after: float


@click.group()
def main() -> None:
    """Measure dashboards."""


@main.command()
@click.option("--days", type=int, default=30, show_default=True, help="Days of batches, one every 10 s.")
@click.option("--rounds", type=int, default=20, show_default=True, help="Times that each query is asked.")
@click.option("--keep", is_flag=True, help="Ends only when Enter is pressed: to look at the dashboards.")
def queries(days: int, rounds: int, keep: bool) -> None:
    """Fill a fresh InfluxDB, say how large it is, and ask every query of every dashboard."""
    with fresh_pair(**_COLD) as pair:
        influx, grafana = Influx(pair.influxdb, _secret(pair.secrets, WRITER_TOKEN)), _grafana(pair)
        end = datetime.now(timezone.utc).replace(microsecond=0)
        began = time.monotonic()
        written = _fill(influx, end - days * _DAY, days)
        print(f"{written:,} points of {days} days, {written // days:,} a day, in {time.monotonic() - began:.0f} s")
        print(f"on InfluxDB's disk: {_bytes_on_disk(pair) / 1e6:,.0f} MB")
        asked = [(one, board["time"]) for board in grafana.dashboards() for one in questions(board)]
        own: list[tuple[Question, Span]] = [(one, (span["from"], span["to"])) for one, span in asked]
        _measure(pair, f"each dashboard's own half hour, {rounds} times", own, rounds)
        for length in sorted({1, days}):
            spans: list[tuple[Question, Span]] = [(one, (end - length * _DAY, end)) for one, _ in asked]
            _measure(pair, f"{length} days, {_ROUNDS} times", spans, _ROUNDS)
        if keep:
            input(f"{pair.grafana}, admin, {_secret(pair.secrets, 'grafana_admin_password')}; Enter ends it. ")


@main.command()
@click.argument("root", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--batches", type=int, default=40, show_default=True, help="Files to stream.")
@click.option("--events", type=int, default=10_000, show_default=True, help="Events of a file.")
@click.option("--interval", default="10s", show_default=True, help="From one drop to the next.")
@click.option("--warm-up", type=int, default=5, show_default=True, help="First batches that do not count.")
def latency(root: Path, batches: int, events: int, interval: str, warm_up: int) -> None:
    """Stream a root's November on this machine, and see when a panel shows each batch."""
    work = root / "temp" / "bench-dashboards"
    with fresh_pair() as pair:
        prepare(root.resolve(), work)
        token = str(pair.secrets / WRITER_TOKEN)
        told = {"SHOPSTREAM_INFLUXDB_URL": pair.influxdb, "SHOPSTREAM_INFLUXDB_TOKEN_FILE": token}
        command = ["simulate", "--stream", "--root", str(work), *_drops(batches, events, interval)]
        with _running(command, os.environ | told) as process:
            seen = _watched(_grafana(pair), process, batches)
    shutil.rmtree(work)
    _print_seen(seen, warm_up, events)


@main.command()
@click.argument("name")
@click.option("--batches", type=int, default=40, show_default=True, help="Files to stream.")
@click.option("--events", type=int, default=10_000, show_default=True, help="Events of a file.")
@click.option("--interval", default="10s", show_default=True, help="From one drop to the next.")
@click.option("--warm-up", type=int, default=5, show_default=True, help="First batches that do not count.")
def cluster(name: str, batches: int, events: int, interval: str, warm_up: int) -> None:
    """Stream the next files of November on the cluster NAME, and see when a panel shows each batch."""
    command = ["submit", "--name", name, "simulate", "--stream", *_drops(batches, events, interval)]
    grafana = Grafana(_grafana_of(name), _secret(Path(".cluster") / name / "secrets", "grafana_admin_password"))
    with _running(command, dict(os.environ)) as process:
        seen = _watched(grafana, process, batches)
    _print_seen(seen, warm_up, events)


def _fill(influx: Influx, start: datetime, days: int) -> int:
    """Writes a day's points again and again; returns their number."""
    day, written = points_of_a_day(start), 0
    for number in range(days):
        shift = number * int(_DAY.total_seconds())
        for first in range(0, len(day), _LINES_PER_REQUEST):
            lines = [f"{body} {at + shift}" for body, at in day[first : first + _LINES_PER_REQUEST]]
            influx.write(ORG, BUCKET, "\n".join(lines).encode(), "s")
        written += len(day)
    return written


def _measure(pair: Pair, title: str, asked: list[tuple[Question, Span]], rounds: int) -> None:
    """Asks and prints; processor time says something on a busy machine too."""
    before = _processor_seconds(pair)
    _print(title, _ask(_grafana(pair), asked, rounds))
    taken = (_processor_seconds(pair) - before) / rounds / len(asked)
    print(f"  InfluxDB's processor time: {1000 * taken:.0f} ms a query\n")


def _processor_seconds(pair: Pair) -> float:
    """What InfluxDB has taken of all cores: fields 14 and 15 of what Linux says of its container's first process."""
    _, _, told = docker("exec", pair.container, "cat", "/proc/1/stat").rpartition(")")
    in_user, in_system = told.split()[11:13]
    return (int(in_user) + int(in_system)) / _TICKS


def _bytes_on_disk(pair: Pair) -> int:
    """The bytes of InfluxDB's files, once its log is written away and each day's files are one."""
    looks: list[tuple[int, int]] = []
    while len(looks) < _SETTLED_LOOKS or len(set(looks[-_SETTLED_LOOKS:])) > 1:
        assert len(looks) < _MOST_LOOKS, f"InfluxDB goes on writing: {looks[-_SETTLED_LOOKS:]}"
        time.sleep(_SETTLE_SECONDS)  # nothing tells when it is done
        found = docker("exec", pair.container, "find", f"{_ENGINE}/data", "-name", "*.tsm", "-printf", "%s\n").split()
        looks.append((len(found), sum(map(int, found))))
    log = docker("exec", pair.container, "find", f"{_ENGINE}/wal", "-name", "*.wal", "-size", "+0", "-printf", "%s\n")
    whole = int(docker("exec", pair.container, "du", "--block-size=1", "--summarize", _ENGINE).split()[0])
    print(f"{looks[-1][0]} files of {looks[-1][1] / 1e6:,.0f} MB; its log holds {sum(map(int, log.split())):,} bytes")
    return whole


def _drops(batches: int, events: int, interval: str) -> list[str]:
    return ["--batches", str(batches), "--events", str(events), "--interval", interval]


@contextmanager
def _running(command: Sequence[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a shopstream command beside what is done within; ends this program when it failed."""
    with subprocess.Popen([sys.executable, "-m", "spark_apps", *command], env=environment) as process:
        try:
            yield process
        finally:
            process.terminate()  # does nothing unless the watch ended before it
    if process.returncode:
        sys.exit(process.returncode)


def _watched(grafana: Grafana, process: subprocess.Popen[bytes], batches: int) -> list[Seen]:
    """When the panel of the newest batches first showed each; points of an earlier run do not count."""
    panel = next(one for board in grafana.dashboards() for one in questions(board) if one.name == _WATCHED)
    began, seen = datetime.now(timezone.utc), dict[int, Seen]()
    while len(seen) < batches:
        ended = process.poll() is not None
        rows, fault = grafana.rows(panel, began, "now")
        now = datetime.now(timezone.utc)
        assert not fault, fault
        for row in rows:
            seen.setdefault(int(row["batch"]), _seen(row, now))
        if ended:
            break  # all that it sent is there; what is not was not sent
        time.sleep(_POLL_SECONDS)
    return [one for _, one in sorted(seen.items())]


def _seen(row: dict[str, Any], now: datetime) -> Seen:
    dropped = datetime.fromtimestamp(row["_time"] / 1000, timezone.utc)
    return Seen(int(row["batch"]), int(row["lag_files"]), float(row["latency"]), (now - dropped).total_seconds())


def _print_seen(seen: list[Seen], warm_up: int, events: int) -> None:
    """Prints the ways of the batches after the first few, and after those whose files waited while Spark started."""
    caught_up = next((place for place, one in enumerate(seen) if not one.waiting), len(seen))
    counted = seen[max(warm_up, caught_up + 1) :]
    if not counted:
        raise click.ClickException(
            f"The panel showed {len(seen)} batches, but none after the stream had caught up with the files that were "
            "dropped while Spark started: give it more --batches, or a machine that does nothing else."
        )
    table = Table("way", "p50, s", "p95, s", "longest, s", title=f"{len(counted)} batches of {events:,} events")
    ways = {
        "drop to tables": [one.committed_after for one in counted],
        "drop to panel": [one.seen_after for one in counted],
    }
    for name, seconds in ways.items():
        table.add_row(name, *(f"{value:.2f}" for value in spread(seconds).values()))
    Console().print(table)


def _grafana(pair: Pair) -> Grafana:
    return Grafana(pair.grafana, _secret(pair.secrets, "grafana_admin_password"))


def _grafana_of(name: str) -> str:
    """The address of a cluster's Grafana."""
    status = [sys.executable, "-m", "spark_apps", "cluster", "status", "--name", name, "--json"]
    found = json.loads(subprocess.run(status, stdout=subprocess.PIPE, check=True).stdout)
    return str(found["urls"]["Grafana"])


def _secret(folder: Path, name: str) -> str:
    return (folder / name).read_text(encoding="utf-8").strip()


def _ask(grafana: Grafana, asked: list[tuple[Question, Span]], rounds: int) -> Times:
    """The seconds of each query over its range, some times over, all queries one after the other each time."""
    found: Times = [(one, []) for one, _ in asked]
    for _ in range(rounds):
        for (one, span), (_, seconds) in zip(asked, found, strict=True):
            seconds.append(_seconds(grafana, one, *span))
    return found


def _seconds(grafana: Grafana, question: Question, start: datetime | str, stop: datetime | str) -> float:
    """How long a query takes, with or without an answer: Grafana gives up after 30 s."""
    began = time.monotonic()
    _, fault = grafana.ask(question, start, stop)
    assert not fault or "Client.Timeout exceeded" in fault, f"{question}: {fault}"
    return time.monotonic() - began


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
    slowest = sorted(found, key=lambda pair: -spread(pair[1], 4)["p95"])[:8]
    for one, seconds in slowest:
        print(f"  {one}: {1000 * spread(seconds, 4)['p95']:.0f} ms at 95 %")


if __name__ == "__main__":
    main()
