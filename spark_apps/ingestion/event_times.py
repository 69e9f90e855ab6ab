"""Which times the events of a file can have: none is from after the file was landed or dropped (SPEC D4, T2)."""

from __future__ import annotations

from datetime import date, datetime, timedelta

# An event cannot be later than the landing or drop of its file, but for clocks that differ.
CLOCK_DIFFERENCE = timedelta(minutes=5)


def latest_possible(arrived_at: datetime) -> datetime:
    """Returns the latest time that an event can have whose file was landed or dropped at a moment."""
    return arrived_at + CLOCK_DIFFERENCE


def may_hold_later(day: date | None, latest: datetime) -> bool:
    """Says whether events of a date can be later than a moment, UTC; rows without a date are no events."""
    return day is not None and day >= latest.date()
