"""Plain lines in Arrow: they become the events that Spark makes of them, and what is in doubt is not plain."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from spark_apps.ingestion.cleaning import USABLE, parse_lines
from spark_apps.ingestion.plain_lines import split_plain
from spark_apps.schemas import EVENTS
from tests.factory import csv_line
from tests.ingestion.test_cleaning import CASES, lines_frame
from tests.ingestion.test_cleaning import USABLE as USABLE_CASES
from tests.ingestion.test_cleaning_property import lines

LINES_AT_ONCE = 100

PLAIN = [
    csv_line(),
    csv_line() + "\r",
    csv_line(event_time="2019-12-31 23:59:59 UTC"),
    csv_line(event_time="2020-02-29 12:00:00 UTC"),
    csv_line(event_time="1900-01-01 00:00:00 UTC"),
    csv_line(event_time="2999-12-31 23:59:59 UTC"),
    *[csv_line(event_type=kind) for kind in ("cart", "purchase", "remove_from_cart")],
    *[csv_line(price=price) for price in (None, "0", "0.00", "007.50", "5", "0.1", "123456789012345.123456789012345")],
    *[csv_line(product_id=number, user_id=number) for number in ("0", "007", "8999999999999999999")],
    csv_line(category_id=None),
    csv_line(category_code=None, brand=None, user_session=None),
    csv_line(category_code="NaN", brand="NaN", user_session="NaN"),
    csv_line(brand=" käse 雪 \u2028"),
    csv_line(brand="a\\#'"),
    csv_line(brand="x" * 100_000),
]
# usable or not: Spark says what they are
IN_DOUBT: list[str | bytes] = [
    *[line for line, _ in CASES],
    csv_line(brand='"'),
    csv_line(brand="a\tb"),
    csv_line(brand="a\0b"),
    csv_line(brand="a\rb"),
    csv_line(event_time="1899-12-31 23:59:59 UTC"),
    csv_line(event_time="2000-02-29 00:00:00 UTC"),
    csv_line(event_time="2019-10-01 00:00:0٣ UTC"),
    *[csv_line(user_id=number) for number in ("+7", "-7", "٣", "9000000000000000000", "00000000000000000007")],
    *[csv_line(price=price) for price in ("NaN", "-1", "+1", "1e3", ".5", "5.", "٣", "1d", "1f", "0x1p3", " 1", "1_0")],
]

STRANGE_TEXTS = (
    "",
    "0",
    "9",
    "00",
    ".",
    "-",
    "+",
    "e",
    "NaN",
    "inf",
    "x",
    "d",
    ",",
    '"',
    '""',
    "#",
    "\\",
    "_",
    "٣",
    "ä",
    " ",
)
STRANGE_BITS = [
    *map(str.encode, STRANGE_TEXTS),
    b"\t",
    b"\r",
    b"\0",
    b"\x7f",
    b"\xff",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
]


def edited(line: bytes, place: float, removed: int, put: bytes) -> bytes:
    at = int(place * len(line))
    return line[:at] + put + line[at + removed :]


plain_lines = st.sampled_from(PLAIN).filter(lambda line: len(line) < 1_000).map(str.encode)
edited_lines = st.builds(edited, plain_lines, st.floats(0, 1), st.integers(0, 2), st.sampled_from(STRANGE_BITS))
twice_edited = st.builds(edited, edited_lines, st.floats(0, 1), st.integers(0, 2), st.sampled_from(STRANGE_BITS))
any_lines = st.one_of(plain_lines, edited_lines, twice_edited, lines.map(str.encode))


def as_arrow(written: list[str | bytes]) -> pa.StringArray:
    """Lines as Spark hands them over: texts that may hold any bytes."""
    content = [line.encode() if isinstance(line, str) else line for line in written]
    binary = pa.array(content, pa.binary())
    return pa.StringArray.from_buffers(len(binary), *binary.buffers()[1:])


def by_spark(spark: SparkSession, written: list[str | bytes]) -> pa.Table:
    """Number, `usable` and event of each line."""
    parsed = parse_lines(lines_frame(spark, written), ["number"])
    return parsed.select("number", USABLE, *EVENTS.names).orderBy("number").toArrow()


def assert_the_same_events(spark: SparkSession, written: list[str | bytes]) -> None:
    events, plain = split_plain(as_arrow(written))
    expected = by_spark(spark, written).filter(plain)
    assert expected[USABLE].to_pylist() == [True] * len(events)
    for name in EVENTS.names:  # the same doubles too, to the last bit
        found, wanted = events[name].to_pylist(), expected[name].to_pylist()
        kept = [line for line, is_plain in zip(written, plain.to_pylist(), strict=True) if is_plain]
        assert [row for row in zip(kept, found, wanted, strict=True) if row[1] != row[2]] == [], name


@pytest.mark.parametrize("line", PLAIN, ids=range(len(PLAIN)))
def test_an_ordinary_line_is_plain(line: str) -> None:
    events, plain = split_plain(as_arrow([line]))
    assert plain.to_pylist() == [True] and len(events) == 1


@pytest.mark.parametrize("line", IN_DOUBT, ids=range(len(IN_DOUBT)))
def test_a_line_in_doubt_is_left_to_spark_whatever_stands_around_it(line: str | bytes) -> None:
    events, plain = split_plain(as_arrow([line]))
    assert plain.to_pylist() == [False] and len(events) == 0
    events, plain = split_plain(as_arrow([csv_line(user_id=1), line, csv_line(user_id=2), line]))
    assert plain.to_pylist() == [True, False, True, False]
    assert events["user_id"].to_pylist() == [1, 2]


def test_there_may_be_no_line() -> None:
    events, plain = split_plain(as_arrow([]))
    assert (len(events), len(plain)) == (0, 0) and events.schema.equals(EVENTS)


def test_lines_of_a_slice_are_read() -> None:
    events, plain = split_plain(as_arrow(["x", csv_line(user_id=1), "", csv_line(user_id=2), '"'])[1:4])
    assert plain.to_pylist() == [True, False, True] and events["user_id"].to_pylist() == [1, 2]


def test_an_event_later_than_its_line_may_be_is_not_plain() -> None:
    latest = pa.array([None, 1, 0, 2], pa.timestamp("s")).cast(pa.timestamp("us", "UTC"))
    written = ["x", *[csv_line(user_id=user, event_time="1970-01-01 00:00:01 UTC") for user in (1, 2, 3)]]
    events, plain = split_plain(as_arrow(written), latest)
    assert plain.to_pylist() == [False, True, False, True] and events["user_id"].to_pylist() == [1, 3]
    events, plain = split_plain(as_arrow(written), pa.nulls(4, pa.timestamp("us", "UTC")))
    assert plain.to_pylist() == [False, True, True, True] and events["user_id"].to_pylist() == [1, 2, 3]


def test_known_lines_become_the_events_that_spark_makes_of_them(spark: SparkSession) -> None:
    assert_the_same_events(spark, [*PLAIN, *IN_DOUBT, *[line for line, _ in USABLE_CASES]])


@hypothesis_settings(
    max_examples=6,
    phases=[Phase.explicit, Phase.generate],  # a failing example names the lines at fault: shrinking would be slow
    suppress_health_check=list(HealthCheck),
)
@given(batch=st.lists(any_lines, min_size=LINES_AT_ONCE, max_size=LINES_AT_ONCE))
def test_any_plain_line_becomes_the_event_that_spark_makes_of_it(spark: SparkSession, batch: list[bytes]) -> None:
    assert_the_same_events(spark, [*batch])


@hypothesis_settings(max_examples=200)
@given(price=st.from_regex(r"\A\d{1,15}(\.\d{1,15})?\Z").filter(str.isascii))
def test_a_price_is_the_double_next_to_its_digits(price: str) -> None:
    events, plain = split_plain(as_arrow([csv_line(price=price)]))
    assert plain.to_pylist() == [True]
    assert events["price"].to_pylist() == [float(price) or None]
