"""Finds the dates that recency counts between, for every job that needs them: see features.reference."""

from __future__ import annotations

from datetime import date

from spark_apps.engine.base import Engine, Relation
from spark_apps.features import units
from spark_apps.features.reference import Reference, has_gaps, reference_of
from spark_apps.progress import notice


def find_reference(engine: Engine, events: Relation, days: list[date]) -> Reference:
    """Finds the dates that recency counts between, and says which are left out.

    Args:
        engine: counts users, where dates have a gap.
        events: user_id and event_time, and perhaps other columns.
        days: the dates that there are of them, in order.
    """
    if not has_gaps(days):  # as nearly always
        return reference_of(days, {})
    found = engine.run(units.last_dates, {"events": events.select("user_id", "event_time")}, by="user_id")
    return _told(reference_of(days, units.users_by_date(found.result("last_dates", units.LAST_DATES))))


def _told(reference: Reference) -> Reference:
    for sentence in reference.sentences():
        notice(sentence)
    return reference
