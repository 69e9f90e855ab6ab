"""The sections of the page, in order: which charts, tables and sentences stand where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import plotly.graph_objects as go

from spark_apps.reports import charts, tables
from spark_apps.reports.data import Analysis, BalanceRow, Recommendations, ReportData, Segments
from spark_apps.reports.formats import UNKNOWN_FIGURE, counted, decimal, figure, moment, share, whole
from spark_apps.reports.summary import (
    balance_sentences,
    funnel_sentences,
    recommendation_sentences,
    segment_sentences,
    session_sentences,
    summary_sentences,
    total_reasons,
)


@dataclass(frozen=True)
class Chart:
    """A figure with the id of its place on the page."""

    id: str
    figure: go.Figure


@dataclass(frozen=True)
class Section:
    """A heading with what stands under it: charts, and HTML in between."""

    id: str
    title: str
    parts: tuple[Chart | str, ...]


def all_sections(data: ReportData) -> list[Section]:
    """Lays out the report.

    Args:
        data: what the report shows.

    Returns:
        Sections in reading order; every one is there, also where its data is missing.
    """
    analysis = data.analysis
    return [
        Section("summary", "Summary", (_sentences(summary_sentences(data), as_list=True),)),
        _types(analysis),
        _missing(analysis),
        _time(analysis),
        _prices(analysis),
        _sessions(analysis),
        _balance(data.balance),
        _segments(data.segments),
        _recommendations(data.recommendations),
        _about(data),
    ]


def _types(analysis: Analysis) -> Section:
    counts, events = analysis["event_counts"], analysis["events"]
    parts: tuple[Chart | str, ...] = (_note("There are no events."),)
    if events:
        parts = (
            _sentences(funnel_sentences(counts)),
            Chart("chart-events-by-type", charts.events_by_type(counts)),
            Chart("chart-event-shares", charts.event_shares(counts)),
            tables.counts_table("Events by type", "Event type", "Events", counts, events),
        )
    return Section("event-types", "Event types", parts)


def _missing(analysis: Analysis) -> Section:
    counts, events = analysis["missing_values"], analysis["events"]
    parts: tuple[Chart | str, ...] = (_note("No column was counted."),)
    if counts:
        parts = (
            Chart("chart-missing-values", charts.missing_values(counts, events))
            if any(counts.values())
            else _note("No column misses a value."),
            tables.counts_table("Missing values by column", "Column", "Events without a value", counts, events),
        )
    return Section("missing-values", "Missing values", parts)


def _time(analysis: Analysis) -> Section:
    days, hours, events = analysis["events_by_day"], analysis["events_by_hour"], analysis["events"]
    parts: list[Chart | str] = []
    if days:
        parts.append(Chart("chart-events-by-day", charts.events_by_day(days)))
    if hours:
        parts.append(Chart("chart-events-by-hour", charts.events_by_hour(hours)))
    if days:
        parts.append(_folded(f"Table: {counted(len(days), 'date')}", tables.days_table(days, events)))
    if hours:
        parts.append(_folded("Table: 24 hours", tables.hours_table(hours, events)))
    return Section("days-and-hours", "Days and hours", tuple(parts) or (_note("There are no events."),))


def _prices(analysis: Analysis) -> Section:
    prices = analysis["price_by_event_type"]
    chart = charts.price_by_type(prices)
    parts: list[Chart | str] = []
    if chart.data:
        parts.append(_note("Each line runs from the lowest to the highest price; the diamond is the mean."))
        parts.append(Chart("chart-prices", chart))
    else:
        parts.append(_note("No event has a price."))
    if prices:
        parts.append(tables.price_table(prices))
    return Section("prices", "Prices", tuple(parts))


def _sessions(analysis: Analysis) -> Section:
    sessions = analysis["sessions"]
    chart = charts.session_events(sessions)
    parts: list[Chart | str] = [_sentences(session_sentences(sessions))]
    if chart.data[0].x:
        parts.append(Chart("chart-session-events", chart))
    return Section("sessions", "Sessions", (*parts, tables.session_table(sessions)))


def _balance(balance: Sequence[BalanceRow]) -> Section:
    if not balance:
        return Section("row-balance", "Row balance", (_not_yet("the rows of each date", "clean"),))
    reasons = total_reasons(balance)
    parts: list[Chart | str] = [_sentences(balance_sentences(balance), warn=not all(map(tables.balances, balance)))]
    if any(row["date"] is not None for row in balance):
        parts.append(Chart("chart-row-balance", charts.row_balance(balance)))
    if reasons:
        parts.append(Chart("chart-quarantine-reasons", charts.quarantine_reasons(reasons)))
        parts.append(tables.counts_table("Why rows were quarantined", "Reason", "Rows", reasons, sum(reasons.values())))
    parts.append(_folded("Table: rows of each date", tables.balance_table(balance)))
    return Section("row-balance", "Row balance", tuple(parts))


def _segments(segments: Segments | None) -> Section:
    if segments is None:
        return Section("segments", "Segments", (_not_yet("segments of users", "segment"),))
    facts = {
        "Segments (k)": whole(segments["k"]),
        "Silhouette (-1 to 1)": decimal(segments["silhouette"], 4),
        "Cost (sum of squared distances)": decimal(segments["cost"], 1),
        "Iterations": whole(segments["iterations"]),
        "Seed": str(segments["seed"]),
    }
    parts: list[Chart | str] = [_sentences(segment_sentences(segments)), _facts(facts)]
    if segments["clusters"]:
        parts.append(Chart("chart-users-by-segment", charts.users_by_segment(segments["clusters"])))
        parts.append(tables.segments_table(segments["clusters"]))
    if segments["curve"]:
        parts.append(Chart("chart-silhouette", charts.silhouette_curve(segments["curve"], segments["k"])))
        parts.append(Chart("chart-cost", charts.cost_curve(segments["curve"], segments["k"])))
        parts.append(tables.curve_table(segments["curve"], segments["k"]))
    if segments["rfm"]:
        users = sum(segments["rfm"].values())
        parts.append(Chart("chart-rfm", charts.users_by_rfm(segments["rfm"])))
        parts.append(tables.counts_table("Users by RFM group", "RFM group", "Users", segments["rfm"], users))
    return Section("segments", "Segments", tuple(parts))


def _recommendations(found: Recommendations | None) -> Section:
    if found is None:
        return Section("recommendations", "Recommendations", (_not_yet("recommendations", "train"),))
    served = found["users_with_list"]
    facts = {
        "Engine": found["engine"],
        "Rank (factors)": whole(found["rank"]),
        "Iterations": whole(found["iterations"]),
        "Users": whole(found["users"]),
        "Products": whole(found["products"]),
        "Interactions": whole(found["interactions"]),
        "Users with a list": f"{whole(served)} ({share(served, found['users'])})",
    }
    parts: list[Chart | str] = [_sentences(recommendation_sentences(found)), _facts(facts)]
    if found["metrics"]:
        parts.append(tables.metrics_table(found["metrics"]))
        lines = tables.readings(found["metrics"])
        if lines:
            parts.append(_folded("How to read the measures", _sentences(lines, as_list=True)))
    if found["top_products"]:
        parts.append(Chart("chart-top-products", charts.top_products(found["top_products"], served)))
        parts.append(tables.products_table(found["top_products"], served))
    if found["scores"]["counts"]:
        scores = found["scores"]
        parts.append(Chart("chart-scores", charts.recommendation_scores(scores)))
        low, high = figure(scores["bins"][0]), figure(scores["bins"][-1])
        parts.append(_folded(f"Table: scores from {low} to {high}", tables.scores_table(scores)))
    return Section("recommendations", "Recommendations", tuple(parts))


def _about(data: ReportData) -> Section:
    facts = {
        "Events from": data.source,
        "First date": data.first_date or UNKNOWN_FIGURE,
        "Last date": data.last_date or UNKNOWN_FIGURE,
        "Report made": moment(data.made_at),
        "Code version": data.code_version,
    }
    text = "All times are UTC. Prices are in the currency of the log, which does not name it. A dash: not known."
    return Section("about", "About this report", (_facts(facts), _note(text)))


def _sentences(sentences: Sequence[str], *, as_list: bool = False, warn: bool = False) -> str:
    if as_list:
        return "<ul>\n" + "\n".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "\n</ul>"
    kind = ' class="warning"' if warn else ""
    return f"<p{kind}>{escape(' '.join(sentences))}</p>" if sentences else ""


def _note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>'


def _not_yet(what: str, command: str) -> str:
    return (
        f'<p class="note">Not there yet: {what}. Run <code>shopstream {command}</code>, '
        "then make this report again.</p>"
    )


def _facts(facts: dict[str, str]) -> str:
    items = "\n".join(f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts.items())
    return f'<dl class="facts">\n{items}\n</dl>'


def _folded(summary: str, html: str) -> str:
    return f"<details>\n<summary>{escape(summary)}</summary>\n{html}\n</details>"
