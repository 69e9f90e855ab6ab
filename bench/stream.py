"""The stream on one machine: `python -m bench.stream ROOT --batches 100 --events 10000` (make bench-stream).

ROOT is the root of a training, with a November landed in it: the bench streams in a copy of what it needs. Each batch's
times come from its record. Memory is what the stream's process holds in RAM: its proportional set size (PSS).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import click
import numpy as np
import psutil
from rich.console import Console
from rich.table import Table

from spark_apps.streaming.records import BatchRecord
from spark_apps.tables import BATCH_LOG

_MB = 1e6
_SAMPLE_SECONDS = 1.0
# files that always wait: then no batch has caught up
_WITHOUT_PAUSE = "0s"


@click.command()
@click.argument("root", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--batches", type=int, default=100, show_default=True, help="Files to stream.")
@click.option("--events", type=int, default=10_000, show_default=True, help="Events of a file.")
@click.option("--interval", default="10s", show_default=True, help="From one drop to the next; 0s for none.")
@click.option(
    "--warm-up",
    type=int,
    default=5,
    show_default=True,
    help="First batches that no figure counts, or more until the stream has caught up.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def main(root: Path, batches: int, events: int, interval: str, warm_up: int, as_json: bool) -> None:
    """Stream files and say how long batches, steps and the way from drop to tables took."""
    work = root / "temp" / "bench-stream"
    prepare(root.resolve(), work)
    command = [sys.executable, "-m", "spark_apps", "simulate", "--stream", "--root", str(work)]
    command += ["--batches", str(batches), "--events", str(events)]
    command += ["--speed", "max", "--ahead", "1"] if interval == _WITHOUT_PAUSE else ["--interval", interval]
    with _memory_of(subprocess.Popen(command)) as samples:
        pass
    records = records_of(work)
    steady = records[warm_up:] if interval == _WITHOUT_PAUSE else _steady(records, warm_up)
    found = {**_figures(steady or records[-1:]), "memory": _memory(samples, records)}
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        _print(found)
    shutil.rmtree(work)


def prepare(root: Path, work: Path) -> None:
    """Makes a root beside the given one: its models and tables by links, its stream its own."""
    shutil.rmtree(work, ignore_errors=True)
    (work / "processed").mkdir(parents=True)
    for name in ("raw", "models"):
        (work / name).symlink_to(root / name)
    for table in (root / "processed").iterdir():
        if not table.name.startswith("stream_"):
            (work / "processed" / table.name).symlink_to(table)


@dataclass(frozen=True)
class Sample:
    """Memory of the stream at one moment."""

    taken_at: datetime
    bytes: int


@contextmanager
def _memory_of(process: subprocess.Popen[bytes]) -> Iterator[list[Sample]]:
    """Samples the memory of a process's children, the stream, until it ends."""
    samples: list[Sample] = []
    over = threading.Event()

    def sample() -> None:
        while not over.wait(_SAMPLE_SECONDS):
            samples.append(_sampled(psutil.Process(process.pid).children(recursive=True)))

    watcher = threading.Thread(target=sample, daemon=True)
    watcher.start()
    code = process.wait()
    over.set()
    watcher.join()
    if code:
        sys.exit(code)
    yield samples


def _sampled(processes: Sequence[psutil.Process]) -> Sample:
    held = 0
    for one in processes:
        with suppress(psutil.NoSuchProcess):  # it ended between the two looks
            held += one.memory_full_info().pss
    return Sample(datetime.now(timezone.utc), held)


def records_of(work: Path) -> list[BatchRecord]:
    return [BatchRecord.model_validate_json(path.read_bytes()) for path in sorted((work / BATCH_LOG).glob("*.json"))]


def _steady(records: Sequence[BatchRecord], warm_up: int) -> Sequence[BatchRecord]:
    """The batches after the first few and after those whose files were dropped while the stream started."""
    caught_up = next((place for place, record in enumerate(records) if record.lag_files == 0), len(records) - 1)
    return records[max(warm_up, caught_up + 1) :] or records[-1:]


def _figures(records: Sequence[BatchRecord]) -> dict[str, object]:
    steps = {name for record in records for name in record.seconds}
    whole = [record.duration for record in records]
    latency = [record.latency for record in records]
    began, ended = records[0].committed_at, records[-1].committed_at
    events = sum(record.clean for record in records[1:])
    return {
        "batches": len(records),
        "seconds": {
            **{name: spread([record.seconds.get(name, 0.0) for record in records]) for name in sorted(steps)},
            "whole batch": spread(whole),
            "drop to tables": spread(latency),
        },
        "events_per_second": round(events / max(1e-9, (ended - began) / timedelta(seconds=1))),
        "hit_rate": {
            name: round(
                sum(record.relevance[name].hits for record in records if record.relevance)
                / max(1, sum(record.relevance[name].trials for record in records if record.relevance)),
                4,
            )
            for name in ("updated", "static", "popularity")
        },
        "change_rate": spread([record.change_rate for record in records], 4),
        "largest_shift": max(record.shift for record in records),
    }


def spread(values: Sequence[float], digits: int = 2) -> dict[str, float]:
    p50, p95 = np.quantile(values, [0.5, 0.95])
    return {"p50": round(float(p50), digits), "p95": round(float(p95), digits), "max": round(max(values), digits)}


def _memory(samples: Sequence[Sample], records: Sequence[BatchRecord]) -> dict[str, float]:
    """Mean memory, MB, in batches 20 to 40 and the last 20, by how much the latter is more, and the most."""

    def mean(part: Sequence[BatchRecord]) -> float:
        inside = [one for one in samples if part[0].committed_at <= one.taken_at <= part[-1].committed_at]
        return float(np.mean([one.bytes for one in inside or samples[-1:]])) / _MB

    before, after = mean(records[20:40] or records), mean(records[-20:])
    return {
        "batches 20 to 40": round(before),
        "last 20": round(after),
        "growth": round(after / before - 1, 3),
        "most": round(max(one.bytes for one in samples) / _MB),
    }


def _print(found: dict[str, object]) -> None:
    console = Console()
    table = Table("step", "p50, s", "p95, s", "max, s", title=f"{found['batches']} batches")
    seconds = found["seconds"]
    assert isinstance(seconds, dict)
    for name, one in seconds.items():
        table.add_row(name, *(f"{one[key]:.2f}" for key in ("p50", "p95", "max")))
    console.print(table)
    for name, value in found.items():
        if name not in ("batches", "seconds"):
            console.print(f"{name}: {value}")


if __name__ == "__main__":
    main()
