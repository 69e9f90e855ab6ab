"""Raw lines to typed events, and the reason for every line that cannot be one (SPEC D3, D4).

The functions take and return frames and are the same for a month and for a micro-batch.
Every line is parsed once into typed fields, and one condition says whether it is usable;
why not is worked out for the few rejected lines only.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_apps.schemas import CSV_COLUMNS, EVENT_TYPES, EVENTS, UNKNOWN

LINE = "raw_line"
# the latest time that an event of the line can have, null where any is possible: see `event_times`
LATEST = "latest"
REASON = "reason"
USABLE = "usable"

# Reasons, the first that holds is given.
EMPTY_LINE = "empty_line"
BAD_ENCODING = "bad_encoding"
WRONG_COLUMNS = "wrong_columns"
BAD_TIME = "bad_time"
FUTURE_TIME = "future_time"
UNKNOWN_EVENT_TYPE = "unknown_event_type"
BAD_ID = "bad_id"
BAD_PRICE = "bad_price"
REASONS = (EMPTY_LINE, BAD_ENCODING, WRONG_COLUMNS, BAD_TIME, FUTURE_TIME, UNKNOWN_EVENT_TYPE, BAD_ID, BAD_PRICE)

_MALFORMED = "malformed"
IDS = ("product_id", "category_id", "user_id")
_NUMBERS = {**dict.fromkeys(IDS, "bigint"), "price": "double"}
# RFC 4180: a quote inside quotes is doubled
_CSV_OPTIONS = {
    "mode": "PERMISSIVE",
    "columnNameOfCorruptRecord": _MALFORMED,
    "escape": '"',
    "maxCharsPerColumn": "-1",
}
# Spark's CSV parser fails altogether on a line of 20,480 columns or more.
_TOO_MANY_COLUMNS = 20_000
# the year 0 is in no calendar, and raw rows of it are landed as undated
_TIME_PATTERN = r"^(?!0000)\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC\z"
_ID_PATTERN = r"^[+-]?\d+\z"
_NOT_A_NUMBER = "NaN"  # how pandas writes a missing value


def parse_lines(lines: DataFrame, keep: Sequence[str] = ()) -> DataFrame:
    """Reads raw lines into typed events and says of each whether it is usable.

    Args:
        lines: column `value`, one CSV line without its line feed (a carriage return at its end is dropped).
        keep: further columns of `lines` to carry along; by `latest` among them, events are known that are too late.

    Returns:
        The kept columns, `raw_line`, `usable` (true or false) and the columns of schemas.EVENTS,
        which mean something for usable lines only.
    """
    fields = _split_fields(lines, keep, _NUMBERS)
    timed = fields.withColumn("event_time", _parsed_time())
    return timed.select(*keep, LINE, _is_usable(_is_future(F.col("event_time"), keep)).alias(USABLE), *_event_columns())


def usable(parsed: DataFrame) -> DataFrame:
    """Returns the usable events of `parse_lines`: the columns of schemas.EVENTS."""
    return parsed.where(USABLE).select(*EVENTS.names)


def rejected(parsed: DataFrame, keep: Sequence[str] = ()) -> DataFrame:
    """Returns the unusable lines of `parse_lines`: the kept columns and `raw_line`."""
    return parsed.where(~F.col(USABLE)).select(*keep, LINE)


def explain(lines: DataFrame, keep: Sequence[str] = ()) -> DataFrame:
    """Gives rejected lines their reason.

    Args:
        lines: column `raw_line`, as `rejected` returns it.
        keep: further columns of `lines` to carry along; `latest` among them as for `parse_lines`.

    Returns:
        The kept columns, `raw_line` (bytes that are not UTF-8 replaced, so that every reader of the table
        takes it), `reason`: one of REASONS.
    """
    texts = _split_fields(lines.withColumnRenamed(LINE, "value"), keep, {})
    reason = _reason(_is_future(_parsed_time(), keep))
    return texts.select(*keep, F.make_valid_utf8(LINE).alias(LINE), reason.alias(REASON))


def _split_fields(lines: DataFrame, keep: Sequence[str], types: dict[str, str]) -> DataFrame:
    """Cuts lines into the CSV's fields, of the given types or else text, and `malformed` where that failed."""
    schema = ", ".join(f"{name} {types.get(name, 'string')}" for name in (*CSV_COLUMNS, _MALFORMED))
    line = F.rtrim(F.col("value"), F.lit("\r")).alias(LINE)
    csv = F.from_csv(F.when(~_too_many_columns(), F.col(LINE)), schema, _CSV_OPTIONS)
    # a generator, so that the optimizer can't copy the parsing into each expression and filter above it
    return lines.select(*keep, line).select(*keep, LINE, F.inline(F.array(csv)))


