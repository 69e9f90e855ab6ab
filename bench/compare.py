"""Our batch path beside its peers, on the same generated events, in turn: `make bench`.

Each peer is a script that takes EVENTS.csv and WORKDIR and prints, last, one JSON line with `stages`
(seconds per stage) and `total`. Prints a table with ratios and writes JSON.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import sys
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from bench.processes import measure
from spark_apps import __version__
from spark_apps.jobs import generate

HERE = Path(__file__).resolve().parent
SEED = 42
MONTH = "2019-10"
# What every contestant does; start and load stand apart.
COMPARED = ("clean", "features", "segments", "index", "als", "rmse", "recommend")
PEERS = {"recipe": "seed_recipe.py", "duckdb": "peer_duckdb_implicit.py"}


@click.command()
@click.option("--events", type=int, default=2_000_000, show_default=True, help="Synthetic events.")
@click.option("--runs", type=int, default=1, show_default=True, help="Runs of each; the median is shown.")
@click.option("--peers", type=click.Path(path_type=Path), default=HERE.parents[1] / "shared" / "bench", help="Folder.")
@click.option("--work", type=click.Path(path_type=Path), default=Path("data/bench"), show_default=True)
@click.option("--only", multiple=True, help="ours, ours-spark, recipe or duckdb; may be repeated.  [default: all]")
def main(events: int, runs: int, peers: Path, work: Path, only: tuple[str, ...]) -> None:
    """Time our batch path and its peers on the same events."""
    work.mkdir(parents=True, exist_ok=True)
    log = generate.run(events, MONTH, SEED, None, 0.0, work, compress=False)
    ours = [sys.executable, "-m", "bench.pipeline", str(log)]
    commands = {"ours": [*ours, str(work / "ours"), "local"], "ours-spark": [*ours, str(work / "ours-spark"), "spark"]}
    for name, script in PEERS.items():
        if (peers / script).exists():
            commands[name] = [sys.executable, str(peers / script), str(log), str(work / name)]
        else:
            click.echo(f"{name} is left out: there is no {peers / script}", err=True)
    chosen = {name: command for name, command in commands.items() if not only or name in only}
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in chosen}
    for _ in range(runs):
        for name, command in chosen.items():
            results[name].append(_run(name, command))
    target = work / f"bench-{events}.json"
    target.write_text(json.dumps(_record(events, results), indent=1), encoding="utf-8")
    _print(events, results)
    click.echo(f"Written to {target}")


def _run(name: str, command: list[str]) -> dict[str, Any]:
    click.echo(f"running {name} ...", err=True)
    measured = measure(command, {**os.environ, "THREADS": str(os.cpu_count())})
    if measured.exit_code:
        raise click.ClickException(f"{name} ended with exit code {measured.exit_code}")
    figures: dict[str, Any] = json.loads(measured.output.strip().splitlines()[-1])
    return {**figures, "wall": round(measured.seconds, 1), "peak_gb": round(measured.peak_bytes / 1e9, 2)}


def _record(events: int, results: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "code_version": __version__}
    return {"events": events, "seed": SEED, "machine": machine, "results": results}


def _median(runs: list[dict[str, Any]], stage: str) -> float | None:
    values = [run["stages"][stage] for run in runs if stage in run["stages"]]
    return statistics.median(values) if values else None


def _compared(runs: list[dict[str, Any]]) -> float:
    return statistics.median(sum(run["stages"].get(stage, 0.0) for stage in COMPARED) for run in runs)


def _print(events: int, results: dict[str, list[dict[str, Any]]]) -> None:
    table = Table(title=f"{events:,} synthetic events, {os.cpu_count()} cores, seconds")
    table.add_column("stage")
    for name in results:
        table.add_column(name, justify="right")
    if "ours" in results:
        for name in results:
            if name != "ours":
                table.add_column(f"{name} / ours", justify="right")
    for stage in ("start", "load", *COMPARED):
        _add_row(table, stage, {name: _median(runs, stage) for name, runs in results.items()})
    _add_row(table, "clean to recommend", {name: _compared(runs) for name, runs in results.items()})
    _add_row(table, "whole process", {n: statistics.median(r["wall"] for r in runs) for n, runs in results.items()})
    peaks = {name: max(run["peak_gb"] for run in runs) for name, runs in results.items()}
    table.add_row("peak memory, GB", *(f"{peak:.1f}" for peak in peaks.values()))
    Console().print(table)


def _add_row(table: Table, stage: str, seconds: dict[str, float | None]) -> None:
    cells = ["-" if value is None else f"{value:.1f}" for value in seconds.values()]
    ours = seconds.get("ours")
    if "ours" in seconds:
        others = [value for name, value in seconds.items() if name != "ours"]
        cells += ["-" if not ours or value is None else f"{value / ours:.1f}" for value in others]
    table.add_row(stage, *cells)


if __name__ == "__main__":
    main()
