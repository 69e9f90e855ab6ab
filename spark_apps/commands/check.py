"""check: every table counted again."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from spark_apps.commands.common import FAILED, engine_options, json_option, next_step, out, print_json, print_table
from spark_apps.engine.opening import open_engine
from spark_apps.jobs import check as check_job
from spark_apps.jobs.check import Counted
from spark_apps.progress import step
from spark_apps.reconciliation.reconcile import Reconciliation
from spark_apps.settings import load_settings, table_root


@click.command()
@engine_options
@json_option
def check(root: str | None, engine: str | None, master: str | None, as_json: bool) -> None:
    """Count every table again, each against the one it was made from.

    Lines against events, events against features, users against segments and
    lists, the stream's batch log against its tables: per date, user, product or
    batch, not only in sum. Reads everything and changes nothing. Ends with
    exit code 1 when something does not agree.

    \b
    Example: shopstream check
    """
    settings = load_settings(root=root, engine=engine, master=master)
    with open_engine(settings, "check") as opened, step("Counting") as shown:
        found = check_job.run(opened, settings, table_root(settings))
        shown.done = f"{len(found.balances)} counts compared"
    wrong = [one for one in found.balances if not one.holds]
    if as_json:
        print_json({**asdict(found), "balances": [{**asdict(one), "holds": one.holds} for one in found.balances]})
    else:
        _print(found, wrong)
    sys.exit(FAILED if wrong else 0)


def _print(found: Counted, wrong: list[Reconciliation]) -> None:
    rows = [
        (one.what, one.expected, one.found, "yes" if one.holds else f"{one.differing:,} differ")
        for one in found.balances
    ]
    print_table("Counted again", ["what", "expected", "found", "equal"], rows)
    if found.uncleaned_dates:
        out.print(
            f"Landed and not cleaned: {found.uncleaned_lines:,} lines of {found.uncleaned_dates:,} dates. "
            "`shopstream clean` takes them; `simulate` replays them."
        )
    if found.events_since:
        out.print(
            f"{found.events_since:,} events applied since the last training: `shopstream train` learns from them."
        )
    if found.events_outside:
        out.print(
            f"{found.events_outside:,} events are of other dates than those that the last training was asked for."
        )
    for one in wrong:
        out.print(f"{one.what}: {'; '.join(one.examples)}{' ...' if one.differing > len(one.examples) else ''}")
        out.print(f"  To fix: {one.fix}")
    if not wrong:
        out.print(f"All {len(found.balances)} counts agree.")
        next_step("shopstream report")