def _too_many_columns() -> Column:
    """Says of a line that it is no event and must not be parsed; commas are counted in very long lines only."""
    commas = F.length(LINE) - F.length(F.replace(F.col(LINE), F.lit(",")))
    return (F.octet_length(LINE) > _TOO_MANY_COLUMNS) & (commas > _TOO_MANY_COLUMNS)


def _parsed_time() -> Column:
    text = F.col("event_time")
    return F.when(text.rlike(_TIME_PATTERN), F.substring(text, 1, 19).try_cast("timestamp"))


def _is_future(time: Column, kept: Sequence[str]) -> Column:
    """Says whether an event claims to be from after its file came in."""
    return F.coalesce(time > F.col(LATEST), F.lit(False)) if LATEST in kept else F.lit(False)


def _is_usable(future: Column) -> Column:
    return (
        F.col(_MALFORMED).isNull()
        & F.col("event_time").isNotNull()
        & ~future
        & F.coalesce(F.col("event_type").isin(*EVENT_TYPES), F.lit(False))
        & F.col("product_id").isNotNull()
        & F.col("user_id").isNotNull()
        & ~F.coalesce(F.abs("price") == float("inf"), F.lit(False))
        & F.is_valid_utf8(LINE)
    )


def _event_columns() -> list[Column]:
    """The columns of schemas.EVENTS from typed fields."""
    time, price = F.col("event_time"), F.col("price")
    columns = {
        "category_code": F.coalesce(_text("category_code"), F.lit(UNKNOWN)),
        "brand": F.coalesce(_text("brand"), F.lit(UNKNOWN)),
        "user_session": _text("user_session"),
        "price": F.when((price > 0) & ~F.isnan(price), price),
        "hour": F.hour(time),
        "minute": F.minute(time),
        "second": F.second(time),
        "day": F.dayofmonth(time),
        "month": F.month(time),
        "dayofweek": F.dayofweek(time),
        "hour_bucket": F.date_trunc("hour", time),
        "date": F.to_date(time),
    }
    return [columns.get(name, F.col(name)).alias(name) for name in EVENTS.names]


def _text(name: str) -> Column:
    """A text field, null where it is missing (an empty field is null already)."""
    return F.nullif(F.nullif(F.col(name), F.lit(_NOT_A_NUMBER)), F.lit(""))


def _reason(future: Column) -> Column:
    """The first reason that holds for a rejected line cut into texts."""

    def bad_id(name: str) -> Column:
        # a cast alone would forgive spaces, which the parser does not
        text = F.nullif(F.col(name), F.lit(""))
        return text.isNotNull() & (~text.rlike(_ID_PATTERN) | text.try_cast("bigint").isNull())

    def missing(name: str) -> Column:
        return F.coalesce(F.col(name), F.lit("")) == ""

    reasons = [
        (F.length(LINE) == 0, EMPTY_LINE),
        (~F.is_valid_utf8(LINE), BAD_ENCODING),
        (F.col(_MALFORMED).isNotNull() | _too_many_columns(), WRONG_COLUMNS),
        (_parsed_time().isNull(), BAD_TIME),
        (future, FUTURE_TIME),
        (~F.coalesce(F.col("event_type").isin(*EVENT_TYPES), F.lit(False)), UNKNOWN_EVENT_TYPE),
        (missing("product_id") | missing("user_id") | reduce(Column.__or__, map(bad_id, IDS)), BAD_ID),
    ]
    return reduce(lambda rest, pair: F.when(pair[0], pair[1]).otherwise(rest), reversed(reasons), F.lit(BAD_PRICE))
