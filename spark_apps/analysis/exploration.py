"""The figures of the October report (SPEC E1-E5). All counts and quantiles are exact."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pyspark.sql import Column, DataFrame, Row
from pyspark.sql import functions as F

from spark_apps.schemas import EVENT_TYPES, EVENTS, UNKNOWN

_SESSION_QUANTILES = {
    "events_min": 0.0,
    "events_p25": 0.25,
    "events_p50": 0.5,
    "events_p75": 0.75,
    "events_max": 1.0,
}
_SECONDS_PER_MINUTE = 60.0
# The nine columns of the log, in its order.
_LOGGED = EVENTS.fieldNames()[:9]
# Of which cleaning has filled these.
_FILLED = ("category_code", "brand")


def explore(events: DataFrame) -> dict[str, Any]:
    """Computes the exploration of clean events.

    A literal `unknown` in category_code or brand counts as missing, as does a price of 0 or below.

    Args:
        events: columns of schemas.EVENTS.

    Returns:
        events, event_counts, missing_values, events_by_day, events_by_hour, price_by_event_type, sessions,
        duplicates, users, products: numbers, or dictionaries of numbers.
    """
    cube = _cube(events)
    return {
        "events": sum(row["events"] for row in cube),
        "event_counts": {kind: count for kind in EVENT_TYPES if (count := _total(cube, "event_type", kind))},
        "missing_values": {name: sum(row[f"missing_{name}"] for row in cube) for name in _LOGGED},
        "events_by_day": _by(cube, "date"),
        "events_by_hour": _by(cube, "hour"),
        "price_by_event_type": _prices(cube),
        "sessions": _sessions(events),
        "duplicates": _duplicates(events),
        "users": events.select("user_id").distinct().count(),
        "products": events.select("product_id").distinct().count(),
    }


def _cube(events: DataFrame) -> list[Row]:
    """One pass over the events: at most types x days x hours rows come back."""
    price = F.col("price")
    missing = [F.count_if(_is_missing(name)) for name in _LOGGED]
    cube = events.groupBy("event_type", "date", "hour").agg(
        F.count("*").alias("events"),
        F.count(price).alias("priced"),
        F.sum(price).alias("price_sum"),
        F.min(price).alias("price_min"),
        F.max(price).alias("price_max"),
        *(count.alias(f"missing_{name}") for name, count in zip(_LOGGED, missing, strict=True)),
    )
    return cube.collect()


def _is_missing(name: str) -> Column:
    return F.col(name) == UNKNOWN if name in _FILLED else F.col(name).isNull()


def _total(cube: Sequence[Row], column: str, value: object) -> int:
    return sum(row["events"] for row in cube if row[column] == value)


def _by(cube: Sequence[Row], column: str) -> dict[str, int]:
    totals: Counter[Any] = Counter()
    for row in cube:
        totals[row[column]] += row["events"]
    return {str(key): totals[key] for key in sorted(totals)}


def _prices(cube: Sequence[Row]) -> dict[str, dict[str, float | int | None]]:
    prices: dict[str, dict[str, float | int | None]] = {}
    for kind in EVENT_TYPES:
        rows = [row for row in cube if row["event_type"] == kind]
        priced = [row for row in rows if row["priced"]]
        count = sum(row["priced"] for row in priced)
        if rows:
            prices[kind] = {
                "mean": sum(row["price_sum"] for row in priced) / count if count else None,
                "min": min((row["price_min"] for row in priced), default=None),
                "max": max((row["price_max"] for row in priced), default=None),
                "count": count,
            }
    return prices


def _sessions(events: DataFrame) -> dict[str, float | int | None]:
    """Sessions by their id; events without one are left out.

    Quantiles interpolate linearly, as pandas and NumPy do. They are exact: the distributions are
    grouped into distinct values first.
    """
    seconds = F.max(F.unix_timestamp("event_time")) - F.min(F.unix_timestamp("event_time"))
    spans = (
        events.where(F.col("user_session").isNotNull())
        .groupBy("user_session")
        .agg(F.count("*").alias("events"), seconds.alias("seconds"))
    )
    shapes = spans.groupBy("events", "seconds").agg(F.count("*").alias("sessions"))
    sizes = shapes.groupBy("events").agg(F.sum("sessions").alias("sessions"))
    durations = shapes.groupBy("seconds").agg(F.sum("sessions").alias("sessions"))
    quantiles = F.percentile("events", F.array(*map(F.lit, _SESSION_QUANTILES.values())), F.col("sessions"))
    number, total, squares = F.sum("sessions"), F.sum(F.col("events") * F.col("sessions")), F.col("events")
    size = sizes.agg(
        number.alias("count"),
        total.alias("total"),
        F.sum(squares * squares * F.col("sessions")).alias("squares"),
        quantiles.alias("quantiles"),
    ).collect()[0]
    length = durations.agg(
        (F.sum(F.col("seconds") * F.col("sessions")) / number).alias("mean"),
        F.percentile("seconds", F.lit(0.5), F.col("sessions")).alias("median"),
    ).collect()[0]
    return _session_figures(size, length)


def _session_figures(size: Row, length: Row) -> dict[str, float | int | None]:
    count = size["count"] or 0
    quantiles = size["quantiles"] or [None] * len(_SESSION_QUANTILES)
    mean = size["total"] / count if count else None
    spread = None
    if count > 1 and mean is not None:  # of a sample, as pandas does
        spread = max(0.0, (size["squares"] - count * mean * mean) / (count - 1)) ** 0.5
    return {
        "count": count,
        "events_mean": mean,
        "events_std": spread,
        **dict(zip(_SESSION_QUANTILES, quantiles, strict=True)),
        "minutes_mean": length["mean"] / _SECONDS_PER_MINUTE if count else None,
        "minutes_median": length["median"] / _SECONDS_PER_MINUTE if count else None,
    }


def _duplicates(events: DataFrame) -> int:
    """Rows beyond the first of each set of equal rows."""
    copies = events.groupBy(*_LOGGED).count().where(F.col("count") > 1)
    row = copies.agg(F.sum(F.col("count") - 1).alias("extra")).first()
    return int(row["extra"] or 0) if row else 0
