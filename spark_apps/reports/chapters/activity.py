"""What happened when, at which prices, in how long sessions (SPEC E1, E3-E5)."""

from __future__ import annotations

from spark_apps.reports.charts import activity as charts
from spark_apps.reports.data import Analysis, ReportData, SessionSummary
from spark_apps.reports.formats import counted, decimal, figure, joined, known, largest_first, share
from spark_apps.reports.layout import Chart, Section, heading, note, paragraph
from spark_apps.reports.tables import activity as tables
from spark_apps.reports.tables.table import counts_table


def chapter(data: ReportData) -> Section:
    """Lays out the chapter.

    Args:
        data: what the report shows.
    """
    analysis = data.analysis
    parts = (*_types(analysis), *_time(analysis), *_prices(analysis), *_sessions(analysis["sessions"]))
    return Section("activity", "Activity", parts)


def type_sentences(analysis: Analysis) -> list[str]:
    """Says how events divide into types and how types relate.

    Args:
        analysis: counts over the events.

    Returns:
        Up to two sentences.
    """
    counts, events = analysis["event_counts"], analysis["events"]
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
    events, sentences = analysis["events"], []
    if sum(count > 0 for count in analysis["events_by_day"].values()) > 1:
        day, count = largest_first(analysis["events_by_day"])[0]
        sentences.append(f"The busiest date is {day} with {counted(count, 'event')} ({share(count, events)}).")
    hours = {int(hour): count for hour, count in analysis["events_by_hour"].items()}
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
    if not sessions["count"]:
        return ["No event names a session."]
    text = counted(sessions["count"], "session")
    if known(sessions["events_p50"]) is not None:
        half = figure(sessions["events_p50"])
        text += f" with {decimal(sessions['events_mean'])} events on average (median {half})"
    if known(sessions["minutes_median"]) is not None:
        mean, median = decimal(sessions["minutes_mean"]), decimal(sessions["minutes_median"])
        text += f", {mean} minutes long on average (median {median})"
    return [f"The events form {text}."]


def _types(analysis: Analysis) -> list[Chart | str]:
    counts, events = analysis["event_counts"], analysis["events"]
    if not events:
        return [note("There are no events.")]
    table = counts_table("Events by type", "Event type", "Events", counts, events)
    shares = counts_table("Share of each event type", "Event type", "Events", counts, events)
    return [
        paragraph([*type_sentences(analysis), *time_sentences(analysis)]),
        Chart("chart-events-by-type", charts.events_by_type(counts), table),
        Chart("chart-event-shares", charts.event_shares(counts), shares),
    ]


def _time(analysis: Analysis) -> list[Chart | str]:
    days, hours, events = analysis["events_by_day"], analysis["events_by_hour"], analysis["events"]
    parts: list[Chart | str] = []
    if days:
        parts.append(Chart("chart-events-by-day", charts.events_by_day(days), tables.days_table(days, events)))
    if hours:
        parts.append(Chart("chart-events-by-hour", charts.events_by_hour(hours), tables.hours_table(hours, events)))
    return parts


def _prices(analysis: Analysis) -> list[Chart | str]:
    prices = analysis["price_by_event_type"]
    if not prices:
        return []
    chart, table = charts.price_by_type(prices), tables.price_table(prices)
    if not chart.data:
        return [heading("Prices"), note("No event has a price."), table]
    how = "Each line runs from the lowest to the highest price; the diamond is the mean."
    return [heading("Prices and sessions"), Chart("chart-prices", chart, table, how)]


def _sessions(sessions: SessionSummary) -> list[Chart | str]:
    chart, table = charts.session_events(sessions), tables.session_table(sessions)
    if not sessions["count"] or not chart.data[0].x:
        return [paragraph(session_sentences(sessions))]
    return [Chart("chart-session-events", chart, table, session_sentences(sessions)[0])]
