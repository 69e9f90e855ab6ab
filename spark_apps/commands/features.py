"""features: the user, product and interaction tables."""

from __future__ import annotations

import click

from spark_apps.commands.common import (
    date_options,
    engine_options,
    json_option,
    next_step,
    print_json,
    print_table,
)
from spark_apps.engine.opening import open_engine
from spark_apps.jobs import features as features_job
from spark_apps.progress import step
from spark_apps.settings import load_settings, table_root
from spark_apps.tables import DateRange


@click.command()
@engine_options
@date_options
@json_option
def features(root: str | None, engine: str | None, master: str | None, dates: DateRange, as_json: bool) -> None:
    """Compute the user, product and interaction tables from clean events.

    \b
    Example: shopstream features --to 2019-10-31
    """
    settings = load_settings(root=root, engine=engine, master=master)
    with open_engine(settings, "features") as opened, step("Features"):
        rows = features_job.run(opened, settings, table_root(settings), dates)
    if as_json:
        print_json(rows)
        return
    print_table("Features", ["table", "rows"], list(rows.items()))
    next_step("shopstream segment, or shopstream train for everything")
