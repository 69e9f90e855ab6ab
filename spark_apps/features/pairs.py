"""Sums per (user, product): the one aggregation that every feature table starts from.

Distinct counts are exact and cheap because they are group-bys of these much fewer rows.
Groups hold fixed-width sums only, so that Spark aggregates by hash and never sorts the events.
"""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

SUMS = ("events", "views", "carts", "purchases", "removals", "priced", "price_sum", "spent")


def by_user(events: DataFrame) -> DataFrame:
    """Brings each user's events together, once, with the columns that features need.

    Every group-by that follows and contains `user_id` works inside its partition.
    """
    columns = (
        "user_id",
        "product_id",
        "category_code",
        "brand",
        "event_type",
        "price",
        "event_time",
        "user_session",
    )
    return events.select(*columns).repartition("user_id")


def pair_sums(user_events: DataFrame) -> DataFrame:
    """Sums a user's events on a product, apart for each category code and brand it was seen with.

    Args:
        user_events: the result of `by_user`.

    Returns:
        user_id, product_id, category_code, brand; events, views, carts, purchases, removals, priced (events with
        a price), all counts; price_sum, spent (on purchases), in the log's currency; first_time, last_time, UTC.
    """
    kind, price = F.col("event_type"), F.col("price")
    return user_events.groupBy("user_id", "product_id", "category_code", "brand").agg(
        F.count("*").alias("events"),
        F.count_if(kind == "view").alias("views"),
        F.count_if(kind == "cart").alias("carts"),
        F.count_if(kind == "purchase").alias("purchases"),
        F.count_if(kind == "remove_from_cart").alias("removals"),
        F.count(price).alias("priced"),
        F.coalesce(F.sum(price), F.lit(0.0)).alias("price_sum"),
        F.coalesce(F.sum(F.when(kind == "purchase", price)), F.lit(0.0)).alias("spent"),
        F.min("event_time").alias("first_time"),
        F.max("event_time").alias("last_time"),
    )


def summed(*names: str) -> list[Column]:
    """Returns the aggregates that add up columns of `pair_sums` under their own names."""
    return [F.sum(name).alias(name) for name in names]


def ratio(part: Column, whole: Column) -> Column:
    """Returns part / whole, or 0 where the whole is 0."""
    return F.when(whole > 0, part / whole).otherwise(F.lit(0.0))
