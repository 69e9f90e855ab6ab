"""What happened when, at which prices, in how long sessions (SPEC E1, E3-E5)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

import plotly.graph_objects as go
from markupsafe import Markup

from spark_apps.analysis.document import Analysis
from spark_apps.analysis.exploration import PriceSummary, SessionSummary
from spark_apps.reports.data import ReportData
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
from spark_apps.reports.formats import counted, decimal, figure, joined, known, largest_first, share, whole
from spark_apps.reports.html_table import counts_table, html_table
from spark_apps.reports.layout import Chart, Section, heading, note, paragraph

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_SESSION_FIGURES = {
    "Minimum": "events_min",
    "25th percentile": "events_p25",
    "Median": "events_p50",
    "Mean": "events_mean",
    "75th percentile": "events_p75",
    "Maximum": "events_max",
}


def chapter(data: ReportData) -> Section:
    """Lays out the chapter.

    Args:
        data: what the report shows.
    """
    analysis = data.analysis
    parts = (*_types(analysis), *_time(analysis), *_prices(analysis), *_sessions(analysis.sessions))
    return Section("activity", "Activity", parts)


def type_sentences(analysis: Analysis) -> list[str]:
    """Says how events divide into types and how types relate.

    Args:
        analysis: counts over the events.

    Returns:
        Up to two sentences.
    """
    counts, events = analysis.event_counts, analysis.events
    if not events:
        return ["There are no events."]
    shares = joined([f"{share(count, events)} {name}" for name, count in largest_first(counts) if count])
    views, carts, purchases = (counts.get(name, 0) for name in ("view", "cart", "purchase"))
    parts = []
    if views:
        parts.append(
            f"{100 * carts / views:,.1f} carts and {100 * purchases / views:,.1f} purchases for every 100 views"
        )
    if carts:
        parts.append(f"{100 * purchases / carts:,.1f} purchases for every 100 carts")
    return [f"By type: {shares}.", *([f"There are {'; '.join(parts)}."] if parts else [])]


def time_sentences(analysis: Analysis) -> list[str]:
    """Says when most happens.

    Args:
        analysis: counts over the events.

    Returns:
        The busiest date, of several, and the busiest hour of the day, where there are events.
    """
    events, sentences = analysis.events, []
    if sum(count > 0 for count in analysis.events_by_day.values()) > 1:
        day, count = largest_first(analysis.events_by_day)[0]
        sentences.append(f"The busiest date is {day} with {counted(count, 'event')} ({share(count, events)}).")
    hours = {int(hour): count for hour, count in analysis.events_by_hour.items()}
    if any(hours.values()):
        hour = min(hours, key=lambda hour: (-hours[hour], hour))
        sentences.append(
            f"The busiest hour of the day is {hour:02d}:00 to {hour:02d}:59 UTC with "
            f"{counted(hours[hour], 'event')} ({share(hours[hour], events)})."
        )
    return sentences


def session_sentences(sessions: SessionSummary) -> list[str]:
    """Says how long sessions are.

    Args:
        sessions: number, events and minutes of the sessions.

    Returns:
        One sentence.
    """
    if not sessions.count:
        return ["No event names a session."]
    text = counted(sessions.count, "session")
    if known(sessions.events_p50) is not None:
        half = figure(sessions.events_p50)
        text += f" with {decimal(sessions.events_mean)} events on average (median {half})"
    if known(sessions.minutes_median) is not None:
        mean, median = decimal(sessions.minutes_mean), decimal(sessions.minutes_median)
        text += f", {mean} minutes long on average (median {median})"
    return [f"The events form {text}."]


def _types(analysis: Analysis) -> list[Chart | str]:
    counts, events = analysis.event_counts, analysis.events
    if not events:
        return [note("There are no events.")]
    table = counts_table("Events by type", "Event type", "Events", counts, events)
    shares = counts_table("Share of each event type", "Event type", "Events", counts, events)
    return [
        paragraph([*type_sentences(analysis), *time_sentences(analysis)]),
        Chart("chart-events-by-type", events_by_type(counts), table),
        Chart("chart-event-shares", event_shares(counts), shares),
    ]


def _time(analysis: Analysis) -> list[Chart | str]:
    days, hours, events = analysis.events_by_day, analysis.events_by_hour, analysis.events
    parts: list[Chart | str] = []
    if days:
        parts.append(Chart("chart-events-by-day", events_by_day(days), days_table(days, events)))
        how = "A row is a week, named by its Monday; a field without colour is a date without events."
        parts.append(Chart("chart-events-by-weekday", events_by_weekday(days), weekdays_table(days), how))
    if hours:
        parts.append(Chart("chart-events-by-hour", events_by_hour(hours), hours_table(hours, events)))
    return parts


def _prices(analysis: Analysis) -> list[Chart | str]:
    prices = analysis.price_by_event_type
    if not prices:
        return []
    chart, table = price_by_type(prices), price_table(prices)
    if not chart.data:
        return [heading("Prices"), note("No event has a price."), table]
    how = "Each line runs from the lowest to the highest price; the diamond is the mean."
    return [heading("Prices and sessions"), Chart("chart-prices", chart, table, how)]


def _sessions(sessions: SessionSummary) -> list[Chart | str]:
    chart, table = session_events(sessions), session_table(sessions)
    if not sessions.count or not chart.data[0].x:
        return [paragraph(session_sentences(sessions))]
    return [Chart("chart-session-events", chart, table, session_sentences(sessions)[0])]


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


def events_by_weekday(counts: Mapping[str, int]) -> go.Figure:
    """Draws the events of each date as a calendar: a week a row, so that its rhythm is seen, and dates that break it.

    Args:
        counts: events per ISO date, UTC.

    Returns:
        A heat map, the first week on top.
    """
    weeks = _weeks(counts)
    chart = empty_figure("Events by week and day of the week", "Day of the week (UTC)", "Week from (Monday)")
    chart.add_heatmap(
        x=_WEEKDAYS,
        y=list(weeks),
        z=list(weeks.values()),
        colorscale=[[0, "rgba(47, 128, 200, 0.25)"], [1, BLUE]],
        xgap=2,
        ygap=2,
        colorbar={"title": {"text": "Events"}, "thickness": 12, "outlinewidth": 0, "nticks": 5},
        hovertext=[
            [f"{name}, week from {week}: {whole(count)} events" for name, count in zip(_WEEKDAYS, row, strict=True)]
            for week, row in weeks.items()
        ],
        hoverinfo="text",
    )
    chart.update_xaxes(type="category", **NAMED_AXIS).update_yaxes(type="category", autorange="reversed", **NAMED_AXIS)
    return chart.update_layout(height=110 + 34 * max(2, len(weeks)))


def _weeks(counts: Mapping[str, int]) -> dict[str, list[int | None]]:
    """Events by the Monday of their week, in order, and by day of the week; None for a date without any."""
    weeks: dict[str, list[int | None]] = {}
    for day in map(date.fromisoformat, sorted(counts)):
        # the year 1 begins with a Monday, so that there is one for every date
        monday = date.fromordinal(day.toordinal() - day.weekday())
        weeks.setdefault(monday.isoformat(), [None] * len(_WEEKDAYS))[day.weekday()] = counts[day.isoformat()]
    return weeks


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
    priced = [(name, price.min, price.mean, price.max) for name, price in prices.items()]
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
    values = [getattr(sessions, key) for key in _SESSION_FIGURES.values()]
    pairs = known_pairs(list(_SESSION_FIGURES), values)
    names = [f"{name}<br>{figure(round(value, 2))}" for name, value in pairs]
    colours = [ORANGE if name == "Mean" else BLUE for name, _ in pairs]
    return named_bars(chart, names, [value for _, value in pairs], hover=names, colours=colours, log=True)


def days_table(counts: Mapping[str, int], events: int) -> Markup:
    """Writes events per date.

    Args:
        counts: events per ISO date, UTC.
        events: all events.

    Returns:
        HTML.
    """
    rows = [(day, whole(counts[day]), share(counts[day], events)) for day in sorted(counts)]
    return html_table("Events by day", ("Date (UTC)", "Events (count)", "Share"), rows)


def weekdays_table(counts: Mapping[str, int]) -> Markup:
    """Writes events per date, a week a row.

    Args:
        counts: events per ISO date, UTC.
    """
    rows = [(week, *map(whole, row), whole(sum(filter(None, row)))) for week, row in _weeks(counts).items()]
    return html_table("Events by week and day of the week", ("Week from (Monday)", *_WEEKDAYS, "All"), rows)


def hours_table(counts: Mapping[str, int], events: int) -> Markup:
    """Writes events per hour of the day.

    Args:
        counts: events per hour, keys "0" to "23", UTC.
        events: all events.

    Returns:
        HTML.
    """
    values = [counts.get(str(hour), 0) for hour in range(24)]
    rows = [(f"{hour:02d}:00", whole(count), share(count, events)) for hour, count in enumerate(values)]
    return html_table("Events by hour of the day", ("Hour from (UTC)", "Events (count)", "Share"), rows)


def price_table(prices: Mapping[str, PriceSummary]) -> Markup:
    """Writes prices per event type.

    Args:
        prices: mean, lowest, highest and number of prices per event type.

    Returns:
        HTML.
    """
    heads = ("Event type", "Mean", "Lowest", "Highest", "Priced events (count)")
    rows = [
        (name, decimal(price.mean), decimal(price.min), decimal(price.max), whole(price.count))
        for name, price in prices.items()
    ]
    return html_table("Price by event type, in the currency of the log", heads, rows)


def session_table(sessions: SessionSummary) -> Markup:
    """Writes the figures of the sessions.

    Args:
        sessions: number, events and minutes of the sessions.

    Returns:
        HTML.
    """
    rows = [
        ("Sessions", "count", whole(sessions.count)),
        ("Mean", "events per session", decimal(sessions.events_mean)),
        ("Standard deviation", "events per session", decimal(sessions.events_std)),
        ("Minimum", "events per session", figure(sessions.events_min)),
        ("25th percentile", "events per session", figure(sessions.events_p25)),
        ("Median", "events per session", figure(sessions.events_p50)),
        ("75th percentile", "events per session", figure(sessions.events_p75)),
        ("Maximum", "events per session", figure(sessions.events_max)),
        ("Mean duration", "minutes", decimal(sessions.minutes_mean)),
        ("Median duration", "minutes", decimal(sessions.minutes_median)),
    ]
    return html_table("Sessions", ("Figure", "Unit", "Value"), rows, text_columns=(1,))
