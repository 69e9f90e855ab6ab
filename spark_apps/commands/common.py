"""Options and manners that every command shares."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, TypeVar

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spark_apps.tables import DateRange

Function = TypeVar("Function", bound=Callable[..., Any])

out = Console(highlight=False)


def root_option(function: Function) -> Function:
    """Adds --root."""
    return click.option("--root", metavar="URI", help="Folder of the tables and models.  [default: data]")(function)


def spark_options(function: Function) -> Function:
    """Adds --root and --master."""
    master = click.option("--master", metavar="URL", help="Spark master.  [default: local[*]]")
    return root_option(master(function))


def date_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --from and --to, given to the function as `dates`."""

    @functools.wraps(function)
    def with_dates(first: datetime | None, last: datetime | None, **options: Any) -> Any:
        return function(dates=DateRange(_day(first), _day(last)), **options)

    kind = click.DateTime(["%Y-%m-%d"])
    to = click.option("--to", "last", type=kind, metavar="DATE", help="Last date, as 2019-10-31.  [default: all]")
    start = click.option("--from", "first", type=kind, metavar="DATE", help="First date, as 2019-10-01.")
    return start(to(with_dates))


def json_option(function: Function) -> Function:
    """Adds --json."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")(function)


def _day(moment: datetime | None) -> date | None:
    return moment.date() if moment else None


def print_json(value: object) -> None:
    """Prints one JSON value on standard output."""
    click.echo(json.dumps(value, indent=1, default=str))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints a table; numbers are set to the right, with separators."""
    table = Table(title=escape(title), title_justify="left", header_style="bold")
    for index, column in enumerate(columns):
        numeric = bool(rows) and all(isinstance(row[index], int | float) or row[index] is None for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(_shown(value) for value in row))
    out.print(table)


def next_step(text: str) -> None:
    """Prints what to do next, on standard error."""
    click.secho(f"Next: {text}", fg="cyan", err=True)


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return escape(str(value))
    return f"{value:,}" if isinstance(value, int) else f"{value:,.2f}"
