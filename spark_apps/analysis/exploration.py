"""The figures of the October report (SPEC E1-E5). All counts and quantiles are exact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from spark_apps.analysis.counts import Counts
from spark_apps.analysis.quantiles import quantile
from spark_apps.analysis.units import LOGGED, merged
from spark_apps.results import Result
from spark_apps.schemas import EVENT_TYPES

_QUANTILES = {"events_min": 0.0, "events_p25": 0.25, "events_p50": 0.5, "events_p75": 0.75, "events_max": 1.0}
_SECONDS_PER_MINUTE = 60.0
_Row = Mapping[str, Any]


class PriceSummary(Result):
    """Prices of one event type, in the log's currency; None where no event has a price."""

    mean: float | None
    min: float | None
    max: float | None
    count: int


class SessionSummary(Result):
    """Sessions: events in each (percentiles included) and minutes from first to last event."""

    count: int
    events_mean: float | None
    events_std: float | None
    events_min: float | None
    events_p25: float | None
    events_p50: float | None
    events_p75: float | None
    events_max: float | None
    minutes_mean: float | None
    minutes_median: float | None


class Exploration(Result):
    """What events there are.

    missing_values: events without a value, per column; events_by_day: by ISO date; events_by_hour: keys "0" to "23",
    UTC; duplicates: rows that repeat another one exactly.
    """

    events: int
    event_counts: dict[str, int]
    missing_values: dict[str, int]
    events_by_day: dict[str, int]
    events_by_hour: dict[str, int]
    price_by_event_type: dict[str, PriceSummary]
    sessions: SessionSummary
    duplicates: int
    users: int | None = None
    products: int | None = None


def explore(counts: Counts) -> Exploration:
    """Counts what clean events there are.

    A literal `unknown` in category_code or brand counts as missing, as does a price of 0 or below.
    """
    cube = counts.cube.to_pylist()
    return Exploration(
        events=sum(row["events"] for row in cube),
        event_counts={kind: count for kind in EVENT_TYPES if (count := _total(cube, "event_type", kind))},
        missing_values={name: sum(row[f"missing_{name}"] for row in cube) for name in LOGGED},
        events_by_day=_by(cube, "date"),
        events_by_hour=_by(cube, "hour"),
        price_by_event_type=_prices(counts.cube),
        sessions=_sessions(counts.session_shapes),
        duplicates=counts.duplicates,
        users=counts.users,
        products=counts.products,
    )


def _total(cube: Sequence[_Row], column: str, value: object) -> int:
    return sum(row["events"] for row in cube if row[column] == value)


def _by(cube: Sequence[_Row], column: str) -> dict[str, int]:
    totals: Counter[Any] = Counter()
    for row in cube:
        totals[row[column]] += row["events"]
    return {str(key): totals[key] for key in sorted(totals)}


def _prices(cube: pa.Table) -> dict[str, PriceSummary]:
    """Prices by type; sums are decimals until they are divided, so that no order of adding up changes a digit."""
    sums = merged(cube.select(["event_type", "priced", "price_sum", "price_min", "price_max"]), "event_type")
    found = {row["event_type"]: row for row in sums.to_pylist()}
    return {
        kind: PriceSummary(
            mean=float(row["price_sum"]) / row["priced"] if row["priced"] else None,
            min=row["price_min"],
            max=row["price_max"],
            count=row["priced"],
        )
        for kind in EVENT_TYPES
        if (row := found.get(kind)) is not None
    }


def _sessions(shapes: pa.Table) -> SessionSummary:
    """Sessions by their id; events without one are left out. Quantiles interpolate linearly, as pandas and NumPy do."""
    sizes, seconds = (_sessions_by(shapes, figure) for figure in ("events", "seconds"))
    count, total = sum(sizes.values()), sum(size * sessions for size, sessions in sizes.items())
    mean, spread = total / count if count else None, None
    if count > 1 and mean is not None:  # of a sample, as pandas does
        squares = sum(size * size * sessions for size, sessions in sizes.items())
        spread = max(0.0, (squares - count * mean * mean) / (count - 1)) ** 0.5
    length, median = sum(number * sessions for number, sessions in seconds.items()), quantile(seconds, 0.5)
    return SessionSummary(
        count=count,
        events_mean=mean,
        events_std=spread,
        **{name: quantile(sizes, share) for name, share in _QUANTILES.items()},
        minutes_mean=length / count / _SECONDS_PER_MINUTE if count else None,
        minutes_median=None if median is None else median / _SECONDS_PER_MINUTE,
    )


def _sessions_by(shapes: pa.Table, figure: str) -> dict[int, int]:
    rows = shapes.filter(pc.field("figure") == figure)
    return dict(zip(rows["number"].to_pylist(), rows["sessions"].to_pylist(), strict=True))
