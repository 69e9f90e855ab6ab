"""What is wrong with a line in quarantine, in words: the column, its value and what was expected (SPEC D4)."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable

from spark_apps.ingestion.lines import (
    BAD_ENCODING,
    BAD_ID,
    BAD_PRICE,
    BAD_TIME,
    EMPTY_LINE,
    FUTURE_TIME,
    IDS,
    PRICE_LIMIT,
    UNKNOWN_EVENT_TYPE,
    WRONG_COLUMNS,
)
from spark_apps.schemas import CSV_COLUMNS, EVENT_TYPES

_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_ROUNDED = re.compile(r"\d+(?:[.,]\d+)?E\+?\d+", re.IGNORECASE | re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC", re.ASCII)
_EXAMPLE_TIME = "2019-10-01 00:00:00 UTC"
_LONGEST_VALUE = 40
_MOST_DIGITS = 19  # of a whole number of 64 bits
_LINE_LETTERS = 76  # of 80, with an indent
_Fields = dict[str, str]


def fault(reason: str, line: str) -> str:
    """Says what is wrong with a line.

    Args:
        reason: why it is in quarantine, one of lines.REASONS; those of other versions are taken too.
        line: the line as the quarantine has it.

    Returns:
        A clause such as `category_id 2.05301E+18 is not a whole number`.
    """
    if reason in _WHOLE_LINE:
        return _WHOLE_LINE[reason](line)
    fields = dict(zip(CSV_COLUMNS, _fields(line), strict=False))
    return _OF_FIELDS[reason](fields) if reason in _OF_FIELDS else "it cannot be used"


def reason_lines(reason: str, rows: int, total: int, line: str) -> tuple[str, str]:
    """Says in two lines of text how many lines have a reason, what is wrong with one of them, and how it begins.

    Args:
        reason: the reason.
        rows: lines with it.
        total: all lines, good and bad.
        line: one of those with the reason.
    """
    share = rows / total if total else 0.0
    return f"{reason}: {rows:,} of {total:,} lines ({share:.1%}): {fault(reason, line)}", f"    {shown(line)}"


def shown(text: str, letters: int = _LINE_LETTERS) -> str:
    """Returns the beginning of a text as a terminal can show it: control characters are replaced."""
    begun = "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text[: letters + 1])
    return begun if len(begun) <= letters else begun[: letters - 1] + "\N{HORIZONTAL ELLIPSIS}"


def _fields(line: str) -> list[str]:
    try:
        return next(csv.reader([line]), [])
    except csv.Error:  # a field of over 128 KiB
        return line.split(",")


def _value(fields: _Fields, name: str) -> str:
    return f"{name} {shown(fields.get(name, ''), _LONGEST_VALUE)}"


def _columns(line: str) -> str:
    found = len(_fields(line))
    if line.count('"') % 2:
        return "a quoted field does not end"
    if found == len(CSV_COLUMNS):
        return f"it is not {found} fields as CSV has them"
    return f"it has {found:,} field{'' if found == 1 else 's'} instead of {len(CSV_COLUMNS)}"


def _time(fields: _Fields) -> str:
    text = fields.get("event_time", "")
    if not text:
        return f"event_time is missing, a time such as {_EXAMPLE_TIME}"
    if _TIME.fullmatch(text):
        return f"{_value(fields, 'event_time')} is not in the calendar"
    return f"{_value(fields, 'event_time')} is not a time such as {_EXAMPLE_TIME}"


def _event_type(fields: _Fields) -> str:
    expected = f"{', '.join(EVENT_TYPES[:-1])} or {EVENT_TYPES[-1]}"
    if not fields.get("event_type"):
        return f"event_type is missing: {expected}"
    return f"{_value(fields, 'event_type')} is not {expected}"


def _id(fields: _Fields) -> str:
    """The first id that is missing or wrong; a category alone may be missing."""
    for name in IDS:
        text = fields.get(name, "")
        if not text and name != "category_id":
            return f"{name} is missing"
        if text and not _INTEGER.fullmatch(text):
            hint = ", as a spreadsheet rounds it" if _ROUNDED.fullmatch(text) else ""
            return f"{_value(fields, name)} is not a whole number{hint}"
        if text and not _fits(text):
            return f"{_value(fields, name)} is too large for 64 bits"
    return "an id is not a whole number"


def _fits(digits: str) -> bool:
    """Says whether a whole number has room in 64 bits, however many digits it has."""
    size = digits.lstrip("+-").lstrip("0") or "0"
    return len(size) <= _MOST_DIGITS and int(size) < 2**63 + digits.startswith("-")


def _price(fields: _Fields) -> str:
    text = fields.get("price", "")
    return f"{_value(fields, 'price')} is {'too large' if _is_too_large(text) else 'not a number'}"


def _is_too_large(text: str) -> bool:
    try:
        return abs(float(text)) >= PRICE_LIMIT
    except ValueError:
        return False


_WHOLE_LINE: dict[str, Callable[[str], str]] = {
    EMPTY_LINE: lambda line: "it is empty",
    BAD_ENCODING: lambda line: "it is not UTF-8 text",
    WRONG_COLUMNS: _columns,
}
_OF_FIELDS: dict[str, Callable[[_Fields], str]] = {
    BAD_TIME: _time,
    FUTURE_TIME: lambda fields: f"{_value(fields, 'event_time')} is later than its file",
    UNKNOWN_EVENT_TYPE: _event_type,
    BAD_ID: _id,
    BAD_PRICE: _price,
}
