"""Charts of what happened when, at which prices, in how long sessions (SPEC E1, E3-E5)."""

from __future__ import annotations

from collections.abc import Mapping

import plotly.graph_objects as go

from spark_apps.reports.data import PriceSummary, SessionSummary
from spark_apps.reports.figures import (
    BLUE,
    EVENT_COLOURS,
    GREY,
    NAMED_AXIS,
    ORANGE,
    counted_bars,
    date_bars,
    empty_figure,
    known_pairs,
    label,
    named_bars,
    show_dates,
)
from spark_apps.reports.formats import decimal, figure, known, largest_first, share, whole

_SESSION_FIGURES = {
    "Minimum": "events_min",
    "25th percentile": "events_p25",
    "Median": "events_p50",
    "Mean": "events_mean",
    "75th percentile": "events_p75",
    "Maximum": "events_max",
}


def events_by_type(counts: Mapping[str, int]) -> go.Figure:
    """Draws events of each type on a log scale, because views dwarf the rest (SPEC E1).

    Args:
        counts: events of each type.

    Returns:
        A bar chart, most frequent type on top.
    """
    chart = empty_figure("Events by type", "Events (count, log scale)", "Event type")
    colours = [EVENT_COLOURS.get(name, GREY) for name, _ in largest_first(counts)]
    return counted_bars(chart, counts, sum(counts.values()), colours=colours, log=True)


def event_shares(counts: Mapping[str, int]) -> go.Figure:
    """Draws the share of each event type (SPEC E1).

    Args:
        counts: events of each type.

    Returns:
        A pie chart whose legend says the shares, since the smallest have no room inside.
    """
    total, ordered = sum(counts.values()), largest_first(counts)
    chart = empty_figure("Share of each event type", "", "", height=330)
    chart.add_pie(
        labels=[f"{label(name)}: {share(count, total)}" for name, count in ordered],
        values=[count for _, count in ordered],
        marker={"colors": [EVENT_COLOURS.get(name, GREY) for name, _ in ordered]},
        hole=0.5,
        sort=False,
        direction="clockwise",
        textinfo="none",
        hovertext=[f"{label(name)}: {whole(count)} events" for name, count in ordered],
        hoverinfo="text",
    )
    chart.update_layout(showlegend=True, legend={"orientation": "h", "x": 0.5, "xanchor": "center", "y": -0.04})
    return chart.update_xaxes(visible=False).update_yaxes(visible=False)


def events_by_day(counts: Mapping[str, int]) -> go.Figure:
    """Draws events of each date (SPEC E3).

    Args:
        counts: events per ISO date, UTC.

    Returns:
        A bar chart in time order.
    """
    chart = empty_figure("Events by day", "Date (UTC)", "Events (count)")
    days = sorted(counts)
    date_bars(chart, days, [counts[day] for day in days], BLUE, "events")
    show_dates(chart, counts)
    return chart


def events_by_hour(counts: Mapping[str, int]) -> go.Figure:
    """Draws events of each hour of the day (SPEC E3).

    Args:
        counts: events per hour, keys "0" to "23", UTC.

    Returns:
        A bar chart of 24 hours, all dates together.
    """
    chart = empty_figure("Events by hour of the day", "Hour of the day (UTC)", "Events (count, all dates together)")
    values = [counts.get(str(hour), 0) for hour in range(24)]
    hover = [f"{hour:02d}:00 to {hour:02d}:59 UTC: {whole(count)} events" for hour, count in enumerate(values)]
    chart.add_bar(x=list(range(24)), y=values, marker={"color": BLUE}, hovertext=hover, hoverinfo="text")
    chart.update_xaxes(tickvals=list(range(0, 24, 3)), range=[-0.6, 23.6], showgrid=False)
    return chart.update_yaxes(rangemode="tozero", nticks=7)


def price_by_type(prices: Mapping[str, PriceSummary]) -> go.Figure:
    """Draws the mean price of each event type on the line from its lowest to its highest (SPEC E4).

    Args:
        prices: mean, lowest and highest price per event type.

    Returns:
        A chart with one line for each type that has prices.
    """
    chart = empty_figure("Price by event type", "Price (currency of the log)", "Event type")
    priced = [(name, price["min"], price["mean"], price["max"]) for name, price in prices.items()]
    rows = [
        (name, low, mean, high)
        for name, low, mean, high in priced
        if known(low) is not None and known(mean) is not None and known(high) is not None
    ]
    for place, (name, low, mean, high) in enumerate(rows):
        colour = EVENT_COLOURS.get(name, GREY)
        chart.add_scatter(
            x=[low, mean, high],
            y=[place] * 3,
            mode="lines+markers",
            line={"color": colour, "width": 3},
            marker={
                "symbol": ["line-ns-open", "diamond", "line-ns-open"],
                "size": [14, 13, 14],
                "opacity": 1,
                "line": {"width": [3, 0, 3], "color": colour},
            },
            hovertext=[f"lowest {decimal(low)}", f"mean {decimal(mean)}", f"highest {decimal(high)}"],
            hoverinfo="text",
        )
    names = [f"{label(name)}<br>mean {decimal(mean)}" for name, _, mean, _ in rows]
    chart.update_yaxes(tickmode="array", tickvals=list(range(len(rows))), ticktext=names)
    chart.update_yaxes(range=[len(rows) - 0.5, -0.5], **NAMED_AXIS)
    chart.update_xaxes(rangemode="tozero", nticks=5, tickangle=0)
    return chart.update_layout(height=110 + 50 * max(1, len(rows)))


def session_events(sessions: SessionSummary) -> go.Figure:
    """Draws how many events sessions have (SPEC E5).

    Args:
        sessions: percentiles, mean and extremes of the events per session.

    Returns:
        A bar chart of the figures that are known, on a log scale.
    """
    chart = empty_figure("Events per session", "Events per session (log scale)", "Figure over all sessions")
    values = [sessions[key] for key in _SESSION_FIGURES.values()]  # type: ignore[literal-required]
    pairs = known_pairs(list(_SESSION_FIGURES), values)
    names = [f"{name}<br>{figure(round(value, 2))}" for name, value in pairs]
    colours = [ORANGE if name == "Mean" else BLUE for name, _ in pairs]
    return named_bars(chart, names, [value for _, value in pairs], hover=names, colours=colours, log=True)
