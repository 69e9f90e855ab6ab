"""How far the events can be trusted: the balance of rows, what is missing, what repeats (SPEC D4, E2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
from markupsafe import Markup

from spark_apps.analysis.document import Analysis, RowsOfDate
from spark_apps.reports.data import ReportData
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
from spark_apps.reports.formats import counted, joined, largest_first, share, whole
from spark_apps.reports.html_table import counts_table, html_table
from spark_apps.reports.layout import Chart, Section, not_yet, note, paragraph


def chapter(data: ReportData) -> Section:
    """Lays out the chapter.

    Args:
        data: what the report shows.
    """
    missing = paragraph(missing_sentences(data.analysis)) or note("No value is missing and no row repeats.")
    return Section(
        "data-quality", "Data quality", (*_balance(data.analysis.balance), missing, *_missing(data.analysis))
    )


def balance_sentences(balance: Sequence[RowsOfDate]) -> list[str]:
    """Says what became of the raw rows and whether every date balances.

    Args:
        balance: rows per date.

    Returns:
        No sentence without rows, else two.
    """
    if not balance:
        return []
    raw, reasons = sum(row.raw for row in balance), total_reasons(balance)
    clean, lost = sum(row.clean for row in balance), sum(reasons.values())
    text = f"Of {counted(raw, 'raw row')}, {whole(clean)} are clean and {whole(lost)}"
    text += f" ({share(lost, raw)}) are in quarantine" if lost else " are in quarantine"
    text += f", most often as {largest_first(reasons)[0][0]}." if len(reasons) > 1 else "."
    wrong = [row.date or "no date" for row in balance if not row.balances]
    if wrong:
        return [text, f"Rows are not accounted for on {joined(wrong)}: raw is not clean + quarantined there."]
    return [text, "On every date, raw rows = clean rows + quarantined rows."]


def missing_sentences(analysis: Analysis) -> list[str]:
    """Says what is missing most often and how many rows repeat another.

    Args:
        analysis: counts over the events.

    Returns:
        No sentence where nothing is missing and nothing repeats, else one or two.
    """
    events, duplicates = analysis.events, analysis.duplicates
    empty = [(name, count) for name, count in largest_first(analysis.missing_values) if count]
    sentences = []
    if empty:
        parts = [f"{name} ({share(count, events)} of events)" for name, count in empty[:3]]
        sentences.append(f"Most often missing: {joined(parts)}.")
    if duplicates:
        part = share(duplicates, events)
        sentences.append(f"Rows that repeat another row exactly: {whole(duplicates)} ({part}); they are kept.")
    return sentences


def total_reasons(balance: Sequence[RowsOfDate]) -> dict[str, int]:
    """Adds up the quarantined rows of all dates.

    Args:
        balance: rows per date.

    Returns:
        Rows per reason, without reasons that have none.
    """
    totals: Counter[str] = Counter()
    for row in balance:
        totals.update(row.quarantined)
    return {reason: count for reason, count in sorted(totals.items()) if count}


def _balance(balance: Sequence[RowsOfDate]) -> list[Chart | str]:
    if not balance:
        return [not_yet("the rows of each date", "clean")]
    reasons = total_reasons(balance)
    parts: list[Chart | str] = [paragraph(balance_sentences(balance), warn=not all(row.balances for row in balance))]
    parts.append(Chart("chart-row-balance", row_balance(balance), balance_table(balance)))
    if reasons:
        table = counts_table("Why rows were quarantined", "Reason", "Rows", reasons, sum(reasons.values()))
        parts.append(Chart("chart-quarantine-reasons", quarantine_reasons(reasons), table))
    return parts


def _missing(analysis: Analysis) -> list[Chart | str]:
    counts, events = analysis.missing_values, analysis.events
    table = counts_table("Missing values by column", "Column", "Events without a value", counts, events)
    if not any(counts.values()):
        return [table] if counts else []
    return [Chart("chart-missing-values", missing_values(counts, events), table)]


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


def row_balance(balance: Sequence[RowsOfDate]) -> go.Figure:
    """Draws clean and quarantined rows of each date on top of each other (SPEC D4).

    Args:
        balance: rows per date; rows without a date are left to the table.

    Returns:
        A stacked bar chart with a mark at the number of raw rows.
    """
    chart = empty_figure("Rows by date: clean and quarantined", "Date (UTC)", "Rows (count)", height=380)
    dated = sorted((row for row in balance if row.date is not None), key=lambda row: str(row.date))
    dates = [str(row.date) for row in dated]
    date_bars(chart, dates, [row.clean for row in dated], GREEN, "clean rows", name="clean")
    quarantined = [sum(row.quarantined.values()) for row in dated]
    date_bars(chart, dates, quarantined, PINK, "quarantined rows", name="quarantined")
    show_dates(chart, {str(row.date): row.raw for row in dated})
    chart.add_scatter(
        x=dates,
        y=[row.raw for row in dated],
        name="raw",
        mode="markers",
        marker={"symbol": "line-ew-open", "size": 11, "color": GREY, "line": {"width": 2}},
        hovertext=[f"{row.date}: {whole(row.raw)} raw rows" for row in dated],
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


def balance_table(balance: Sequence[RowsOfDate]) -> Markup:
    """Writes the rows of each date and whether raw = clean + quarantined.

    Args:
        balance: rows per date.

    Returns:
        HTML; rows without a date stand last.
    """
    reasons = sorted({reason for row in balance for reason in row.quarantined})
    heads = (
        "Date (UTC)",
        "Raw (rows)",
        "Clean (rows)",
        *(f"{reason} (rows)" for reason in reasons),
        "Raw = sum",
    )
    rows = [
        (
            row.date or "no date",
            whole(row.raw),
            whole(row.clean),
            *(whole(row.quarantined.get(reason, 0)) for reason in reasons),
            "yes" if row.balances else "no",
        )
        for row in sorted(balance, key=lambda row: (row.date is None, row.date or ""))
    ]
    return html_table("Rows by date: raw, clean and quarantined by reason", heads, rows)
