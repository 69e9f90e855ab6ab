"""Plain lines in Arrow: they become the events that SQL makes of them, and what is in doubt is not plain."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from spark_apps.engine.database import Database
from spark_apps.ingestion.lines import _read_others
from spark_apps.ingestion.plain_lines import split_plain
from spark_apps.schemas import EVENTS
from tests.factory import csv_line
from tests.ingestion.any_lines import lines
from tests.ingestion.cases import CASES
from tests.ingestion.cases import USABLE as USABLE_CASES

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
# usable or not: SQL says what they are
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
    """Lines as texts that may hold any bytes."""
    content = [line.encode() if isinstance(line, str) else line for line in written]
    binary = pa.array(content, pa.binary())
    return pa.StringArray.from_buffers(len(binary), *binary.buffers()[1:])


def read_by_sql(database: Database, written: list[str | bytes]) -> pa.Table:
    """The events of lines, by the text that takes those that are not plain."""
    events, rejected = _read_others(pc.ascii_rtrim(as_arrow(written), characters="\r"), None, database)
    assert len(events) + len(rejected) == len(written)
    return events


def assert_the_same_events(database: Database, written: list[str | bytes]) -> None:
    events, plain = split_plain(as_arrow(written))
    kept = [line for line, is_plain in zip(written, plain.to_pylist(), strict=True) if is_plain]
    # the same doubles too, to the last bit
    assert events.to_pylist() == (read_by_sql(database, kept).to_pylist() if kept else [])


@pytest.mark.parametrize("line", PLAIN, ids=range(len(PLAIN)))
def test_an_ordinary_line_is_plain(line: str) -> None:
    events, plain = split_plain(as_arrow([line]))
    assert plain.to_pylist() == [True] and len(events) == 1


@pytest.mark.parametrize("line", IN_DOUBT, ids=range(len(IN_DOUBT)))
def test_a_line_in_doubt_is_left_to_sql_whatever_stands_around_it(line: str | bytes) -> None:
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


def test_known_lines_become_the_events_that_sql_makes_of_them(database: Database) -> None:
    assert_the_same_events(database, [*PLAIN, *IN_DOUBT, *[line for line, _ in USABLE_CASES]])


@hypothesis_settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batch=st.lists(any_lines, min_size=1, max_size=LINES_AT_ONCE))
def test_any_plain_line_becomes_the_event_that_sql_makes_of_it(database: Database, batch: list[bytes]) -> None:
    assert_the_same_events(database, [line.replace(b"\n", b" ") for line in batch])


@hypothesis_settings(max_examples=200)
@given(price=st.from_regex(r"\A\d{1,15}(\.\d{1,15})?\Z").filter(str.isascii))
def test_a_price_is_the_double_next_to_its_digits(price: str) -> None:
    events, plain = split_plain(as_arrow([csv_line(price=price)]))
    assert plain.to_pylist() == [True]
    assert events["price"].to_pylist() == [float(price) or None]
