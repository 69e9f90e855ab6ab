"""What is wrong with a line, in words that name the column and its value (SPEC D4)."""

from __future__ import annotations

import pytest

from spark_apps.ingestion.faults import fault, reason_lines, shown
from spark_apps.ingestion.lines import REASONS
from tests.factory import csv_line
from tests.ingestion.cases import CASES

KINDS = "view, cart, purchase or remove_from_cart"
# how what is said of each reason begins
BEGINNINGS = {
    "empty_line": ("it is empty",),
    "bad_encoding": ("it is not UTF-8 text",),
    "wrong_columns": ("it has ", "a quoted field does not end", "it is not 9 fields"),
    "bad_time": ("event_time ",),
    "future_time": ("event_time ",),
    "unknown_event_type": ("event_type ",),
    "bad_id": ("product_id ", "category_id ", "user_id "),
    "bad_price": ("price ",),
}


@pytest.mark.parametrize(("line", "reason"), CASES)
def test_every_line_that_cleaning_refuses_is_explained(line: str | bytes, reason: str) -> None:
    text = line if isinstance(line, str) else line.decode(errors="replace")
    said = fault(reason, text)
    assert said.startswith(BEGINNINGS[reason])
    assert len(said) < 150 and said.isprintable()


def test_every_reason_has_its_words() -> None:
    assert set(BEGINNINGS) == set(REASONS)
    for reason in REASONS:
        assert fault(reason, csv_line()).startswith(BEGINNINGS[reason]) or reason == "bad_id"
    assert fault("of_another_version", csv_line()) == "it cannot be used"


@pytest.mark.parametrize(
    ("reason", "line", "said"),
    [
        (
            "bad_id",
            csv_line(category_id="2,05301E+18"),
            "category_id 2,05301E+18 is not a whole number, as a spreadsheet rounds it",
        ),
        ("bad_id", csv_line(product_id="x"), "product_id x is not a whole number"),
        ("bad_id", csv_line(user_id=None, category_id=None), "user_id is missing"),
        ("bad_id", csv_line(user_id=2**63), "user_id 9223372036854775808 is too large for 64 bits"),
        ("bad_id", csv_line(user_id="0" * 5000 + "9" * 20), f"user_id {'0' * 39}… is too large for 64 bits"),
        ("bad_id", csv_line(product_id="-9223372036854775808", user_id=" 5"), "user_id  5 is not a whole number"),
        (
            "bad_time",
            csv_line(event_time="2019-10-01T00:00:00.000Z"),
            "event_time 2019-10-01T00:00:00.000Z is not a time such as 2019-10-01 00:00:00 UTC",
        ),
        (
            "bad_time",
            csv_line(event_time="2019-02-30 00:00:00 UTC"),
            "event_time 2019-02-30 00:00:00 UTC is not in the calendar",
        ),
        ("bad_time", "x", "event_time x is not a time such as 2019-10-01 00:00:00 UTC"),
        ("unknown_event_type", csv_line(event_type="x"), f"event_type x is not {KINDS}"),
        ("unknown_event_type", csv_line(event_type=""), f"event_type is missing: {KINDS}"),
        ("bad_price", csv_line(price="cheap"), "price cheap is not a number"),
        ("bad_price", csv_line(price="1e400"), "price 1e400 is too large"),
        ("bad_price", csv_line(price="-Inf"), "price -Inf is too large"),
        ("bad_price", csv_line(price="1e15"), "price 1e15 is too large"),
        ("bad_price", csv_line(price="1_0"), "price 1_0 is not a number"),
        ("wrong_columns", "a,b", "it has 2 fields instead of 9"),
        ("wrong_columns", "a", "it has 1 field instead of 9"),
        ("wrong_columns", 'a,"b,c', "a quoted field does not end"),
        ("wrong_columns", "x" * 200_000 + ",y", "it has 2 fields instead of 9"),
    ],
)  # fmt: skip
def test_the_column_its_value_and_what_was_expected_are_named(reason: str, line: str, said: str) -> None:
    assert fault(reason, line) == said


def test_an_example_is_cut_to_a_terminal_and_cannot_change_it() -> None:
    line = csv_line(category_id="\x1b[31m2.1E+18", brand="b" * 500)
    first, second = reason_lines("bad_id", 1, 3, line)
    assert first.startswith("bad_id: 1 of 3 lines (33.3%): category_id �[31m2.1E+18 is not a whole number")
    assert second.startswith("    2019-10-01 00:00:00 UTC,view,1001,�[31m2.1E+18,") and len(second) == 80
    assert shown("x" * 76) == "x" * 76
