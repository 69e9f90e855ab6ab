"""Options and manners that every command shares."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, TypeVar, get_args

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spark_apps.settings import MODEL_OPTIONS, AlsLibrary, EngineChoice, Settings
from spark_apps.tables import DateRange

Function = TypeVar("Function", bound=Callable[..., Any])

out = Console(highlight=False)
seed_option = click.option("--seed", type=int, help="Seed of everything random.  [default: 42]")
UNDATED = "undated"  # what people call the rows without a date
FAILED = 1  # exit code of a command that looks, and found something wrong


def root_option(function: Function) -> Function:
    """Adds --root."""
    return click.option("--root", metavar="URI", help="Folder of the tables and models.  [default: data]")(function)


def spark_options(function: Function) -> Function:
    """Adds --root and --master."""
    master = click.option("--master", metavar="URL", help="Spark master.  [default: local[*]]")
    return root_option(master(function))


def engine_options(function: Function) -> Function:
    """Adds --root, --engine and --master."""
    told = "Where the work runs: in processes of this machine, or on Spark.  [default: auto]"
    engine = click.option("--engine", type=click.Choice(get_args(EngineChoice)), help=told)
    return spark_options(engine(function))


def date_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --from and --to, given to the function as `dates`."""

    @functools.wraps(function)
    def with_dates(first: datetime | None, last: datetime | None, **options: Any) -> Any:
        return function(dates=DateRange(_day(first), _day(last)), **options)

    kind = click.DateTime(["%Y-%m-%d"])
    to = click.option("--to", "last", type=kind, metavar="DATE", help="Last date, as 2019-10-31.  [default: all]")
    start = click.option("--from", "first", type=kind, metavar="DATE", help="First date, as 2019-10-01.")
    return start(to(with_dates))


def model_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of settings.MODEL_OPTIONS, given to the function as `model`: overrides for `load_settings`."""

    @functools.wraps(function)
    def with_model(**options: Any) -> Any:
        model: dict[str, Any] = {}
        for name, (setting, *inside) in MODEL_OPTIONS.items():
            value = options.pop(name.replace("-", "_"))
            if value is not None:
                model[setting] = {**model.get(setting, {}), inside[0]: value} if inside else value
        return function(model=model, **options)

    decorated: Callable[..., Any] = with_model
    for name, path in reversed(MODEL_OPTIONS.items()):
        decorated = _model_option(name, path)(decorated)
    return decorated


def _model_option(name: str, path: tuple[str, ...]) -> Callable[[Function], Function]:
    """One option as its setting describes it: kind, bounds, text and default."""
    field = Settings.model_fields[path[0]]
    if len(path) > 1:
        assert isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        field = field.annotation.model_fields[path[1]]
    text = str(field.description).split(";")[0]
    told = f"Weight {text}" if name.endswith("-weight") else text[0].upper() + text[1:]
    default = field.default if isinstance(field.default, str) else f"{field.default:g}"
    return click.option(f"--{name}", type=_kind(field), help=f"{told}.  [default: {default}]")


def _kind(field: FieldInfo) -> click.ParamType[Any]:
    bounds = {kind: getattr(one, kind) for one in field.metadata for kind in ("ge", "gt") if hasattr(one, kind)}
    least, is_open = bounds.get("ge", bounds.get("gt")), "gt" in bounds
    if field.annotation is int:
        return click.IntRange(min=least, min_open=is_open)
    if field.annotation is float:
        return click.FloatRange(min=least, min_open=is_open)
    return click.Choice(get_args(AlsLibrary))


class DayOrUndated(click.ParamType[str]):
    """A date, or the rows without one."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> str:
        """Returns the date in ISO's form, or UNDATED."""
        try:
            return value if value == UNDATED else str(datetime.strptime(str(value), "%Y-%m-%d").date())
        except ValueError:
            return self.fail(f"{value!r} is neither a date like 2019-10-01 nor {UNDATED}", param, context)


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
