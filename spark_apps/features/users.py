"""User features (SPEC F1).

A user's events stand in one partition, so everything about a user can be worked out there: each task
hands its partition to Arrow's group-bys, whose distinct counts are exact and far cheaper than Spark's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from spark_apps.features.pairs import ratio
from spark_apps.schemas import USER_FEATURES

_SECONDS_PER_MINUTE = 60.0
_COUNTED_TYPES = {"view": "views", "cart": "carts", "purchase": "purchases", "remove_from_cart": "removals"}
_DISTINCT = {
    "product_id": "unique_products",
    "category_code": "unique_categories",
    "brand": "unique_brands",
    "day": "frequency",
    "user_session": "sessions",
}
_GATHERED = pa.schema(
    [
        ("user_id", pa.int64()),
        *((name, pa.int64()) for name in ("total_events", *_COUNTED_TYPES.values(), *_DISTINCT.values(), "priced")),
        ("price_sum", pa.float64()),
        ("monetary", pa.float64()),
        ("first_seen", pa.timestamp("us", "UTC")),
        ("last_seen", pa.timestamp("us", "UTC")),
        ("preferred_hour", pa.int32()),
        ("mean_session_minutes", pa.float64()),
    ]
)
_GATHERED_SPARK = from_arrow_schema(_GATHERED)


def user_features(user_events: DataFrame, last_date: date) -> DataFrame:
    """Computes one row of features per user.

    Args:
        user_events: events brought together by `features.pairs.by_user`; a task holds one partition of them
            in memory, some 100 bytes an event.
        last_date: the last date in the data, from which recency counts.

    Returns:
        The columns of schemas.USER_FEATURES.
    """
    return user_events.mapInArrow(_gather_partition, _GATHERED_SPARK).select(*_columns(last_date))


def _gather_partition(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    held = [batch for batch in batches if batch.num_rows]
    if held:
        yield from gather(pa.Table.from_batches(held)).to_batches()


def gather(events: pa.Table) -> pa.Table:
    """Adds up and counts what is known of each user; ratios are left to Spark.

    Args:
        events: the columns of `features.pairs.by_user`.

    Returns:
        One row per user: counts, sums, distinct counts, first and last time, preferred hour, session minutes.
    """
    kinds, time = events["event_type"], events["event_time"].cast(pa.timestamp("us", "UTC"))
    columns = {"user_id": events["user_id"], "price": events["price"], "time": time}
    columns |= {name: pc.equal(kinds, kind).cast(pa.int64()) for kind, name in _COUNTED_TYPES.items()}
    columns |= {"spent": pc.if_else(pc.equal(kinds, "purchase"), events["price"], None)}
    columns |= {name: events[name] for name in _DISTINCT if name != "day"}
    seconds = pc.divide(time.cast(pa.int64()), 1_000_000)
    columns |= {"day": pc.divide(seconds, 86_400), "hour": pc.hour(time), "seconds": seconds}
    table = pa.table(columns)
    per_user = _totals(table)
    for part in (_preferred_hours(table), _session_minutes(table)):
        per_user = per_user.join(part, "user_id", join_type="left outer", use_threads=False)
    return per_user.select(_GATHERED.names).cast(_GATHERED)


def _totals(table: pa.Table) -> pa.Table:
    aggregates: dict[str, tuple[str, str, object]] = {name: (name, "sum", None) for name in _COUNTED_TYPES.values()}
    aggregates |= {name: (column, "count_distinct", None) for column, name in _DISTINCT.items()}
    aggregates |= {
        "total_events": ("user_id", "count", None),
        "priced": ("price", "count", None),
        "price_sum": ("price", "sum", None),
        "monetary": ("spent", "sum", pc.ScalarAggregateOptions(min_count=0)),
        "first_seen": ("time", "min", None),
        "last_seen": ("time", "max", None),
    }
    return _grouped(table, ["user_id"], aggregates)


def _preferred_hours(table: pa.Table) -> pa.Table:
    """The hour with most events, the earliest of equals: count and hour packed into one sortable number."""
    hours = _grouped(table, ["user_id", "hour"], {"events": ("hour", "count", None)})
    packed = pc.add(pc.multiply(hours["events"], 24), pc.subtract(23, hours["hour"]))
    most = _grouped(hours.append_column("packed", packed), ["user_id"], {"most": ("packed", "max", None)})
    remainder = pc.subtract(most["most"], pc.multiply(pc.divide(most["most"], 24), 24))
    return pa.table({"user_id": most["user_id"], "preferred_hour": pc.subtract(23, remainder)})


def _session_minutes(table: pa.Table) -> pa.Table:
    known = table.filter(pc.is_valid(table["user_session"]))
    spans = _grouped(
        known, ["user_id", "user_session"], {"first": ("seconds", "min", None), "last": ("seconds", "max", None)}
    )
    minutes = pc.divide(pc.subtract(spans["last"], spans["first"]).cast(pa.float64()), _SECONDS_PER_MINUTE)
    return _grouped(
        spans.append_column("minutes", minutes), ["user_id"], {"mean_session_minutes": ("minutes", "mean", None)}
    )


def _grouped(table: pa.Table, keys: list[str], aggregates: Mapping[str, tuple[str, str, object]]) -> pa.Table:
    """Groups a table; each aggregate is given as its name, then column, function and options."""
    grouped = table.group_by(keys, use_threads=False).aggregate(list(aggregates.values()))
    made = [f"{column}_{function}" for column, function, _ in aggregates.values()]
    return grouped.select([*keys, *made]).rename_columns([*keys, *aggregates])


def _columns(last_date: date) -> list[Column]:
    views, carts, purchases = F.col("views"), F.col("carts"), F.col("purchases")
    computed = {
        "recency": F.datediff(F.lit(last_date), F.to_date("last_seen")),
        "avg_price": F.when(F.col("priced") > 0, F.col("price_sum") / F.col("priced")),
        "conversion_rate": ratio(purchases, views),
        "cart_abandonment": F.greatest(ratio(carts - purchases, carts), F.lit(0.0)),
    }
    return [computed.get(name, F.col(name)).alias(name) for name in USER_FEATURES.fieldNames()]
