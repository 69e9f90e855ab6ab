"""hdfs apply, check, usage, expire, compact: the tree on HDFS."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Any

import click

from spark_apps.commands.common import (
    UNDATED,
    DayOrUndated,
    engine_options,
    json_option,
    next_step,
    out,
    print_json,
    print_table,
)
from spark_apps.engine.opening import open_engine
from spark_apps.errors import UserError
from spark_apps.hdfs import usage as measuring
from spark_apps.hdfs.admin import HdfsAdmin
from spark_apps.hdfs.compaction import Partition
from spark_apps.hdfs.layout import DEFAULT_LAYOUT, Layout, read_layout
from spark_apps.hdfs.layout_changes import Change, differences
from spark_apps.hdfs.retention import Expired, expired, remove
from spark_apps.jobs import compact as compact_job
from spark_apps.platform.sizes import in_words
from spark_apps.progress import step
from spark_apps.settings import load_settings, table_root
from spark_apps.storage import HdfsPath
from spark_apps.tables import TABLES

_DEFAULT_WEBHDFS = "http://127.0.0.1:9870"
_BY_NAME = {table.name: table for table in TABLES if table.partition}


class LayoutDiffersError(UserError):
    """HDFS is not as the layout says."""

    def __init__(self, count: int) -> None:
        differ = "1 difference" if count == 1 else f"{count} differences"
        super().__init__(f"HDFS has {differ} from the layout: run `shopstream hdfs apply`.")


@click.group("hdfs")
def hdfs() -> None:
    """The tree on HDFS: owners, modes, quotas, sizes, retention."""


def hdfs_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds --webhdfs, --user, --wait and --layout, given to the function as `connection` and `layout`."""

    @functools.wraps(function)
    def connected(webhdfs: str | None, user: str, wait: float, layout: Path, **options: Any) -> Any:
        return function(connection=HdfsAdmin(_url(webhdfs), user, wait), layout=read_layout(layout), **options)

    options = [
        click.option(
            "--webhdfs",
            metavar="URL",
            help="The NameNode's HTTP address.  [default: port 9870 of the root's host, or of this machine]",
        ),
        click.option("--user", default="hdfs", show_default=True, help="HDFS user; the superuser for apply."),
        click.option(
            "--wait",
            type=click.FloatRange(min=0),
            default=0,
            metavar="SECONDS",
            help="Wait for a NameNode that is starting or in safe mode.",
        ),
        click.option(
            "--layout",
            type=click.Path(path_type=Path),
            envvar="SHOPSTREAM_LAYOUT",
            default=DEFAULT_LAYOUT,
            metavar="FILE",
            help="The tree as data.  [default: hdfs_layout/layout.yaml]",
        ),
    ]
    for option in reversed(options):
        connected = option(connected)
    return connected


def _url(given: str | None) -> str:
    """The address given, else the setting's, else that of the tables' root, else this machine's."""
    settings = load_settings(webhdfs=given)
    root = table_root(settings)
    of_root = root.connection.url if isinstance(root, HdfsPath) else _DEFAULT_WEBHDFS
    return settings.webhdfs or of_root


@hdfs.command()
@hdfs_options
@click.option("--dry-run", is_flag=True, help="Say what would be done, and do nothing.")
def apply(connection: HdfsAdmin, layout: Layout, dry_run: bool) -> None:
    """Make the tree as the layout says.

    A second run changes nothing. After DataNodes were added it gives older
    files their copies.

    \b
    Example: shopstream hdfs apply --dry-run
    """
    done = []
    for change in differences(connection, layout):
        if not dry_run:
            change.do()
        done.append(change)
    if not done:
        out.print("Nothing to do: HDFS is as the layout says.")
        return
    _print_changes("Would change" if dry_run else "Changed", done)
    next_step("shopstream hdfs apply" if dry_run else "shopstream hdfs usage")


@hdfs.command()
@hdfs_options
@json_option
def check(connection: HdfsAdmin, layout: Layout, as_json: bool) -> None:
    """Say where the tree is not as the layout says; exit code 2 if so.

    \b
    Example: shopstream hdfs check
    """
    found = list(differences(connection, layout))
    if as_json:
        print_json([{"path": c.path, "what": c.what, "have": c.have, "want": c.want} for c in found])
    elif found:
        _print_changes("Differences", found)
    else:
        out.print(f"HDFS is as the layout says: {len(layout.directories)} directories.")
    if found:
        raise LayoutDiffersError(len(found))


def _print_changes(title: str, changes: list[Change]) -> None:
    print_table(title, ["path", "what", "from", "to"], [(c.path, c.what, c.have, c.want) for c in changes])


