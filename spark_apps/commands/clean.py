"""clean: raw rows to typed events, the unusable ones set aside."""

from __future__ import annotations

from typing import Any

import click

from spark_apps.commands.common import (
    date_options,
    engine_options,
    json_option,
    next_step,
    out,
    print_json,
    print_table,
)
from spark_apps.engine.opening import open_engine
from spark_apps.errors import NothingCleanError
from spark_apps.ingestion.loaded_files import listed
from spark_apps.jobs import clean as clean_job
from spark_apps.jobs import quarantine as quarantine_job
from spark_apps.progress import step
from spark_apps.settings import load_settings, table_root
from spark_apps.storage import StoragePath
from spark_apps.tables import DateRange


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
