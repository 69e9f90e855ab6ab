"""Short ways to write events and to ask what the analysis finds in them, on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

from spark_apps.analysis.behaviour import describe_behaviour
from spark_apps.analysis.counts import Counts
from spark_apps.engine.base import Engine, Relation
from spark_apps.engine.local import LocalEngine
from spark_apps.jobs.analyze import count
from tests.factory import write_events_table

Row = dict[str, Any]


def visit(user: int, session: str | None, *steps: str, minute: int = 0) -> list[Row]:
    """Events of one visit, a second apart; a step is a type, or a type and a product such as `cart 7`."""
    rows = []
    for second, step in enumerate(steps):
        kind, _, product = step.partition(" ")
        rows.append(
            {
                "user_id": user,
                "user_session": session,
                "event_type": kind,
                "product_id": int(product or 1),
                "event_time": f"2019-10-01 00:{minute:02d}:{second:02d}",
            }
        )
    return rows


def counts_of(folder: Path, events: Sequence[Mapping[str, Any]] | Relation, engine: Engine | None = None) -> Counts:
    """What is counted in events.

    Args:
        folder: for files.
        events: as `factory.write_events_table` takes them, or files.
        engine: this machine with two cores and little memory by default.
    """
    own = folder / uuid4().hex
    files = events if isinstance(events, Relation) else write_events_table(own / "events", events)
    return count(engine or LocalEngine(2, 256 << 20, own / "spill"), files, own / "sums")


def behaviour(folder: Path, *visits: list[Row]) -> Row:
    """What `describe_behaviour` says of the events of all visits, the last events first."""
    found = describe_behaviour(counts_of(folder, [row for visited in visits for row in visited][::-1]))
    return found.figures()
