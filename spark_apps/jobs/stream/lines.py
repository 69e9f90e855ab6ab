"""A file's lines: events, and what goes to quarantine (SPEC D3, D4, T2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.compute as pc

from spark_apps.engine.base import Engine, Relation, Task
from spark_apps.engine.database import sql
from spark_apps.engine.published import stored_schema
from spark_apps.ingestion.event_times import latest_possible
from spark_apps.ingestion.landing import date_of_row
from spark_apps.ingestion.lines import LINE, REASON, lines_of, read_lines
from spark_apps.ingestion.raw_lines import Piece, blocks_of, pieces_of
from spark_apps.storage import StoragePath, parquet_files
from spark_apps.streaming.clock import Clock, advanced
from spark_apps.streaming.intake import Dropped
from spark_apps.streaming.state import StreamState
from spark_apps.streaming.watermark import late_events, watermark_after
from spark_apps.tables import STREAM_EVENTS, STREAM_QUARANTINE, partition_date, partition_folder

EVENTS, QUARANTINE = stored_schema(STREAM_EVENTS), stored_schema(STREAM_QUARANTINE)
_TIME = pa.timestamp("us", "UTC")
# rows by date, of events and of each reason; of events how many are late, and their times
_READ = pa.schema(
    [
        ("date", pa.date32()),
        ("reason", pa.string()),
        ("rows", pa.int64()),
        ("late", pa.int64()),
        ("first", _TIME),
        ("last", _TIME),
    ]
)
_LAST_MINUTES = pa.schema([("last", _TIME), ("users", pa.int64())])
_AHEAD = pa.schema([("ahead", pa.int64()), ("last", _TIME)])


@dataclass(frozen=True)
class Lines:
    """The lines below a file's header: how many there are of each kind, and the files that hold them.

    Attributes:
        events: date -> files of its events, in the order of the lines, not yet published.
        refused: the same of the lines in quarantine.
        clean: date -> clean events.
        late: date -> events of those whose window is closed.
        quarantined: reason -> lines.
        first, last: times of clean events; None without one.
        clock: the stream's time after them.
        ahead: clean events later than that.
        last_in_time: the last of the others; None without one.
    """

    events: Mapping[date | None, tuple[StoragePath, ...]]
    refused: Mapping[date | None, tuple[StoragePath, ...]]
    clean: Mapping[date, int]
    late: Mapping[date, int]
    quarantined: dict[str, int]
    first: datetime | None
    last: datetime | None
    clock: Clock
    ahead: int = 0
    last_in_time: datetime | None = None

    @property
    def rows(self) -> int:
        """All lines: clean and in quarantine."""
        return sum(self.clean.values()) + sum(self.quarantined.values())

    def count_clean(self, without: Collection[date] = ()) -> int:
        """Returns the clean events, but for those of some dates."""
        return sum(rows for day, rows in self.clean.items() if day not in without)

    def count_late(self, without: Collection[date] = ()) -> int:
        """Returns the late ones of them, but for those of some dates."""
        return sum(rows for day, rows in self.late.items() if day not in without)


@dataclass(frozen=True)
class _About:
    """What the tasks that read a file need beside their piece of it."""

    batch: int
    watermark: datetime | None


def read_file(engine: Engine, file: Dropped, state: StreamState, leap: timedelta, folder: StoragePath) -> Lines:
    """Parses a file into files of events and quarantine, and counts its lines.

    Args:
        engine: reads it.
        file: with a header.
        state: before the batch.
        leap: see streaming.clock.
        folder: a new one for the files, not yet published.
    """
    with cast(BinaryIO, file.path.open("rb")) as stream:
        below = len(stream.readline())
    pieces = pieces_of(file.path, file.path.stat().st_size, None, latest_possible(file.arrived_at), below)
    outputs = {table.name: folder / table.name for table in (STREAM_EVENTS, STREAM_QUARANTINE)}
    about = _About(state.next_batch, watermark_after(state.latest))
    read = engine.map(_read_piece, pieces, outputs, about).result("read", _READ).to_pylist()  # a row a date and reason
    events = [row for row in read if row["reason"] is None]
    found = Lines(
        events=_by_date(outputs[STREAM_EVENTS.name]),
        refused=_by_date(outputs[STREAM_QUARANTINE.name]),
        clean=_added(events, "date", "rows"),
        late=_added(events, "date", "late"),
        quarantined=_added((row for row in read if row["reason"] is not None), "reason", "rows"),
        first=min((row["first"] for row in events), default=None),
        last=max((row["last"] for row in events), default=None),
        clock=state.clock,
    )
    return found if found.last is None else _timed(engine, found, state, leap)


def _read_piece(task: Task) -> None:
    """Writes the events of a piece of a file and the lines that are none, a file a date.

    Item: Piece. Shared: _About. Outputs: stream_events, stream_quarantine. Gives `read`, _READ: at most a row for each
    date and reason. Holds the piece in memory.
    """
    piece: Piece = task.item
    found = [read_lines(lines_of(block), piece.latest, lambda: task.database) for block in blocks_of(piece)]
    if not found:
        return
    about: _About = task.shared
    events = numbered(pa.concat_tables([one.events for one in found]), about.batch)
    events = events.append_column("late", late_events(events["event_time"], about.watermark))
    for day, rows in _days(events):
        task.output(STREAM_EVENTS.name, EVENTS, [rows.select(EVENTS.names).cast(EVENTS)], folder=partition_folder(day))
        times = pc.min_max(rows["event_time"]).as_py()
        late = pc.sum(rows["late"]).as_py()
        task.give("read", _counted(day, None, len(rows), late, times["min"], times["max"]))
    lines = pa.concat_tables([one.rejected for one in found])
    days = pa.array([date_of_row(line.encode()) for line in lines[LINE].to_pylist()], pa.date32())
    for day, rows in _days(numbered(lines, about.batch).append_column("date", days)):
        task.output(STREAM_QUARANTINE.name, QUARANTINE, [rows.select(QUARANTINE.names)], folder=partition_folder(day))
        for one in rows[REASON].value_counts().to_pylist():
            task.give("read", _counted(day, one["values"], one["counts"]))


def numbered(rows: pa.Table, batch: int) -> pa.Table:
    """Adds the number of the batch to rows."""
    return rows.append_column("batch", pa.repeat(pa.scalar(batch, pa.int32()), len(rows)))


def _days(rows: pa.Table) -> list[tuple[date | None, pa.Table]]:
    """The rows of each date, in their order."""
    days = pc.unique(rows["date"]).to_pylist()
    if len(days) == 1:
        return [(days[0], rows)]
    null = pc.is_null(rows["date"])
    return [(day, rows.filter(null if day is None else pc.equal(rows["date"], day))) for day in days]


def _counted(
    day: date | None,
    reason: str | None,
    rows: int,
    late: int = 0,
    first: datetime | None = None,
    last: datetime | None = None,
) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(_READ.names, (day, reason, rows, late, first, last), strict=True))], _READ)


def _added(rows: Iterable[dict[str, Any]], key: str, value: str) -> dict[Any, int]:
    counted: Counter[Any] = Counter()
    for row in rows:
        counted[row[key]] += row[value]
    return dict(sorted(counted.items()))


def _by_date(folder: StoragePath) -> dict[date | None, tuple[StoragePath, ...]]:
    found: list[StoragePath] = sorted(folder.glob("date=*"), key=str)
    return {partition_date(one.name): parquet_files(one) for one in found}


def _timed(engine: Engine, lines: Lines, state: StreamState, leap: timedelta) -> Lines:
    """Sets the clock by the lines' events, of which there are some."""
    last = lines.last
    assert last is not None
    if state.clock.is_ordinary(last):
        clock = Clock(max(last, state.clock.latest or last))
    else:
        events = _events_of(lines, "user_id", "event_time")
        found = engine.run(_last_minutes, {"events": events}, by="user_id").result("last_minutes", _LAST_MINUTES)
        seen = [(row["last"], row["users"]) for row in found.to_pylist()]  # a row a minute of the file and task
        clock = advanced(state.clock, date.fromisoformat(state.last_date), seen, leap)
    if clock.latest is not None and last <= clock.latest:
        return replace(lines, clock=clock, last_in_time=last)
    ahead = engine.run(_ahead, {"events": _events_of(lines, "event_time")}, shared=clock.latest)
    (row,) = ahead.result("ahead", _AHEAD).to_pylist()
    return replace(lines, clock=clock, ahead=row["ahead"], last_in_time=row["last"])


def _events_of(lines: Lines, *columns: str) -> Relation:
    return Relation(tuple(path for files in lines.events.values() for path in files), EVENTS).select(*columns)


def _last_minutes(task: Task) -> None:
    """Gives `last_minutes`, _LAST_MINUTES, of whole users. Inputs: events, user_id and event_time."""
    task.give("last_minutes", task.database.rows(sql("spark_apps.streaming", "last_minutes"), _LAST_MINUTES))


def _ahead(task: Task) -> None:
    """Gives `ahead`, a row of _AHEAD. Inputs: events, event_time. Shared: the stream's time, if there is one yet."""
    latest = task.shared
    task.database.set(latest=latest.astimezone(timezone.utc).replace(tzinfo=None) if latest else datetime.min)
    text = (
        "select count(*) filter (event_time > getvariable('latest')) as ahead, "
        "max(event_time) filter (event_time <= getvariable('latest')) as last from events"
    )
    task.give("ahead", task.database.rows(text, _AHEAD))
