"""User features (SPEC F1)."""

from __future__ import annotations

from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_apps.features.grouping import COUNTED_TYPES, grouped, seconds_of, spent, summed, type_flags
from spark_apps.features.pairs import ratio
from spark_apps.schemas import USER_FEATURES

_SECONDS_PER_MINUTE = 60.0
_DISTINCT = {
    "product_id": "unique_products",
    "category_code": "unique_categories",
    "brand": "unique_brands",
    "day": "frequency",
    "user_session": "sessions",
}
_COUNTS = ("total_events", *COUNTED_TYPES.values(), *_DISTINCT.values(), "priced")
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


def user_features(gathered: DataFrame, last_date: date) -> DataFrame:
    """Computes one row of features per user.

    Args:
        gathered: the result of `features.gathering.gather`.
        last_date: the last date in the data, from which recency counts.

    Returns:
        The columns of schemas.USER_FEATURES.
    """
    return gathered.where(F.col("first_seen").isNotNull()).select(*feature_columns(last_date))


def sum_users(events: pa.Table) -> pa.Table:
    """Adds up and counts what is known of each user; ratios are left to Spark.

    Args:
        events: user_id, product_id, category_code, brand, event_type, price, event_time, user_session.

    Returns:
        The columns of USER_SUMS: counts, sums, distinct counts, first and last time, preferred hour, session minutes.
    """
    time = events["event_time"].cast(pa.timestamp("us", "UTC"))
    columns = {"user_id": events["user_id"], "price": events["price"], "time": time, **type_flags(events)}
    columns |= {"spent": spent(events)}
    columns |= {name: events[name] for name in _DISTINCT if name != "day"}
    seconds = seconds_of(events)
    columns |= {"day": pc.divide(seconds, 86_400), "hour": pc.hour(time), "seconds": seconds}
    table = pa.table(columns)
    per_user = _totals(table)
    for part in (_preferred_hours(table), _session_minutes(table)):
        per_user = per_user.join(part, "user_id", join_type="left outer", use_threads=False)
    return per_user.select(USER_SUMS.names).cast(USER_SUMS)


def _totals(table: pa.Table) -> pa.Table:
    aggregates = summed(*COUNTED_TYPES.values())
    aggregates |= {name: (column, "count_distinct", None) for column, name in _DISTINCT.items()}
    aggregates |= {
        "total_events": ("user_id", "count", None),
        "priced": ("price", "count", None),
        "price_sum": ("price", "sum", None),
        "monetary": summed("spent")["spent"],
        "first_seen": ("time", "min", None),
        "last_seen": ("time", "max", None),
    }
    return grouped(table, ["user_id"], aggregates)


def _preferred_hours(table: pa.Table) -> pa.Table:
    """The hour with most events, the earliest of equals: count and hour packed into one sortable number."""
    hours = grouped(table, ["user_id", "hour"], {"events": ("hour", "count", None)})
    packed = pc.add(pc.multiply(hours["events"], 24), pc.subtract(23, hours["hour"]))
    most = grouped(hours.append_column("packed", packed), ["user_id"], {"most": ("packed", "max", None)})
    remainder = pc.subtract(most["most"], pc.multiply(pc.divide(most["most"], 24), 24))
    return pa.table({"user_id": most["user_id"], "preferred_hour": pc.subtract(23, remainder)})


def session_spans(table: pa.Table) -> pa.Table:
    """Returns user_id, user_session, first and last second of each session of a table with `seconds`."""
    known = table.filter(pc.is_valid(table["user_session"]))
    return grouped(
        known, ["user_id", "user_session"], {"first": ("seconds", "min", None), "last": ("seconds", "max", None)}
    )


def _session_minutes(table: pa.Table) -> pa.Table:
    spans = session_spans(table)
    minutes = pc.divide(pc.subtract(spans["last"], spans["first"]).cast(pa.float64()), _SECONDS_PER_MINUTE)
    return grouped(
        spans.append_column("minutes", minutes), ["user_id"], {"mean_session_minutes": ("minutes", "mean", None)}
    )


def feature_columns(last_date: date) -> list[Column]:
    """Returns the columns of schemas.USER_FEATURES for rows with the columns of USER_SUMS."""
    views, carts, purchases = F.col("views"), F.col("carts"), F.col("purchases")
    computed = {
        "recency": F.datediff(F.lit(last_date), F.to_date("last_seen")),
        "avg_price": F.when(F.col("priced") > 0, F.col("price_sum") / F.col("priced")),
        "conversion_rate": ratio(purchases, views),
        "cart_abandonment": F.greatest(ratio(carts - purchases, carts), F.lit(0.0)),
    }
    return [computed.get(name, F.col(name)).alias(name) for name in USER_FEATURES.fieldNames()]
