"""generate, load, clean, analyze: from nothing to explored events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from spark_apps.commands.analysis_tables import print_figures
from spark_apps.commands.common import (
    date_options,
    engine_options,
    json_option,
    next_step,
    out,
    print_json,
    print_table,
    root_option,
)
from spark_apps.engine.opening import open_engine
from spark_apps.errors import NothingCleanError
from spark_apps.ingestion.loaded_files import listed
from spark_apps.jobs import analyze as analyze_job
from spark_apps.jobs import clean as clean_job
from spark_apps.jobs import generate as generate_job
from spark_apps.jobs import load as load_job
from spark_apps.jobs import quarantine as quarantine_job
from spark_apps.jobs import report as report_job
from spark_apps.progress import step
from spark_apps.settings import load_settings, table_root
from spark_apps.storage import StoragePath
from spark_apps.tables import DateRange


@click.command()
@click.option("--events", type=click.IntRange(min=1), default=300_000, show_default=True, help="How many.")
@click.option("--month", default="2019-10", show_default=True, help="Month they happen in.")
@click.option("--seed", type=int, help="Same seed, same bytes.  [default: 42]")
@click.option("--users", type=click.IntRange(min=1), help="Users to spread them over.  [default: as in real October]")
@click.option("--removals", type=float, default=0.0, show_default=True, help="Share of carts that are emptied again.")
@click.option("--output", type=click.Path(path_type=Path), default=Path(), show_default=True, help="Folder.")
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


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@root_option
@json_option
def load(files: tuple[Path, ...], root: str | None, as_json: bool) -> None:
    """Land the raw rows of event logs (CSV or CSV.gz) by date.

    A file that was loaded before changes nothing; `shopstream unload` takes one
    out again.

    \b
    Example: shopstream load 2019-Oct.csv
    """
    landed = load_job.run(table_root(load_settings(root=root)), files)
    if as_json:
        print_json([{**manifest.model_dump(), "new": new} for manifest, new in landed])
        return
    rows = [
        (
            m.file,
            m.rows,
            len(m.rows_per_date),
            f"{m.bytes / 1e6:,.1f} MB",
            m.sha256[:12],
            "new" if new else "was there",
        )
        for m, new in landed
    ]
    print_table("Landed", ["file", "rows", "dates", "size", "SHA-256", ""], rows)
    next_step("shopstream clean")


@click.command()
@engine_options
@date_options
@json_option
def clean(root: str | None, engine: str | None, master: str | None, dates: DateRange, as_json: bool) -> None:
    """Turn raw rows into typed events; set unusable ones aside with the reason.

    Replaces just the dates it cleans, and removes those of which no loaded file
    has rows any more. For every date, raw = clean + quarantined. Ends with exit
    code 2 when no row could be used.

    \b
    Example: shopstream clean --from 2019-10-01 --to 2019-10-07
    """
    settings = load_settings(root=root, engine=engine, master=master)
    folder = table_root(settings)
    with open_engine(settings, "clean") as opened, step("Cleaning") as shown:
        balance = clean_job.run(opened, folder, dates)
        shown.done = f"{sum(day.clean for day in balance.values()):,} clean rows"
    _print_balance(folder, dates, balance, as_json)
    lines = sum(day.raw for day in balance.values())
    if lines and not any(day.clean for day in balance.values()):
        raise NothingCleanError(None if dates == DateRange() else str(dates))


def _print_balance(root: StoragePath, dates: DateRange, balance: clean_job.Balance, as_json: bool) -> None:
    rows: list[dict[str, Any]] = [
        {"date": str(day or "no date"), "raw": b.raw, "clean": b.clean, "quarantined": dict(b.quarantined)}
        for day, b in balance.items()
    ]
    if as_json:
        print_json(rows)
        return
    total = {key: sum(row[key] for row in rows) for key in ("raw", "clean")}
    refused = sum(sum(row["quarantined"].values()) for row in rows)
    table = [
        (r["date"], r["raw"], r["clean"], sum(r["quarantined"].values()), _reasons(r["quarantined"])) for r in rows
    ]
    table.append(("total", total["raw"], total["clean"], refused, ""))
    print_table("Rows", ["date", "raw", "clean", "quarantined", "reasons"], table)
    out.print(f"{total['raw']:,} raw = {total['clean']:,} clean + {refused:,} quarantined")
    removed = [row["date"] for row in rows if not row["raw"]]
    if removed:
        out.print(f"Removed, as no loaded file has rows of it: {listed(removed)}", soft_wrap=True)
    if refused:
        for text in quarantine_job.reason_texts(root, dates, total["raw"]):
            out.print(text, markup=False, soft_wrap=True)
        out.print("`shopstream quarantine` shows more.")
    if not total["raw"]:
        next_step("shopstream load FILE")
    elif total["clean"]:
        next_step("shopstream analyze, or shopstream train")


def _reasons(quarantined: dict[str, int]) -> str:
    return ", ".join(f"{reason} {count:,}" for reason, count in sorted(quarantined.items()))


@click.command()
@engine_options
@date_options
@json_option
def analyze(root: str | None, engine: str | None, master: str | None, dates: DateRange, as_json: bool) -> None:
    """Count events, sessions, funnels, paths and affinities; write analysis.json and the report.

    \b
    Example: shopstream analyze --json > october.json
    """
    settings = load_settings(root=root, engine=engine, master=master)
    folder = table_root(settings)
    with open_engine(settings, "analyze") as opened:
        with step("Exploring") as shown:
            figures = analyze_job.run(opened, folder, dates)
            shown.done = f"{figures['events']:,} events"
        with step("Report"):
            page = report_job.run(opened, folder)
    if as_json:
        print_json(figures)
        return
    print_figures(figures)
    click.echo(f"Report: {page}")
    next_step("shopstream train")
