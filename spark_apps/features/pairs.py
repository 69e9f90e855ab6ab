"""Sums per (user, product): what interactions and product features are made from."""

from __future__ import annotations

import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_apps.features.grouping import COUNTED_TYPES, grouped, summed, type_flags

PAIR_SUMS = pa.schema(
    [
        ("user_id", pa.int64()),
        ("product_id", pa.int64()),
        ("category_code", pa.string()),
        ("brand", pa.string()),
        *((name, pa.int64()) for name in ("events", *COUNTED_TYPES.values(), "priced")),
        ("price_sum", pa.float64()),
        ("last_time", pa.timestamp("us", "UTC")),
    ]
)
_PAIR = ("user_id", "product_id")
_DESCRIPTION = ("category_code", "brand")


def sum_pairs(events: pa.Table) -> pa.Table:
    """Adds up a user's events on a product.

    Args:
        events: user_id, product_id, category_code, brand, event_type, price, event_time.

    Returns:
        The columns of PAIR_SUMS: counts; `priced` events with a price; price_sum in the log's currency; category
        code and brand of the last event, in the alphabet the last of equals.
    """
    columns = {name: events[name] for name in (*_PAIR, *_DESCRIPTION, "price")}
    columns |= {"time": events["event_time"].cast(pa.timestamp("us", "UTC")), **type_flags(events)}
    described = grouped(
        pa.table(columns),
        [*_PAIR, *_DESCRIPTION],
        summed(*COUNTED_TYPES.values())
        | {"events": ("user_id", "count", None), "priced": ("price", "count", None)}
        | {"price_sum": summed("price")["price"], "last_time": ("time", "max", None)},
    )
    in_time = described.sort_by([(name, "ascending") for name in ("last_time", *_DESCRIPTION)])
    sums = summed("events", *COUNTED_TYPES.values(), "priced", "price_sum")
    last = {name: (name, "last", None) for name in ("last_time", *_DESCRIPTION)}
    return grouped(in_time, _PAIR, sums | last).select(PAIR_SUMS.names).cast(PAIR_SUMS)


def pair_sums(gathered: DataFrame) -> DataFrame:
    """Returns the pairs of `features.gathering.gather`: the columns of PAIR_SUMS, a pair at most once."""
    return gathered.where(F.col("product_id").isNotNull()).select(*PAIR_SUMS.names)


def ratio(part: Column, whole: Column) -> Column:
    """Returns part / whole, or 0 where the whole is 0."""
    return F.when(whole > 0, part / whole).otherwise(F.lit(0.0))
