"""Every table's columns with their types and units. Writers are checked against these."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

# The header of the CSV layout, SPEC D1.
CSV_COLUMNS = (
    "event_time",
    "event_type",
    "product_id",
    "category_id",
    "category_code",
    "brand",
    "price",
    "user_id",
    "user_session",
)
EVENT_TYPES = ("view", "cart", "purchase", "remove_from_cart")
UNKNOWN = "unknown"

_INT, _LONG, _FLOAT, _DOUBLE = pa.int32(), pa.int64(), pa.float32(), pa.float64()
_STRING, _BOOL, _TIME, _DATE = pa.string(), pa.bool_(), pa.timestamp("us", "UTC"), pa.date32()
_LONGS = pa.list_(pa.field("element", _LONG))  # as Spark names what is in a list


class Column(NamedTuple):
    """A column of a table, with what a reader of the reference is told of it."""

    name: str
    type: pa.DataType
    about: str


# The columns of each table. A schema has no comments of its own: they would be written into every file.
COLUMNS: dict[str, tuple[Column, ...]] = {}


def _table(name: str, *columns: tuple[str, pa.DataType, str]) -> pa.Schema:
    COLUMNS[name] = tuple(Column(*one) for one in columns)
    return pa.schema([(one.name, one.type) for one in COLUMNS[name]])


EVENTS = _table(
    "events",
    ("event_time", _TIME, "when it happened, UTC"),
    ("event_type", _STRING, "view, cart, purchase or remove_from_cart"),
    ("product_id", _LONG, "product"),
    ("category_id", _LONG, "category; null where the log has none"),
    ("category_code", _STRING, "category path such as electronics.smartphone, or unknown"),
    ("brand", _STRING, "brand, or unknown"),
    ("price", _DOUBLE, "price in the log's currency; null where it was missing, 0 or below"),
    ("user_id", _LONG, "user"),
    ("user_session", _STRING, "session; null where the log has none"),
    ("hour", _INT, "hour of the day, 0-23, UTC"),
    ("minute", _INT, "minute, 0-59"),
    ("second", _INT, "second, 0-59"),
    ("day", _INT, "day of the month, 1-31"),
    ("month", _INT, "month, 1-12"),
    ("dayofweek", _INT, "day of the week, 1 = Sunday to 7 = Saturday"),
    ("hour_bucket", _TIME, "event_time cut to the hour"),
    ("date", _DATE, "UTC date of the event; the partition"),
)

QUARANTINE = _table(
    "quarantine",
    ("raw_line", _STRING, "the line as it stood in the file"),
    ("reason", _STRING, "why it cannot be used, see ingestion/lines.py"),
    ("date", _DATE, "date at the head of the line; null where there is none; the partition"),
)

USER_FEATURES = _table(
    "user_features",
    ("user_id", _LONG, "user"),
    ("recency", _INT, "days from the user's last event to the last date that the data support"),
    ("frequency", _LONG, "distinct dates with an event"),
    ("monetary", _DOUBLE, "sum of purchase prices, in the log's currency"),
    ("total_events", _LONG, "events"),
    ("views", _LONG, "view events"),
    ("carts", _LONG, "cart events"),
    ("purchases", _LONG, "purchase events"),
    ("removals", _LONG, "remove_from_cart events"),
    ("unique_products", _LONG, "distinct products"),
    ("unique_categories", _LONG, "distinct category codes, unknown counted as one"),
    ("unique_brands", _LONG, "distinct brands, unknown counted as one"),
    ("avg_price", _DOUBLE, "mean price over the user's priced events; null where there is none"),
    ("conversion_rate", _DOUBLE, "purchases / views; 0 without views"),
    ("cart_abandonment", _DOUBLE, "(carts - purchases) / carts, never below 0; 0 without carts"),
    ("sessions", _LONG, "distinct sessions"),
    (
        "mean_session_minutes",
        _DOUBLE,
        "mean minutes from a session's first to last event; null without sessions",
    ),
    ("first_seen", _TIME, "first event, UTC"),
    ("last_seen", _TIME, "last event, UTC"),
    ("preferred_hour", _INT, "hour of the day with most events, the earliest of equals, 0-23"),
)

PRODUCT_FEATURES = _table(
    "product_features",
    ("product_id", _LONG, "product"),
    ("events", _LONG, "events"),
    ("views", _LONG, "view events"),
    ("carts", _LONG, "cart events"),
    ("purchases", _LONG, "purchase events"),
    ("unique_users", _LONG, "distinct users"),
    ("avg_price", _DOUBLE, "mean price over priced events; null where there is none"),
    ("category", _STRING, "first part of category_code, or unknown"),
    ("category_code", _STRING, "the code of its last event"),
    ("brand", _STRING, "the brand of its last event"),
    ("conversion", _DOUBLE, "purchases / views; 0 without views"),
    ("popularity", _DOUBLE, "(3 purchases + 2 carts + views) / unique_users"),
    ("popularity_smoothed", _DOUBLE, "popularity drawn towards 0 by few users: see features/products.py"),
)

INTERACTIONS = _table(
    "interactions",
    ("user_id", _LONG, "user"),
    ("product_id", _LONG, "product"),
    ("score", _DOUBLE, "sum of event scores, at most the cap"),
    ("interaction_count", _LONG, "events of this user on this product"),
    ("purchases", _LONG, "of which purchases"),
    ("last_time", _TIME, "last event of the pair, UTC"),
)

USER_SEGMENTS = _table(
    "user_segments",
    ("user_id", _LONG, "user"),
    ("rfm_recency", _INT, "recency score, 1 to 5 = most recent"),
    ("rfm_frequency", _INT, "frequency score, 1 to 5 = most active days"),
    ("rfm_monetary", _INT, "monetary score, 1 to 5 = highest spend"),
    ("rfm_segment", _STRING, "one of the eleven RFM names"),
    ("cluster", _INT, "k-means cluster, from 0"),
    ("segment", _STRING, "name of the cluster"),
    ("behaviour", _STRING, "what RFM name, cluster and purchases say together: see segmentation/behaviour.py"),
)

RECOMMENDATIONS = _table(
    "recommendations",
    ("user_id", _LONG, "user"),
    ("rank", _INT, "place in the user's list, from 1"),
    ("product_id", _LONG, "product"),
    ("score", _FLOAT, "predicted preference"),
    ("source", _STRING, "what proposed it: als, or the popularity list"),
)

POPULAR_PRODUCTS = _table(
    "popular_products",
    ("scope", _STRING, "global, category or segment"),
    ("key", _STRING, "the category or the segment; all for global"),
    ("rank", _INT, "place in the list, from 1"),
    ("product_id", _LONG, "product"),
    ("score", _DOUBLE, "3 purchases + 2 carts + views inside the scope, damped per user"),
)

_BATCH = ("batch", _INT, "number of the stream's batch, from 0")


def _columns_of(table: str, *left_out: str) -> list[Column]:
    return [one for one in COLUMNS[table] if one.name not in left_out]


STREAM_EVENTS = _table(
    "stream_events",
    *_columns_of("events", "date"),
    _BATCH,
    ("late", _BOOL, "whether its window was closed when it came: it counts everywhere but in windows"),
    *_columns_of("events")[-1:],
)

STREAM_QUARANTINE = _table(
    "stream_quarantine", *_columns_of("quarantine", "date"), _BATCH, *_columns_of("quarantine")[-1:]
)

STREAM_USERS = _table(
    "stream_users",
    _BATCH,
    *_columns_of("user_features"),
    *_columns_of("user_segments", "user_id"),
    ("listed", _LONGS, "products recommended from this batch on, the best first"),
    (
        "first_listed",
        _LONGS,
        "products recommended by the last training; null where it did not know the user",
    ),
)

STREAM_RECOMMENDATIONS = _table(
    "stream_recommendations",
    *_columns_of("recommendations"),
    _BATCH,
    ("date", _DATE, "UTC date of the batch's last event; the partition"),
)

STREAM_WINDOWS = _table(
    "stream_windows",
    _BATCH,
    ("window_start", _TIME, "start of the five minutes, UTC"),
    ("events", _LONG, "events that this batch adds to the window"),
    ("views", _LONG, "of which view events"),
    ("carts", _LONG, "cart events"),
    ("purchases", _LONG, "purchase events"),
    ("removals", _LONG, "remove_from_cart events"),
    ("revenue", _DOUBLE, "sum of purchase prices, in the log's currency"),
)

STREAM_PRODUCTS = _table(
    "stream_products",
    _BATCH,
    ("product_id", _LONG, "product"),
    ("category_code", _STRING, "the code of its last event"),
    ("brand", _STRING, "the brand of its last event"),
    ("events", _LONG, "events that this batch adds"),
    ("views", _LONG, "of which view events"),
    ("carts", _LONG, "cart events"),
    ("purchases", _LONG, "purchase events"),
    ("removals", _LONG, "remove_from_cart events"),
    ("priced", _LONG, "events with a price"),
    ("price_sum", _DOUBLE, "sum of prices, in the log's currency"),
    ("unique_users", _LONG, "users who had not met it before"),
    ("last_time", _TIME, "its last event in the batch, UTC"),
)
