"""Charts of what is missing and of what became of the raw rows (SPEC E2, D4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from spark_apps.reports.data import BalanceRow
from spark_apps.reports.figures import (
    GREEN,
    GREY,
    LEGEND,
    ORANGE,
    PINK,
    counted_bars,
    date_bars,
    empty_figure,
    label,
    named_bars,
    show_dates,
)
from spark_apps.reports.formats import largest_first, share, whole


def missing_values(counts: Mapping[str, int], events: int) -> go.Figure:
    """Draws the share of events in which each column is empty (SPEC E2).

    Args:
        counts: events with no value, per column.
        events: all events.

    Returns:
        A bar chart, emptiest column on top, without the columns that are full.
    """
    chart = empty_figure("Missing values by column", "Share of all events (%)", "Column")
    ordered = [(name, count) for name, count in largest_first(counts) if count]
    shares = [100 * count / events if events else 0.0 for _, count in ordered]
    names = [f"{label(name)}<br>{whole(count)} ({share(count, events)})" for name, count in ordered]
    hover = [f"{label(name)}: {whole(count)} events without a value" for name, count in ordered]
    named_bars(chart, names, shares, hover=hover, colours=ORANGE)
    return chart.update_xaxes(exponentformat="none")


def row_balance(balance: Sequence[BalanceRow]) -> go.Figure:
    """Draws clean and quarantined rows of each date on top of each other (SPEC D4).

    Args:
        balance: rows per date; rows without a date are left to the table.

    Returns:
        A stacked bar chart with a mark at the number of raw rows.
    """
    chart = empty_figure("Rows by date: clean and quarantined", "Date (UTC)", "Rows (count)", height=380)
    dated = sorted((row for row in balance if row["date"] is not None), key=lambda row: str(row["date"]))
    dates = [str(row["date"]) for row in dated]
    date_bars(chart, dates, [row["clean"] for row in dated], GREEN, "clean rows", name="clean")
    quarantined = [sum(row["quarantined"].values()) for row in dated]
    date_bars(chart, dates, quarantined, PINK, "quarantined rows", name="quarantined")
    show_dates(chart, {str(row["date"]): row["raw"] for row in dated})
    chart.add_scatter(
        x=dates,
        y=[row["raw"] for row in dated],
        name="raw",
        mode="markers",
        marker={"symbol": "line-ew-open", "size": 11, "color": GREY, "line": {"width": 2}},
        hovertext=[f"{row['date']}: {whole(row['raw'])} raw rows" for row in dated],
        hoverinfo="text",
    )
    return chart.update_layout(barmode="stack", showlegend=True, legend=LEGEND)


def quarantine_reasons(reasons: Mapping[str, int]) -> go.Figure:
    """Draws why rows were quarantined (SPEC D4).

    Args:
        reasons: rows per reason, all dates together.

    Returns:
        A bar chart, most frequent reason on top.
    """
    chart = empty_figure("Why rows were quarantined", "Rows (count)", "Reason")
    return counted_bars(chart, reasons, sum(reasons.values()), colours=PINK)
