"""Plain lines to typed events in Arrow, at a fraction of what SQL costs.

A line is plain where nothing about it can be in doubt: nine fields without quotes and control characters, an
existing time, a known event type, ids of digits alone, a price of digits with one point at most. It becomes the same
event here as in `lines`, which takes all other lines and alone finds lines unusable.
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from spark_apps.schemas import CSV_COLUMNS, EVENT_TYPES, EVENTS, UNKNOWN

# Years in which every calendar agrees. Of 29 February only those are plain whose year can be divided by 4, not by 100.
_DAY_PATTERN = (
    r"(?:19|2\d)\d\d-(?:(?:0[1-9]|1[0-2])-(?:0[1-9]|1\d|2[0-8])|(?:0[13-9]|1[0-2])-(?:29|30)|(?:0[13578]|1[02])-31)"
    r"|(?:19|2\d)(?:0[48]|[2468][048]|[13579][26])-02-29"
)
_TIME_PATTERN = rf"^(?:{_DAY_PATTERN}) (?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d UTC$"
_TIME_LETTERS = len("2019-10-01 00:00:00")
_LONGEST_ID = 19  # digits; so many fit 64 bits where the first is not a 9
_PRICE_PATTERN = r"^(?:\d{1,15}(?:\.\d{1,15})?)?$"
_MISSING = pa.array(["", "NaN"])
_QUOTE, _SPACE, _LAST_ASCII = ord('"'), ord(" "), 0x7F
_SUNDAY = 7
_FIRST_ROW = 2  # as Arrow numbers the rows of a file, its header is the first


def split_plain(lines: pa.StringArray, latest: pa.TimestampArray | None = None) -> tuple[pa.Table, pa.BooleanArray]:
    """Reads the plain ones of some lines into events.

    Args:
        lines: CSV lines without their line feeds, as `lines.read_lines` takes them; any bytes, no nulls.
        latest: of each line the latest time that its event can have, null where any is possible. An event from later
            is not plain.

    Returns:
        The events of the plain lines, in their order: the columns of schemas.EVENTS; and which of the lines are plain.
    """
    trimmed = pc.ascii_rtrim(lines, characters="\r")
    plain = _hold_plain_text(trimmed)
    fields, of_nine = _cut(_only(trimmed, plain))
    plain[plain] = of_nine
    typable = _are_plain(fields)
    plain[plain] = typable
    events = _typed(_only(fields, typable))
    if latest is not None and latest.null_count < len(latest):
        possible = _are_possible(events["event_time"], _only(latest, plain))
        plain[plain] = possible
        events = _only(events, possible)
    return events, pa.array(plain)


def _are_possible(times: pa.ChunkedArray, latest: pa.TimestampArray) -> np.ndarray:
    return np.asarray(pc.fill_null(pc.less_equal(times, latest), True))


def _only(rows: Any, wanted: np.ndarray) -> Any:
    """The wanted ones of rows, which mostly are all, without a copy then."""
    return rows if wanted.all() else rows.filter(pa.array(wanted))


def _hold_plain_text(lines: pa.StringArray) -> np.ndarray:
    """Says which lines are UTF-8 of at least one letter, without quotes and control characters."""
    offsets = np.frombuffer(lines.buffers()[1], np.int32)[lines.offset : lines.offset + len(lines) + 1]
    plain = np.diff(offsets) > 0
    if not plain.any():
        return plain
    text = np.frombuffer(lines.buffers()[2], np.uint8)[: offsets[-1]]
    strange = text == _QUOTE
    if text.min() < _SPACE:
        strange |= text < _SPACE
    if text.max() > _LAST_ASCII and not _is_utf8(lines):
        strange |= text > _LAST_ASCII
    if strange.any():
        plain[np.searchsorted(offsets, np.flatnonzero(strange), side="right") - 1] = False
    return plain


def _is_utf8(lines: pa.StringArray) -> bool:
    try:
        lines.validate(full=True)
    except pa.ArrowInvalid:
        return False
    return True


def _cut(lines: pa.StringArray) -> tuple[pa.Table, np.ndarray]:
    """Cuts lines at their commas: CSV_COLUMNS of those with nine fields, as texts; and which these are."""
    of_nine, wrong = np.ones(len(lines), bool), []

    def note(row: csv.InvalidRow) -> str:
        wrong.append(row.number)
        return "skip"

    # below a header, because Arrow drops a byte order mark before the first line; the last line ends too
    rows = pa.concat_arrays([pa.array([",".join(CSV_COLUMNS)]), lines, pa.array([""])])
    text = pc.binary_join(pa.ListArray.from_arrays(pa.array([0, len(rows)], pa.int32()), rows), "\n")[0].as_buffer()
    fields = csv.read_csv(
        pa.BufferReader(text),
        csv.ReadOptions(use_threads=False, block_size=text.size + 1),
        csv.ParseOptions(quote_char=False, newlines_in_values=False, invalid_row_handler=note),
        csv.ConvertOptions(
            check_utf8=False, column_types=dict.fromkeys(CSV_COLUMNS, pa.string()), strings_can_be_null=False
        ),
    )
    of_nine[np.array(wrong, np.int64) - _FIRST_ROW] = False
    return fields, of_nine


def _are_plain(fields: pa.Table) -> np.ndarray:
    """Says which lines have nothing but plain values."""
    conditions = [
        pc.match_substring_regex(fields["event_time"], _TIME_PATTERN),
        pc.is_in(fields["event_type"], pa.array(EVENT_TYPES)),
        _are_ids(fields["product_id"]),
        pc.or_(_are_ids(fields["category_id"]), pc.equal(fields["category_id"], "")),
        _are_ids(fields["user_id"]),
        pc.match_substring_regex(fields["price"], _PRICE_PATTERN),
    ]
    return np.asarray(reduce(pc.and_, conditions))


def _are_ids(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    length = pc.binary_length(texts)
    fit = pc.or_(pc.less(length, _LONGEST_ID), pc.and_(pc.equal(length, _LONGEST_ID), pc.less(texts, "9")))
    return pc.and_(pc.ascii_is_decimal(texts), fit)


def _typed(fields: pa.Table) -> pa.Table:
    """Turns plain texts into the columns of events."""
    # without a zone, for which Arrow would need a database of zones
    time = pc.utf8_slice_codeunits(fields["event_time"], 0, _TIME_LETTERS).cast(pa.timestamp("s"))
    price = _number(fields["price"], pa.float64())
    columns = {
        "event_time": time,
        "event_type": fields["event_type"],
        "product_id": fields["product_id"],
        "category_id": _number(fields["category_id"], pa.int64()),
        "category_code": _text(fields["category_code"], UNKNOWN),
        "brand": _text(fields["brand"], UNKNOWN),
        "price": pc.if_else(pc.greater(price, 0), price, None),
        "user_id": fields["user_id"],
        "user_session": _text(fields["user_session"], None),
        "hour": pc.hour(time),
        "minute": pc.minute(time),
        "second": pc.second(time),
        "day": pc.day(time),
        "month": pc.month(time),
        "dayofweek": pc.day_of_week(time, count_from_zero=False, week_start=_SUNDAY),
        "hour_bucket": pc.floor_temporal(time, unit="hour"),
        "date": time.cast(pa.date32()),
    }
    return pa.table({field.name: columns[field.name].cast(field.type) for field in EVENTS}, EVENTS)


def _number(texts: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """A field of digits, null where it is empty."""
    return pc.if_else(pc.equal(texts, ""), None, texts).cast(kind)


def _text(texts: pa.ChunkedArray, missing: str | None) -> pa.ChunkedArray:
    return pc.if_else(pc.is_in(texts, _MISSING), pa.scalar(missing, pa.string()), texts)
