"""Tables of what happened when, at which prices, in how long sessions."""

from __future__ import annotations

from collections.abc import Mapping

from spark_apps.reports.data import PriceSummary, SessionSummary
from spark_apps.reports.formats import decimal, figure, share, whole
from spark_apps.reports.tables.table import table


def days_table(counts: Mapping[str, int], events: int) -> str:
    """Writes events per date.

    Args:
        counts: events per ISO date, UTC.
        events: all events.

    Returns:
        HTML.
    """
    rows = [(day, whole(counts[day]), share(counts[day], events)) for day in sorted(counts)]
    return table("Events by day", ("Date (UTC)", "Events (count)", "Share"), rows)


def hours_table(counts: Mapping[str, int], events: int) -> str:
    """Writes events per hour of the day.

    Args:
        counts: events per hour, keys "0" to "23", UTC.
        events: all events.

    Returns:
        HTML.
    """
    values = [counts.get(str(hour), 0) for hour in range(24)]
    rows = [(f"{hour:02d}:00", whole(count), share(count, events)) for hour, count in enumerate(values)]
    return table("Events by hour of the day", ("Hour from (UTC)", "Events (count)", "Share"), rows)


def price_table(prices: Mapping[str, PriceSummary]) -> str:
    """Writes prices per event type.

    Args:
        prices: mean, lowest, highest and number of prices per event type.

    Returns:
        HTML.
    """
    heads = ("Event type", "Mean", "Lowest", "Highest", "Priced events (count)")
    rows = [
        (name, decimal(price["mean"]), decimal(price["min"]), decimal(price["max"]), whole(price["count"]))
        for name, price in prices.items()
    ]
    return table("Price by event type, in the currency of the log", heads, rows)


def session_table(sessions: SessionSummary) -> str:
    """Writes the figures of the sessions.

    Args:
        sessions: number, events and minutes of the sessions.

    Returns:
        HTML.
    """
    rows = [
        ("Sessions", "count", whole(sessions["count"])),
        ("Mean", "events per session", decimal(sessions["events_mean"])),
        ("Standard deviation", "events per session", decimal(sessions["events_std"])),
        ("Minimum", "events per session", figure(sessions["events_min"])),
        ("25th percentile", "events per session", figure(sessions["events_p25"])),
        ("Median", "events per session", figure(sessions["events_p50"])),
        ("75th percentile", "events per session", figure(sessions["events_p75"])),
        ("Maximum", "events per session", figure(sessions["events_max"])),
        ("Mean duration", "minutes", decimal(sessions["minutes_mean"])),
        ("Median duration", "minutes", decimal(sessions["minutes_median"])),
    ]
    return table("Sessions", ("Figure", "Unit", "Value"), rows, text_columns=(1,))
