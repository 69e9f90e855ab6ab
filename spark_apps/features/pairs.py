"""Sums per (user, product): what interactions and product features are made from."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_apps.features.grouping import COUNTED_TYPES, Groups, Integers, micros_of, priced_rows, rows_of_types

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
_DESCRIPTION = ("category_code", "brand")


def sum_pairs(events: pa.Table) -> pa.Table:
    """Adds up a user's events on a product.

    Args:
        events: user_id, product_id, category_code, brand, event_type, price, event_time.

    Returns:
        The columns of PAIR_SUMS: counts; `priced` events with a price; price_sum in the log's currency; category
        code and brand of the last event, in the alphabet the last of equals.
    """
    users, products = Groups.by(events["user_id"]), Groups.by(events["product_id"])
    met = users.meetings(products)
    pairs, micros, (prices, priced) = met.rows, micros_of(events), priced_rows(events)
    columns = {
        "user_id": users.keys.take(met.first),
        "product_id": products.keys.take(met.second),
        **_last_descriptions(pairs, events, micros),
        "events": pairs.counts(),
        **{name: pairs.counts(rows) for name, rows in rows_of_types(events).items()},
        "priced": pairs.counts(priced),
        "price_sum": pairs.sums(prices),
        "last_time": pairs.highest(micros),
    }
    return pa.table([pa.array(columns[field.name]).cast(field.type) for field in PAIR_SUMS], PAIR_SUMS)


def _last_descriptions(pairs: Groups, events: pa.Table, micros: Integers) -> dict[str, pa.Array]:
    """Category code and brand of each pair's last event that has one, in the alphabet the last of equals."""
    described = {name: Groups.by(events[name]) for name in _DESCRIPTION}
    places = {name: _alphabetical(column) for name, column in described.items()}
    order = np.zeros(len(events), np.int64)
    for place in places.values():
        order = order * (place.max(initial=0) + 1) + place
    return {name: _last(pairs, described[name], micros, order) for name in _DESCRIPTION}


def _alphabetical(column: Groups) -> Integers:
    """The place in the alphabet of each row's key, no key last."""
    places = np.full(len(column) + 1, len(column))
    places[pc.sort_indices(column.keys).to_numpy()] = np.arange(len(column))
    return places[column.numbers]


def _last(pairs: Groups, column: Groups, micros: Integers, order: Integers) -> pa.Array:
    """Each pair's last key of a column, by time and then by order."""
    has_key = column.numbers >= 0
    latest = has_key & (micros == pairs.highest(micros, has_key)[pairs.numbers])
    last = latest & (order == pairs.highest(order, latest)[pairs.numbers])
    found = np.full(len(pairs), -1)
    found[pairs.numbers[last]] = column.numbers[last]
    return column.keys.take(pa.array(found, mask=found < 0))


def pair_sums(gathered: DataFrame) -> DataFrame:
    """Returns the pairs of `features.gathering.gather`: the columns of PAIR_SUMS, a pair at most once."""
    return gathered.where(F.col("user_id").isNotNull() & F.col("product_id").isNotNull()).select(*PAIR_SUMS.names)


def ratio(part: Column, whole: Column) -> Column:
    """Returns part / whole, or 0 where the whole is 0."""
    return F.when(whole > 0, part / whole).otherwise(F.lit(0.0))
