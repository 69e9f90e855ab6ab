"""User features (SPEC F1)."""

from __future__ import annotations

from datetime import date

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_apps.features.pairs import ratio, summed
from spark_apps.schemas import USER_FEATURES

_SECONDS_PER_MINUTE = 60.0


def user_features(user_events: DataFrame, pairs: DataFrame, last_date: date) -> DataFrame:
    """Computes one row of features per user.

    Args:
        user_events: events brought together by `features.pairs.by_user`.
        pairs: `features.pairs.pair_sums` of the same events.
        last_date: the last date in the data, from which recency counts.

    Returns:
        The columns of schemas.USER_FEATURES.
    """
    per_user = _totals(pairs)
    for part in (
        _distinct(pairs, "product_id", "unique_products"),
        _distinct(pairs, "category_code", "unique_categories"),
        _distinct(pairs, "brand", "unique_brands"),
        _distinct(user_events.withColumn("date", F.to_date("event_time")), "date", "frequency"),
        _preferred_hour(user_events),
        _sessions(user_events),
    ):
        per_user = per_user.join(part, on="user_id", how="left")
    return per_user.select(*_columns(last_date))


def _totals(pairs: DataFrame) -> DataFrame:
    sums = summed("events", "views", "carts", "purchases", "removals", "priced", "price_sum", "spent")
    seen = (F.min("first_time").alias("first_seen"), F.max("last_time").alias("last_seen"))
    return pairs.groupBy("user_id").agg(*sums, *seen)


def _distinct(frame: DataFrame, column: str, name: str) -> DataFrame:
    """Counts a column's distinct values per user, exactly, as two group-bys."""
    return frame.select("user_id", column).distinct().groupBy("user_id").agg(F.count("*").alias(name))


def _preferred_hour(user_events: DataFrame) -> DataFrame:
    """The hour with most events, the earliest of equals: count and hour packed into one sortable number."""
    hours = user_events.groupBy("user_id", F.hour("event_time").alias("hour")).agg(F.count("*").alias("events"))
    most = F.max(F.col("events") * 24 + (23 - F.col("hour")))
    return hours.groupBy("user_id").agg((23 - F.pmod(most, F.lit(24))).cast("int").alias("preferred_hour"))


def _sessions(user_events: DataFrame) -> DataFrame:
    spans = (
        user_events.where(F.col("user_session").isNotNull())
        .groupBy("user_id", "user_session")
        .agg((F.max(F.unix_timestamp("event_time")) - F.min(F.unix_timestamp("event_time"))).alias("seconds"))
    )
    minutes = F.avg("seconds") / _SECONDS_PER_MINUTE
    return spans.groupBy("user_id").agg(F.count("*").alias("sessions"), minutes.alias("mean_session_minutes"))


def _columns(last_date: date) -> list[Column]:
    views, carts, purchases = F.col("views"), F.col("carts"), F.col("purchases")
    computed = {
        "recency": F.datediff(F.lit(last_date), F.to_date("last_seen")),
        "monetary": F.col("spent"),
        "total_events": F.col("events"),
        "avg_price": F.when(F.col("priced") > 0, F.col("price_sum") / F.col("priced")),
        "conversion_rate": ratio(purchases, views),
        "cart_abandonment": F.greatest(ratio(carts - purchases, carts), F.lit(0.0)),
        "sessions": F.coalesce(F.col("sessions"), F.lit(0)).cast("bigint"),
    }
    return [computed.get(name, F.col(name)).alias(name) for name in USER_FEATURES.fieldNames()]
