"""Cleaning any line: it is usable, or it gets the one reason that Python's own csv reader finds for it."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from datetime import datetime

import pytest
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from spark_apps.ingestion.cleaning import REASON, REASONS, USABLE, explain, parse_lines, rejected
from spark_apps.ingestion.landing import split_by_date
from spark_apps.schemas import CSV_COLUMNS, EVENT_TYPES
from tests.factory import csv_line, rows_of
from tests.ingestion.test_cleaning import lines_frame

LINES_AT_ONCE = 200
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


@hypothesis_settings(
    max_examples=6,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],  # a failing example names the lines at fault: shrinking would be slow
    suppress_health_check=list(HealthCheck),
)
@given(batch=st.lists(lines, min_size=LINES_AT_ONCE, max_size=LINES_AT_ONCE))
def test_a_line_is_usable_or_has_one_reason(spark: SparkSession, batch: list[str]) -> None:
    written = [line.encode() for line in batch]
    parsed = parse_lines(lines_frame(spark, written), ["number"])
    seen = rows_of(parsed.select("number", USABLE, parsed["date"].cast("string").alias("date")))
    reasons = rows_of(explain(rejected(parsed, ["number"]), ["number"]))
    assert Counter(row["number"] for row in seen) == Counter(range(len(batch)))
    usable = {row["number"] for row in seen if row[USABLE]}
    assert Counter(row["number"] for row in reasons) == Counter(set(range(len(batch))) - usable)
    found = {row["number"]: row[REASON] for row in reasons}
    assert set(found.values()) <= set(REASONS)
    plain = {n: values for n, line in enumerate(batch) if (values := well_formed(line)) is not None}
    wrong = [
        (batch[n], found.get(n), reason)
        for n, values in plain.items()
        if found.get(n) != (reason := expected_reason(batch[n], values))
    ]
    assert not wrong
    # or raw = clean + quarantined would not hold for its date
    landed = {n: [str(day) for day, _, _ in split_by_date(written[n] + b"\n")] for n in usable}
    assert landed == {row["number"]: [row["date"]] for row in seen if row[USABLE]}


@pytest.mark.parametrize(
    ("line", "values"),
    [('a,"b,c"', ["a", "b,c"]), ('"a""b"', ['a"b']), ("", []), ('a"b', None), ('"a"b', None), ("a\rb", None)],
)
def test_the_oracle_itself_knows_plain_csv(line: str, values: list[str] | None) -> None:
    if line:
        assert well_formed(line) == values
