"""Options and manners that every command shares."""

from __future__ import annotations

import functools
import json
import sys
import traceback
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, TypeVar

import click
from py4j.protocol import Py4JError
from pydantic_settings import SettingsError
from pyspark.errors import PySparkException
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spark_apps.errors import UserError, from_java_error, from_os_error
from spark_apps.tables import DateRange

Function = TypeVar("Function", bound=Callable[..., Any])
EXIT_USER_ERROR = 2
EXIT_FAULT = 1

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


class Main(click.Group):
    """The command group that turns what a user can cause into one sentence and exit code 2."""

    def invoke(self, context: click.Context) -> Any:
        """Runs the command; --debug shows the trace of any error."""
        try:
            return super().invoke(context)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            _report(error, debug=bool(context.params.get("debug")))


def _report(error: Exception, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    known = _user_error(error)
    if known is not None:
        click.secho(f"Error: {known}", fg="red", err=True)
        sys.exit(EXIT_USER_ERROR)
    first_line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    click.secho(f"Fault in shopstream: {type(error).__name__}: {first_line[:300]}", fg="red", err=True)
    click.echo("Run it again as `shopstream --debug ...` and report what it prints.", err=True)
    sys.exit(EXIT_FAULT)


def _user_error(error: Exception) -> UserError | None:
    if isinstance(error, UserError):
        return error
    if isinstance(error, SettingsError):
        return UserError(f"A setting cannot be read: {error}; give it as JSON.")
    if isinstance(error, OSError):
        return from_os_error(error, error.filename or "the root")
    if isinstance(error, PySparkException | Py4JError):
        return from_java_error(str(error), "the root")
    return None
