"""Every table's columns with their types and units. Writers are checked against these."""

from __future__ import annotations

from pyspark.sql.types import (
    ArrayType,
    BooleanType,
    DataType,
    DateType,
    DoubleType,
    FloatType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

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

_INT, _LONG, _DOUBLE, _STRING = IntegerType(), LongType(), DoubleType(), StringType()
_TIME, _DATE = TimestampType(), DateType()


def _table(*columns: tuple[str, DataType, str]) -> StructType:
    return StructType([StructField(name, kind, True, {"comment": about}) for name, kind, about in columns])


EVENTS = _table(
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
    ("raw_line", _STRING, "the line as it stood in the file"),
    ("reason", _STRING, "why it cannot be used, see ingestion/cleaning.py"),
    ("date", _DATE, "date at the head of the line; null where there is none; the partition"),
)

USER_FEATURES = _table(
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
    ("user_id", _LONG, "user"),
    ("product_id", _LONG, "product"),
    ("score", _DOUBLE, "sum of event scores, at most the cap"),
    ("interaction_count", _LONG, "events of this user on this product"),
    ("purchases", _LONG, "of which purchases"),
    ("last_time", _TIME, "last event of the pair, UTC"),
)

USER_SEGMENTS = _table(
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
    ("user_id", _LONG, "user"),
    ("rank", _INT, "place in the user's list, from 1"),
    ("product_id", _LONG, "product"),
    ("score", FloatType(), "predicted preference"),
    ("source", _STRING, "what proposed it: als, or the popularity list"),
)

POPULAR_PRODUCTS = _table(
    ("scope", _STRING, "global, category or segment"),
    ("key", _STRING, "the category or the segment; all for global"),
    ("rank", _INT, "place in the list, from 1"),
    ("product_id", _LONG, "product"),
    ("score", _DOUBLE, "3 purchases + 2 carts + views inside the scope, damped per user"),
)

_BATCH = ("batch", _INT, "number of the stream's batch, from 0")


def _columns_of(schema: StructType, *left_out: str) -> list[tuple[str, DataType, str]]:
    return [(one.name, one.dataType, one.metadata["comment"]) for one in schema if one.name not in left_out]


STREAM_EVENTS = _table(
    *_columns_of(EVENTS, "date"),
    _BATCH,
    ("late", BooleanType(), "whether its window was closed when it came: it counts everywhere but in windows"),
    *_columns_of(EVENTS)[-1:],
)

STREAM_QUARANTINE = _table(*_columns_of(QUARANTINE, "date"), _BATCH, *_columns_of(QUARANTINE)[-1:])

STREAM_USERS = _table(
    _BATCH,
    *_columns_of(USER_FEATURES),
    *_columns_of(USER_SEGMENTS, "user_id"),
    ("listed", ArrayType(_LONG), "products recommended from this batch on, the best first"),
    (
        "first_listed",
        ArrayType(_LONG),
        "products recommended by the last training; null where it did not know the user",
    ),
)

STREAM_RECOMMENDATIONS = _table(
    *_columns_of(RECOMMENDATIONS), _BATCH, ("date", _DATE, "UTC date of the batch's last event; the partition")
)

STREAM_WINDOWS = _table(
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