@hdfs.command()
@hdfs_options
@json_option
def usage(connection: HdfsAdmin, layout: Layout, as_json: bool) -> None:
    """Show sizes, files and small files by directory and table.

    "on disk" counts every copy. A data file below 16 MiB is small; "merge"
    counts directories with two or more of them.

    \b
    Example: shopstream hdfs usage --json
    """
    directories, tables = measuring.of_directories(connection, layout), measuring.of_tables(connection, layout)
    if as_json:
        lines = {"directories": [d.as_json() for d in directories], "tables": [t.as_json() for t in tables]}
        print_json({"small_bytes": measuring.SMALL_BYTES, **lines})
        return
    for title, lines_of in (("Directories", directories), ("Tables", tables)):
        if lines_of:
            print_table(title, ["", "size", "on disk", "quota", "files", "small", "merge"], _rows(lines_of))
    out.print(f"small: data files below {in_words(measuring.SMALL_BYTES)}")
    if any(line.usage.mergeable for line in tables if line.name in _BY_NAME):
        next_step("shopstream hdfs compact events")


def _rows(lines: list[measuring.Line]) -> list[tuple[object, ...]]:
    return [
        (
            line.name,
            in_words(line.usage.bytes),
            in_words(line.usage.bytes_with_copies),
            in_words(line.quota_space) if line.quota_space else None,
            line.usage.files,
            line.usage.small_files,
            line.usage.mergeable,
        )
        for line in lines
    ]


@hdfs.command()
@hdfs_options
@click.option("--yes", is_flag=True, help="Remove it; without this, only say what would be removed.")
@json_option
def expire(connection: HdfsAdmin, layout: Layout, yes: bool, as_json: bool) -> None:
    """Remove what the layout says has expired.

    Says what it would remove; does so with --yes, without a way back. What a
    job at work or a committed one still needs stays.

    \b
    Example: shopstream hdfs expire --yes
    """
    found = list(expired(connection, layout))
    removed = {one.path for one in found if yes and remove(connection, layout, one)}
    if as_json:
        print_json([_expired_as_json(one, one.path in removed) for one in found])
        return
    if not found:
        out.print("Nothing has expired.")
        return
    kept = len(found) - len(removed)
    rows = [(e.path, f"{e.age_days:,.0f}", e.usage.files, in_words(e.usage.bytes)) for e in found]
    print_table("Expired" if yes else "Would remove", ["path", "days old", "files", "size"], rows)
    if not yes:
        next_step("shopstream hdfs expire --yes, which removes them for good")
        return
    out.print(f"Removed {len(removed):,}" + (f"; {kept:,} changed meanwhile and stay" if kept else ""))


def _expired_as_json(one: Expired, removed: bool) -> dict[str, object]:
    return {
        "path": one.path,
        "rule": one.rule.path,
        "days": one.rule.retention.days if one.rule.retention else None,
        "age_days": round(one.age_days, 2),
        **asdict(one.usage),
        "removed": removed,
    }


@hdfs.command()
@click.argument("table", type=click.Choice(sorted(_BY_NAME)))
@click.option("--date", "day", type=DayOrUndated(), help="One date, or undated.  [default: all that need it]")
@click.option("--webhdfs", metavar="URL", help="The NameNode's HTTP address.  [default: port 9870 of the root's host]")
@click.option("--yes", is_flag=True, help="Do it; without this, only say what would be merged.")
@engine_options
@json_option
def compact(
    table: str,
    day: str | None,
    webhdfs: str | None,
    yes: bool,
    root: str | None,
    engine: str | None,
    master: str | None,
    as_json: bool,
) -> None:
    """Merge the small files of a table's dates.

    Readers see the old files or the new ones; the rows are counted before and
    after. Run it as the user who owns the tables.

    \b
    Example: shopstream hdfs compact events --date 2019-10-01 --yes
    """
    settings = load_settings(root=root, engine=engine, master=master, webhdfs=webhdfs)
    folder = table_root(settings)
    chosen = _BY_NAME[table]
    planned = compact_job.plan(folder, chosen, lambda one: day is None or (str(one) if one else UNDATED) == day)
    if not planned:
        print_json([]) if as_json else out.print("Nothing to do: no date has small files that could be one.")
        return
    if not yes:
        _print_plan(planned, as_json)
        return
    with open_engine(settings, "compact") as opened, step("Compacting") as shown:
        done = [compact_job.run(opened, folder, chosen, one.day) for one in planned]
        shown.done = f"{sum(d.files_before for d in done):,} files to {sum(d.files_after for d in done):,}"
    _print_compacted(done, as_json)


def _print_plan(planned: list[Partition], as_json: bool) -> None:
    if as_json:
        print_json([{**asdict(one), "wanted_files": one.wanted_files} for one in planned])
        return
    rows = [(_shown_day(one.day), one.files, one.wanted_files, in_words(one.bytes)) for one in planned]
    print_table("Would merge", ["date", "files", "into", "size"], rows)
    next_step("the same command with --yes")


def _print_compacted(done: list[compact_job.Compacted], as_json: bool) -> None:
    if as_json:
        print_json([asdict(one) for one in done])
        return
    rows = [
        (_shown_day(d.day), d.rows, d.files_before, d.files_after, in_words(d.bytes_before), in_words(d.bytes_after))
        for d in done
    ]
    print_table("Merged", ["date", "rows", "files", "now", "size", "now"], rows)


def _shown_day(day: date | None) -> str:
    return str(day) if day else "no date"
