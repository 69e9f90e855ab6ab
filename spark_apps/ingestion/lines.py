"""Raw lines to typed events, and the reason for every line that cannot be one (SPEC D3, D4).

Plain lines, nearly all of a log, are read by Arrow (`plain_lines`), which takes 40 % of the time of SQL; the SQL
beside this file takes all others, and alone finds lines unusable. Both make the same event of the same line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_apps.engine.database import Database, sql
from spark_apps.ingestion.plain_lines import split_plain
from spark_apps.schemas import EVENTS

_ROOM = "spark_apps.ingestion"
LINE, REASON = "raw_line", "reason"
# Reasons, the first that holds is given: see judged_lines.sql.
EMPTY_LINE = "empty_line"
BAD_ENCODING = "bad_encoding"
WRONG_COLUMNS = "wrong_columns"
BAD_TIME = "bad_time"
FUTURE_TIME = "future_time"
UNKNOWN_EVENT_TYPE = "unknown_event_type"
BAD_ID = "bad_id"
BAD_PRICE = "bad_price"
REASONS = (EMPTY_LINE, BAD_ENCODING, WRONG_COLUMNS, BAD_TIME, FUTURE_TIME, UNKNOWN_EVENT_TYPE, BAD_ID, BAD_PRICE)
IDS = ("product_id", "category_id", "user_id")
_LINE_FEED = ord("\n")
# A price from here on is none: beyond 15 digits a double no longer holds cents.
PRICE_LIMIT = 1e15
# Later than any time that a line can hold.
_NO_LIMIT = datetime(9999, 12, 31, 23, 59, 59)
REJECTED = pa.schema([(LINE, pa.string()), (REASON, pa.string())])
_LINES = pa.schema([("number", pa.int64()), ("line", pa.string()), ("valid", pa.bool_())])


@dataclass(frozen=True)
class ReadLines:
    """What became of some lines: each is in one of the two.

    Attributes:
        events: the columns of schemas.EVENTS.
        rejected: REJECTED: the line as it stood (bytes that are not UTF-8 replaced, so that every reader of the table
            takes it) and the reason.
    """

    events: pa.Table
    rejected: pa.Table


def read_lines(lines: pa.StringArray, latest: datetime | None, opened: Callable[[], Database]) -> ReadLines:
    """Reads raw lines into events.

    Args:
        lines: CSV lines without their line feeds; any bytes, no nulls. Carriage returns at their ends are dropped.
        latest: the latest time that an event of them can have; None where any is possible.
        opened: returns a database, for lines that are not plain, a few as a rule.
    """
    events, plain = split_plain(lines, _each(latest, len(lines)))
    if len(events) == len(lines):
        return ReadLines(events, REJECTED.empty_table())
    others, rejected = _read_others(lines.filter(pc.invert(plain)), latest, opened())
    return ReadLines(pa.concat_tables([events, others]) if len(others) else events, rejected)


def _each(latest: datetime | None, lines: int) -> pa.TimestampArray | None:
    return None if latest is None else pa.repeat(pa.scalar(latest, pa.timestamp("us", "UTC")), lines)


def _read_others(lines: pa.StringArray, latest: datetime | None, database: Database) -> tuple[pa.Table, pa.Table]:
    database.set(price_limit=PRICE_LIMIT, latest=_naive(latest) if latest is not None else _NO_LIMIT)
    database.register("lines", _checked(pc.ascii_rtrim(lines, characters="\r")))
    for name in ("line_fields", "line_values"):
        database.view(name, sql(_ROOM, name))
    database.table("judged_lines", sql(_ROOM, "judged_lines"))
    events = database.rows(sql(_ROOM, "line_events"), EVENTS)
    rejected = "select line as raw_line, reason from judged_lines where reason is not null order by number"
    return events, database.rows(rejected, REJECTED)


def _naive(moment: datetime) -> datetime:
    return moment.astimezone(timezone.utc).replace(tzinfo=None)


def _checked(lines: pa.StringArray) -> pa.Table:
    """Numbers lines and says which are UTF-8; bytes that are not are replaced."""
    numbers = pa.array(range(len(lines)), pa.int64())
    try:
        lines.validate(full=True)
    except pa.ArrowInvalid:
        written: list[bytes] = lines.cast(pa.binary()).to_pylist()
        texts = [line.decode("utf-8", "replace") for line in written]
        valid = [text.encode() == line for text, line in zip(texts, written, strict=True)]
        return pa.table([numbers, pa.array(texts, pa.string()), pa.array(valid, pa.bool_())], _LINES)
    return pa.table([numbers, lines, pa.repeat(pa.scalar(True), len(lines))], _LINES)


def lines_of(block: bytes) -> pa.StringArray:
    """Cuts whole rows at their line feeds.

    Args:
        block: rows, each ended by a line feed, except that the last may lack it; below 2 GiB.

    Returns:
        Their lines, without line feeds and carriage returns at their ends; any bytes.
    """
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == _LINE_FEED).astype(np.int32) + 1
    if len(block) and not block.endswith(b"\n"):
        ends = np.append(ends, np.int32(len(block)))
    offsets = np.concatenate([np.zeros(1, np.int32), ends])
    lines = pa.StringArray.from_buffers(len(ends), pa.py_buffer(offsets), pa.py_buffer(block))
    return pc.ascii_rtrim(lines, characters="\r\n")
