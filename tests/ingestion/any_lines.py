"""Any line at all, for property tests; and what a well-formed one is by Python's own csv reader."""

from __future__ import annotations

import csv
import math
import re
from datetime import datetime

from hypothesis import strategies as st

from spark_apps.schemas import CSV_COLUMNS, EVENT_TYPES
from tests.factory import csv_line

NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"

times = st.one_of(
    st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(lambda time: f"{time.isoformat(' ', 'seconds')} UTC"),
    st.sampled_from(["", "2019-02-29 00:00:00 UTC", "0000-01-01 00:00:00 UTC", "2019-10-01 00:00:00", "x"]),
)
ids = st.one_of(
    st.integers(-(2**63), 2**63 - 1).map(str),
    st.sampled_from(["", "x", " 1", "1.0", "NaN", str(2**63), "+7", "007"]),
)
prices = st.one_of(
    st.floats(0, 1e6).map("{:.2f}".format), st.sampled_from(["", "0", "-1", "NaN", "abc", "1e999", "1e3", "1,0"])
)
words = st.one_of(st.just(""), st.sampled_from(["NaN", 'a,"b', "a b", "#"]), st.text(max_size=5))
fields = {
    "event_time": times,
    "event_type": st.sampled_from([*EVENT_TYPES, "", "click"]),
    "product_id": ids,
    "category_id": ids,
    "category_code": words,
    "brand": words,
    "price": prices,
    "user_id": ids,
    "user_session": words,
}
# mostly one strange field at a time, so that every reason is met, and often enough none
events = st.sampled_from(CSV_COLUMNS).flatmap(lambda name: fields[name].map(lambda value: csv_line(**{name: value})))
strange = st.fixed_dictionaries(fields).map(lambda values: csv_line(**values))
cut_lines = st.builds(lambda line, end: line[:end], strange, st.integers(0, 120))
anything = st.text(
    alphabet=st.sampled_from(list(',"\\\0\r #2019-:UTCview')) | st.characters(codec="utf-8"), max_size=60
)
lines = st.one_of(events, events, strange, cut_lines, anything).map(lambda line: line.replace("\n", " "))


def well_formed(line: str) -> list[str] | None:
    """The fields of a line that is plain CSV; None where a CSV reader may well see something else in it."""
    try:
        [values] = csv.reader([line], strict=True)
    except (csv.Error, ValueError):
        return None
    return values if re.fullmatch(r'((^|,)("([^"]|"")*"|[^",\r]*))*', line) and "\r" not in line else None


def expected_reason(line: str, values: list[str]) -> str | None:
    """Why a well-formed line is unusable, worked out without Spark."""
    if not line:
        return "empty_line"
    if len(values) != len(CSV_COLUMNS):
        return "wrong_columns"
    event = dict(zip(CSV_COLUMNS, values, strict=True))
    checks = {
        "bad_time": is_time(event["event_time"]),
        "unknown_event_type": event["event_type"] in EVENT_TYPES,
        "bad_id": is_id(event["product_id"])
        and is_id(event["user_id"])
        and (is_id(event["category_id"]) or not event["category_id"]),
        "bad_price": is_price(event["price"]),
    }
    return next((reason for reason, holds in checks.items() if not holds), None)


def is_time(text: str) -> bool:
    if not re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", text, re.ASCII):
        return False
    try:
        return bool(datetime.fromisoformat(text[:19]))
    except ValueError:
        return False


def is_id(text: str) -> bool:
    return bool(re.fullmatch(r"[+-]?\d+", text, re.ASCII)) and -(2**63) <= int(text) < 2**63


def is_price(text: str) -> bool:
    return text in ("", "NaN") or bool(re.fullmatch(NUMBER, text, re.ASCII) and math.isfinite(float(text)))
