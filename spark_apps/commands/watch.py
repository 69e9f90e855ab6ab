"""watch: the stream's main figures in a terminal, for people who have no Grafana at hand."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
from rich.console import Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from spark_apps.commands.common import next_step, out, root_option
from spark_apps.settings import load_settings, table_root
from spark_apps.streaming.records import BatchRecord
from spark_apps.streaming.timeline import Stretch, timeline

if TYPE_CHECKING:
    from spark_apps.jobs.stream.watching import Seen, Watcher

# SPEC T5, T7: what a batch, its way from the drop, and the change of segments should stay below
MOST_SECONDS, MOST_LATENCY, MOST_CHANGE = 5.0, 10.0, 0.15
_PRODUCTS = 5
_START = "shopstream simulate --stream"


@click.command()
@root_option
@click.option(
    "--interval", type=click.FloatRange(min=0.2), default=2.0, show_default=True, help="Seconds from look to look."
)
@click.option("--once", is_flag=True, help="Look once.")
def watch(root: str | None, interval: float, once: bool) -> None:
    """Show shoppers, segments, recommendations and the stream itself, live.

    It reads the stream's batch log: nothing else need run. On a terminal the
    figures stay in place until Ctrl-C; elsewhere each new batch prints them.

    \b
    Example: shopstream watch
    """
    from spark_apps.jobs.stream import watching  # late: --help need not wait for it

    watcher = watching.Watcher(table_root(load_settings(root=root)))
    if once:
        out.print(view(watcher.look()))
        next_step("shopstream alerts check, or shopstream report")
        return
    try:
        (_live if out.is_terminal else _printed)(watcher, interval)
    except KeyboardInterrupt:
        next_step(f"shopstream report, or {_START} for more")


def _live(watcher: Watcher, interval: float) -> None:
    with Live(view(watcher.look()), console=out, auto_refresh=False) as shown:
        while True:
            time.sleep(interval)  # a batch log, here or on HDFS, tells nobody that it has grown
            shown.update(view(watcher.look()), refresh=True)


def _printed(watcher: Watcher, interval: float) -> None:
    last = None
    while True:
        seen = watcher.look()
        newest = seen.records[-1].batch if seen.records else None
        if newest != last:
            last = newest
            out.print(view(seen))
        time.sleep(interval)


def view(seen: Seen) -> RenderableType:
    """Returns the figures as they are shown, at most 80 columns wide."""
    since = "" if seen.waiting.seconds is None else f", the oldest for {seen.waiting.seconds:,.0f} s"
    waiting = Text(f"Files that wait: {seen.waiting.files:,}{since}")
    applied = [record for record in seen.records if record.outcome == "applied"]
    if not applied:
        return Group(Text(f"No batch was applied yet: {_START} makes some."), waiting)
    last, (whole,) = applied[-1], timeline(applied, len(applied), 1)
    clock = f"{last.last_event:%d %B %Y, %H:%M} UTC" if last.last_event else "no event yet"
    return Group(
        Text.assemble((f"Batch {last.batch:,}", "bold"), f": shoppers of {clock}"),
        waiting,
        _stream(last, applied, whole),
        _shoppers(last, applied),
        _segments(last, applied[0]),
        _guesses(whole, applied),
        _products(last),
    )


def _stream(last: BatchRecord, records: Sequence[BatchRecord], whole: Stretch) -> Table:
    bad, rows = (sum(sum(one.quarantined.values()) for one in records), sum(one.rows for one in records))
    table = _table("Stream", "last batch", f"last {len(records)}", "aim")
    table.add_row("events", f"{last.clean:,}", f"{whole.events:,}", "")
    times = {"seconds a batch, longest": (last.duration, whole.seconds, MOST_SECONDS)}
    times["drop to tables, s, longest"] = (last.latency, whole.latency, MOST_LATENCY)
    for name, (newest, longest, aim) in times.items():
        table.add_row(name, _within(newest, aim), f"{longest:,.1f}", f"under {aim:.0f}")
    table.add_row("lines in quarantine", f"{sum(last.quarantined.values()):,}", f"{bad:,} of {rows:,}", "")
    table.add_row("late events", f"{last.late:,}", f"{sum(one.late for one in records):,}", "")
    return table


def _shoppers(last: BatchRecord, records: Sequence[BatchRecord]) -> Table:
    table = _table("Shoppers", "last batch", f"last {len(records)}", "")
    for kind in last.events:
        table.add_row(f"{kind} events", *(f"{_events(part, kind):,}" for part in ([last], records)), "")
    bought = [_share(_events(part, "purchase"), _events(part, "view")) for part in ([last], records)]
    table.add_row("purchases per view", *bought, "")
    table.add_row("spent, the log's currency", *(f"{_spent(part):,.0f}" for part in ([last], records)), "")
    if last.activity:
        table.add_row("users, new among them", f"{last.activity.users:,}, {last.activity.new_users:,}", "", "")
    return table


def _segments(last: BatchRecord, first: BatchRecord) -> Table:
    table = _table("Segments", "users", "share", f"since batch {first.batch:,}")
    users = sum(one.users for one in last.segments.values())
    for name, one in sorted(last.segments.items(), key=lambda item: -item[1].users):
        before = first.segments[name].users if name in first.segments else 0
        table.add_row(escape(name), f"{one.users:,}", _share(one.users, users), f"{one.users - before:+,}")
    changed = _within(100 * last.change_rate, 100 * MOST_CHANGE)
    table.add_row("known users who changed", Text.assemble(changed, " %"), "", "under 15 %")
    return table


def _guesses(whole: Stretch, records: Sequence[BatchRecord]) -> Table:
    table = _table("Recommendations", "hit rate@10", "MRR", "carts and purchases")
    for name, one in whole.guesses.items():
        ranks = sum(r.relevance[name].reciprocal_ranks for r in records if name in r.relevance)
        mrr = f"{ranks / one.trials:.3f}" if one.trials else "-"
        table.add_row(f"{name} lists", _share(one.hits, one.trials), mrr, f"{one.trials:,}")
    return table


def _products(last: BatchRecord) -> Table:
    table = _table("Top products of the batch", "category", "brand", "events")
    for one in last.top_products[:_PRODUCTS]:
        table.add_row(str(one.product_id), escape(one.category[:24]), escape(one.brand[:16]), f"{one.events:,}")
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False, width=80)
    table.add_column(title, header_style="bold cyan", min_width=28)
    for column in columns:
        table.add_column(column, justify="right", header_style="dim", overflow="fold")
    return table


def _within(value: float, aim: float) -> Text:
    return Text(f"{value:,.1f}", style="green" if value < aim else "red")


def _events(records: Sequence[BatchRecord], kind: str) -> int:
    return sum(one.events[kind].events for one in records if kind in one.events)


def _spent(records: Sequence[BatchRecord]) -> float:
    return sum(one.events["purchase"].value for one in records if "purchase" in one.events)


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else "-"
