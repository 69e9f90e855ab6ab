"""quarantine: the lines that could not be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from datetime import date

import click

from spark_apps.commands.common import (
    UNDATED,
    DayOrUndated,
    json_option,
    next_step,
    out,
    print_json,
    print_table,
    root_option,
)
from spark_apps.errors import UserError
from spark_apps.ingestion.faults import shown
from spark_apps.ingestion.lines import REASONS
from spark_apps.jobs import quarantine as quarantine_job
from spark_apps.jobs.quarantine import Refused
from spark_apps.settings import load_settings, table_root


@click.command()
@click.option("--reason", help="One reason, as bad_time.  [default: all]")
@click.option("--date", "day", type=DayOrUndated(), help="One date, or undated.  [default: all]")
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="Lines to show, at most.")
@root_option
@json_option
def quarantine(reason: str | None, day: str | None, limit: int, root: str | None, as_json: bool) -> None:
    """Show lines that could not be used, and what is wrong with each.

    Those that `clean` and `stream` set aside, the latest dates first. Needs no
    Spark. With --json, lines are shown in full.

    \b
    Example: shopstream quarantine --reason bad_id --date 2019-10-01
    """
    folder = table_root(load_settings(root=root))
    reasons, lines = quarantine_job.run(folder, _wanted(day), reason, limit)
    if reason is not None and not reasons[reason] and reason not in REASONS:
        raise UserError(f"There is no reason {reason}: it is one of {', '.join(REASONS)}.")
    if as_json:
        print_json({"reasons": dict(reasons.most_common()), "lines": [asdict(line) for line in lines]})
        return
    _print(reasons, lines, reasons.total() if reason is None else reasons[reason])


def _wanted(day: str | None) -> Callable[[date | None], bool]:
    if day is None:
        return lambda found: True
    return lambda found: found == (None if day == UNDATED else date.fromisoformat(day))


def _print(reasons: Counter[str], lines: list[Refused], asked_for: int) -> None:
    if not lines:
        out.print("No such line is in quarantine." if reasons else "No line is in quarantine.")
        return
    print_table("In quarantine", ["reason", "lines"], reasons.most_common())
    for line in lines:
        batch = f", batch {line.batch} of the stream" if line.batch is not None else ""
        head = f"{line.date or 'no date'}{batch}: {line.reason}: {line.fault}"
        out.print(head, markup=False, soft_wrap=True)
        out.print(f"    {shown(line.raw_line)}", markup=False, soft_wrap=True)
    if len(lines) < asked_for:
        out.print(f"{len(lines):,} of {asked_for:,} lines.")
        next_step("the same with --limit for more, or with --reason or --date for others")
