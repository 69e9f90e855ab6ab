"""analyze: what happened in the events, as tables, analysis.json and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from spark_apps.analysis.affinities import Affinity, Item
from spark_apps.analysis.document import Analysis
from spark_apps.analysis.funnels import Frequency
from spark_apps.analysis.sequences import Path
from spark_apps.analysis.tops import TopItem
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
from spark_apps.jobs import analyze as analyze_job
from spark_apps.jobs import report as report_job
from spark_apps.progress import step
from spark_apps.settings import load_settings, table_root
from spark_apps.tables import DateRange

# Rows of a long table; analysis.json and the report hold more.
_SHOWN = 5


@click.command()
@engine_options
@date_options
@json_option
def analyze(root: str | None, engine: str | None, master: str | None, dates: DateRange, as_json: bool) -> None:
    """Count events, sessions, funnels, paths and affinities; write analysis.json and the report.

    \b
    Example: shopstream analyze --json > october.json
    """
    settings = load_settings(root=root, engine=engine, master=master)
    folder = table_root(settings)
    with open_engine(settings, "analyze") as opened:
        with step("Exploring") as shown:
            figures = analyze_job.run(opened, folder, dates)
            shown.done = f"{figures.events:,} events"
        with step("Report"):
            page = report_job.run(opened, folder)
    if as_json:
        print_json(figures.figures())
        return
    print_figures(figures)
    click.echo(f"Report: {page}")
    next_step("shopstream train")


def print_figures(figures: Analysis) -> None:
    """Prints what analysis.json holds, long lists by their first rows."""
    _print_counts(figures)
    _print_funnel(figures)
    _print_frequency(figures.visit_frequency)
    if figures.sequences is not None:
        _print_paths("Most frequent paths", figures.sequences.top)
        _print_paths("Most frequent paths with a purchase", figures.sequences.to_purchase)
    for name, affinity in figures.affinities.items():
        _print_affinity(name.replace("_", " "), affinity)
    for kind, lists in figures.top.items():
        _print_top(kind, lists)


def _print_counts(figures: Analysis) -> None:
    events, sessions = figures.events, figures.sessions
    counts = [(kind, count, f"{count / events:.2%}") for kind, count in figures.event_counts.items()]
    print_table("Events", ["type", "events", "share"], counts)
    missing = [(name, count, f"{count / events:.2%}") for name, count in figures.missing_values.items() if count]
    print_table("Missing values", ["column", "events", "share"], missing)
    prices = [(kind, p.mean, p.min, p.max, p.count) for kind, p in figures.price_by_event_type.items()]
    print_table("Price, in the log's currency", ["type", "mean", "min", "max", "priced events"], prices)
    described = [(name.replace("_", " "), value) for name, value in sessions.figures().items()]
    print_table("Sessions", ["figure", "value"], described)
    out.print(f"Exact duplicates, kept: {figures.duplicates:,}")


def _print_funnel(figures: Analysis) -> None:
    columns = ["of", "viewed", "and cart", "and purchase", "without cart", "view to purchase", "cart abandonment"]
    rows = [
        (
            "user and product" if unit == "pairs" else unit,
            steps.viewed,
            steps.carted,
            steps.purchased,
            steps.purchased_without_cart,
            _percent(steps.view_to_purchase),
            _percent(figures.cart_abandonment[unit].rate),
        )
        for unit, steps in figures.funnel.items()
    ]
    print_table("Funnel", columns, rows)


def _print_frequency(frequencies: Mapping[str, Frequency]) -> None:
    columns = ["figure", "users", "mean", "median", "p90", "max"]
    rows = [(name.replace("_", " "), *(getattr(one, key) for key in columns[1:])) for name, one in frequencies.items()]
    print_table("How often users come", columns, rows)


def _print_paths(title: str, paths: Sequence[Path]) -> None:
    rows = [(path.sequence, path.sessions, _percent(path.share)) for path in paths[:_SHOWN]]
    print_table(title, ["path", "sessions", "share"], rows)


def _print_affinity(name: str, affinity: Affinity) -> None:
    rows = [
        (_item(rule.a), _item(rule.b), rule.together, f"{rule.confidence:.1%}", rule.lift)
        for rule in affinity.rules[:_SHOWN]
    ]
    title = f"Together, {name}, of {affinity.baskets:,} baskets"
    print_table(title, ["who has", "has also", "baskets", "confidence", "lift"], rows)


def _print_top(kind: str, lists: Mapping[str, Sequence[TopItem]]) -> None:
    for by, rows in lists.items():
        table = [(_item(row), row.views, row.carts, row.purchases, row.revenue) for row in rows[:_SHOWN]]
        print_table(f"Top {kind} {by.replace('_', ' ')}", [kind, "views", "carts", "purchases", "revenue"], table)


def _item(item: Item) -> str:
    return " ".join(str(part) for part in (item.product_id, item.brand, item.category_code) if part is not None)


def _percent(value: float | None) -> str | None:
    return None if value is None else f"{value:.2%}"
