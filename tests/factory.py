"""Makes events for tests: a usable one by default, changed in what the test is about."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from spark_apps.engine.base import Relation
from spark_apps.engine.published import stored_schema
from spark_apps.schemas import CSV_COLUMNS, UNKNOWN
from spark_apps.storage import open_parquet
from spark_apps.tables import EVENTS as EVENTS_TABLE
from spark_apps.tables import Table, partition_folder

HEADER = ",".join(CSV_COLUMNS)
_DEFAULTS: dict[str, Any] = {
    "event_time": "2019-10-01 00:00:00 UTC",
    "event_type": "view",
    "product_id": 1001,
    "category_id": 2053013555631882655,
    "category_code": "electronics.smartphone",
    "brand": "samsung",
    "price": 100.5,
    "user_id": 501,
    "user_session": "11111111-2222-4333-8444-555555555555",
}


def event(**overrides: Any) -> dict[str, Any]:
    """Returns one event as the log has it: the nine columns, None where the log has nothing.

    Args:
        overrides: values of columns. A date may stand for the time: its first second is meant.

    Raises:
        TypeError: for a name that is not one of the nine columns.
    """
    strange = set(overrides) - set(_DEFAULTS)
    if strange:
        raise TypeError(f"not columns of an event: {', '.join(sorted(strange))}")
    return {**_DEFAULTS, **overrides}


def csv_line(**overrides: Any) -> str:
    """Returns one event as a line of the log, without its line end; quoted where CSV needs it."""
    values = event(**overrides)
    if isinstance(values["event_time"], str) and len(values["event_time"]) == len("2019-10-01"):
        values["event_time"] += " 00:00:00 UTC"
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(["" if values[name] is None else values[name] for name in CSV_COLUMNS])
    return text.getvalue()


def write_log(
    path: Path,
    lines: Iterable[str | bytes],
    header: str | bytes = HEADER,
    newline: str = "\n",
    last_newline: bool = True,
) -> Path:
    """Writes an event log.

    Args:
        path: the file; its folder is made.
        lines: the rows, without line ends; bytes are written as they are.
        header: the first line.
        newline: the line end, also after the last line.
        last_newline: False leaves the last line without its end.

    Returns:
        The path.
    """
    rows = [line if isinstance(line, bytes) else line.encode("utf-8") for line in (header, *lines)]
    end = newline.encode("ascii")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(end.join(rows) + (end if last_newline else b""))
    return path


def clean_event(**overrides: Any) -> dict[str, Any]:
    """Returns one clean event: every column of schemas.EVENTS, the derived ones computed from the others."""
    values = event(**overrides)
    time = _moment(values["event_time"])
    price = values["price"]
    return {
        **values,
        "event_time": time,
        "category_code": values["category_code"] or UNKNOWN,
        "brand": values["brand"] or UNKNOWN,
        "price": float(price) if price is not None and price > 0 else None,
        "user_session": values["user_session"] or None,
        "hour": time.hour,
        "minute": time.minute,
        "second": time.second,
        "day": time.day,
        "month": time.month,
        "dayofweek": time.isoweekday() % 7 + 1,
        "hour_bucket": time.replace(minute=0, second=0),
        "date": time.date(),
    }


def write_events_table(folder: Path, rows: Sequence[Mapping[str, Any]]) -> Relation:
    """Writes clean events as the files of a table, a folder a date, and returns them as an input of units.

    Args:
        folder: of the table; it is made.
        rows: for each event what differs from the default one. Times are text such as
            `2019-10-01 12:00:00` (UTC) or datetimes with a zone.
    """
    days: dict[date, list[dict[str, Any]]] = {}
    for one in (clean_event(**row) for row in rows):
        days.setdefault(one["date"], []).append(one)
    schema = stored_schema(EVENTS_TABLE)
    for day, events in days.items():
        (folder / partition_folder(day)).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(events, schema=schema), folder / partition_folder(day) / "part-0.parquet")
    return Relation(tuple(sorted(folder.rglob("*.parquet"))), schema)


def rows_of_files(rows: Relation, *order: str) -> list[dict[str, Any]]:
    """Reads files as dicts; times become text in UTC, so that the machine's zone does not matter.

    Args:
        rows: what to read.
        order: columns to sort by; by default, no order.
    """
    tables = [open_parquet(path).read(columns=rows.schema.names) for path in rows.files]
    return _dicts(pa.concat_tables(tables) if tables else rows.schema.empty_table(), order)


def read_published(root: Path, table: Table) -> pa.Table:
    """Reads a table of this machine whole, with its partition."""
    found = ds.dataset(root / table.path, schema=table.schema, format="parquet", partitioning="hive")
    return found.to_table()


def published_rows(root: Path, table: Table, *order: str) -> list[dict[str, Any]]:
    """Returns the rows of a table of this machine, with its partition: see `rows_of_files`."""
    return _dicts(read_published(root, table), order)


def _dicts(table: pa.Table, order: Sequence[str]) -> list[dict[str, Any]]:
    for place, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            texts = pc.strftime(table[field.name].cast(pa.timestamp("us")).cast(pa.timestamp("s")), "%Y-%m-%d %H:%M:%S")
            table = table.set_column(place, field.name, texts)
    table = table.sort_by([(name, "ascending") for name in order]) if order else table
    found: list[dict[str, Any]] = table.to_pylist()
    return found


def _moment(value: str | datetime) -> datetime:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"the time {value} has no zone")
        return value.astimezone(timezone.utc)
    return datetime.fromisoformat(value.removesuffix(" UTC")).replace(tzinfo=timezone.utc)
