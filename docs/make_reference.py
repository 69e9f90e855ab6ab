"""Writes docs/reference.md from the code: every command with its options, every table, measurement and setting.

Run `python docs/make_reference.py`; with --check it writes nothing and ends with 1 where page and code differ.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
import pyarrow as pa
from pydantic import BaseModel

from spark_apps import __version__
from spark_apps.cli import main
from spark_apps.schemas import COLUMNS
from spark_apps.settings import Settings
from spark_apps.tables import TABLES
from spark_apps.telemetry.measurements import HOURLY_MEASUREMENTS, MEASUREMENTS, PLATFORM_MEASUREMENTS, Field, Tag
from spark_apps.telemetry.provision import BUCKET

_WIDTH = 90
# of columns, as DuckDB and Spark call them
_SQL_TYPES = {
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.float32(): "float",
    pa.float64(): "double",
    pa.string(): "string",
    pa.bool_(): "boolean",
    pa.date32(): "date",
    pa.timestamp("us", "UTC"): "timestamp",
    pa.list_(pa.field("element", pa.int64())): "array<bigint>",
}
PAGE = Path(__file__).parent / "reference.md"


def reference() -> str:
    """Returns the page's text."""
    parts = [*_commands(), *_tables(), *_measurements(), *_settings()]
    return "\n".join([f"# Reference, shopstream {__version__}", "", *parts])


def _commands() -> list[str]:
    manners = "Every command also takes `--help`; `shopstream --debug COMMAND` shows the trace of an error."
    lines = ["## Commands", "", manners, ""]
    context = click.Context(main, info_name="shopstream", terminal_width=_WIDTH, help_option_names=["-h", "--help"])
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        lines += _command(command, click.Context(command, parent=context, info_name=name))
    return lines


def _command(command: click.Command, context: click.Context) -> list[str]:
    if isinstance(command, click.Group):
        return [
            line
            for name, child in command.commands.items()
            for line in _command(child, click.Context(child, parent=context, info_name=name))
        ]
    return [f"### {context.command_path}", "", "```text", command.get_help(context).strip(), "```", ""]


def _tables() -> list[str]:
    lines = ["## Tables", "", "Parquet, below the root. Times are UTC.", ""]
    for table in TABLES:
        cut = f", one folder per `{table.partition}`" if table.partition else ""
        lines += [f"### {table.name}", "", f"`{table.path}/`{cut}; written by `shopstream {table.command}`.", ""]
        lines += ["| column | type | what |", "|---|---|---|"]
        lines += [f"| {one.name} | {_SQL_TYPES[one.type]} | {one.about} |" for one in COLUMNS[table.name]]
        lines.append("")
    return lines


def _measurements() -> list[str]:
    about = (
        f"Points of each batch of the stream in InfluxDB's bucket `{BUCKET}`; their time is when its file was dropped. "
        "Those of an hour are sent with the first batch after it, and have the time at which the hour begins. "
        "Those of the platform have the time at which NameNode and master were asked."
    )
    lines = ["## Measurements", "", about, ""]
    for one in (*MEASUREMENTS, *HOURLY_MEASUREMENTS, *PLATFORM_MEASUREMENTS):
        lines += [f"### {one.name}", "", one.about, "", "| tag or field | type | unit | what |", "|---|---|---|---|"]
        lines += [f"| {tag.name} | tag, at most {tag.max_values} values | | {_tag(tag)} |" for tag in one.tags]
        lines += [f"| {field.name} | {field.kind} | {field.unit} | {_field(field)} |" for field in one.fields]
        lines.append("")
    return lines


def _tag(tag: Tag) -> str:
    return f"{tag.about}: {', '.join(tag.values)}" if tag.values and not tag.values[0].isdigit() else tag.about


def _field(field: Field) -> str:
    return f"{field.about}; absent {field.absent}" if field.absent else field.about


def _settings() -> list[str]:
    lines = ["## Settings", "", "Set by environment variable; options of a command come first.", ""]
    return [*lines, "| variable | default | what |", "|---|---|---|", *_setting_rows(Settings, "SHOPSTREAM_"), ""]


def _setting_rows(model: type[BaseModel], prefix: str) -> list[str]:
    rows = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            rows += _setting_rows(field.annotation, f"{prefix}{name.upper()}__")
            continue
        default = "by the machine" if field.default_factory else f"`{field.default}`"
        about = field.description or f"{name} ({(model.__doc__ or '').strip().rstrip('.')})"
        rows.append(f"| `{prefix}{name.upper()}` | {default} | {about} |")
    return rows


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit(PAGE.read_text(encoding="utf-8") != reference())
    PAGE.write_text(reference(), encoding="utf-8")
