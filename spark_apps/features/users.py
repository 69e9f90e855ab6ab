"""User features (SPEC F1)."""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_apps.features.grouping import COUNTED_TYPES, Groups, Integers, micros_of, priced_rows, rows_of_types
from spark_apps.features.pairs import ratio
from spark_apps.schemas import USER_FEATURES

_SECONDS_PER_MINUTE = 60.0
_MICROS_PER_SECOND = 1_000_000
_MICROS_PER_HOUR = 3600 * _MICROS_PER_SECOND
_MICROS_PER_DAY = 24 * _MICROS_PER_HOUR
_DISTINCT = {
    "product_id": "unique_products",
    "category_code": "unique_categories",
    "brand": "unique_brands",
}
_COUNTS = ("total_events", *COUNTED_TYPES.values(), *_DISTINCT.values(), "frequency", "sessions", "priced")
USER_SUMS = pa.schema(
    [
        ("user_id", pa.int64()),
        *((name, pa.int64()) for name in _COUNTS),
        ("price_sum", pa.float64()),
        ("monetary", pa.float64()),
        ("first_seen", pa.timestamp("us", "UTC")),
        ("last_seen", pa.timestamp("us", "UTC")),
        ("preferred_hour", pa.int32()),
        ("mean_session_minutes", pa.float64()),
    ]
)


def user_features(gathered: DataFrame, last_date: date, first_date: date | None = None) -> DataFrame:
    """Computes one row of features per user.

    Args:
        gathered: the result of `features.gathering.gather`.
        last_date: the date that recency counts from; who was seen later has 0. See `features.reference`.
        first_date: the date that it counts to at most; None for no bound.

    Returns:
        The columns of schemas.USER_FEATURES.
    """
    return gathered.where(F.col("first_seen").isNotNull()).select(*feature_columns(last_date, first_date))


def sum_users(events: pa.Table) -> pa.Table:
    """Adds up and counts what is known of each user; ratios are left to Spark.

    Args:
        events: user_id, product_id, category_code, brand, event_type, price, event_time, user_session.

    Returns:
        The columns of USER_SUMS: counts, sums, distinct counts, first and last time, preferred hour, session minutes.
    """
    users = Groups.by(events["user_id"])
    micros, types, (prices, priced) = micros_of(events), rows_of_types(events), priced_rows(events)
    columns = {
        "user_id": users.keys,
        "total_events": users.counts(),
        **{name: users.counts(rows) for name, rows in types.items()},
        **{name: users.distinct(Groups.by(events[column])) for column, name in _DISTINCT.items()},
        "frequency": users.distinct(Groups.by(pa.chunked_array([micros // _MICROS_PER_DAY]))),
        "priced": users.counts(priced),
        "price_sum": users.sums(prices),
        "monetary": users.sums(np.where(types["purchases"], prices, 0.0)),
        "first_seen": users.lowest(micros),
        "last_seen": users.highest(micros),
        "preferred_hour": _preferred_hours(users, micros),
        **_session_columns(users, events, micros),
    }
    return pa.table([pa.array(columns[field.name]).cast(field.type) for field in USER_SUMS], USER_SUMS)


def _preferred_hours(users: Groups, micros: Integers) -> Integers:
    """The hour with most events, the earliest of equals."""
    hours = users.numbers.astype(np.int64) * 24 + micros // _MICROS_PER_HOUR % 24
    most: Integers = np.bincount(hours, minlength=24 * len(users)).reshape(-1, 24).argmax(axis=1)
    return most


def _session_columns(users: Groups, events: pa.Table, micros: Integers) -> dict[str, pa.Array]:
    lengths = session_lengths(users, events, micros)
    sessions = np.bincount(lengths.users, minlength=len(users))
    minutes = np.bincount(lengths.users, lengths.seconds / _SECONDS_PER_MINUTE, len(users)) / np.maximum(sessions, 1)
    return {"sessions": sessions, "mean_session_minutes": pa.array(minutes, mask=sessions == 0)}


class SessionLengths(NamedTuple):
    """Sessions: of each, the number of its user and whole seconds from its first event to its last."""

    users: Integers
    seconds: Integers


def session_lengths(users: Groups, events: pa.Table, micros: Integers) -> SessionLengths:
    """Measures the sessions of each user.

    Args:
        users: the rows of `events`.
        events: user_session, null where an event has none.
        micros: times of the events.
    """
    sessions = Groups.by(events["user_session"])
    met = users.meetings(sessions)
    seconds = micros[sessions.numbers >= 0] // _MICROS_PER_SECOND
    return SessionLengths(met.first, met.rows.highest(seconds) - met.rows.lowest(seconds))


def feature_columns(last_date: date, first_date: date | None = None) -> list[Column]:
    """Returns the columns of schemas.USER_FEATURES for rows with the columns of USER_SUMS.

    Args:
        last_date: as for `user_features`.
        first_date: likewise.
    """
    recency = F.greatest(F.datediff(F.lit(last_date), F.to_date("last_seen")), F.lit(0))
    if first_date is not None:
        recency = F.least(recency, F.lit((last_date - first_date).days))
    views, carts, purchases = F.col("views"), F.col("carts"), F.col("purchases")
    computed = {
        "recency": recency,
        "avg_price": F.when(F.col("priced") > 0, F.col("price_sum") / F.col("priced")),
        "conversion_rate": ratio(purchases, views),
        "cart_abandonment": F.greatest(ratio(carts - purchases, carts), F.lit(0.0)),
    }
    return [computed.get(name, F.col(name)).alias(name) for name in USER_FEATURES.names]
