"""Tasks that write plain lines as files of events, and hand over the other lines."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import DataFrame

from spark_apps.ingestion.cleaning import LATEST
from spark_apps.ingestion.landing import OPEN_DATES
from spark_apps.ingestion.plain_lines import EVENT_COLUMNS, split_plain
from spark_apps.storage import ParquetBuilder, StoragePath, count_rows
from spark_apps.tables import try_of_task

_STORED = EVENT_COLUMNS.remove(EVENT_COLUMNS.get_field_index("date"))
_SELDOM_REPEATED = ("event_time", "user_session")
_WRITTEN = "name string, date date, rows long"
_Step = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]


@dataclass(frozen=True)
class Staged:
    """What the tasks wrote.

    Attributes:
        events: the files of each date: columns of schemas.EVENTS but for the date.
        rows: events of each date, as its files count them.
        others: files of the lines that are not plain, with the columns they came with.
    """

    events: dict[date, list[StoragePath]]
    rows: dict[date, int]
    others: list[StoragePath]


def stage_plain(lines: DataFrame, folder: StoragePath) -> Staged:
    """Writes the plain ones of some lines as events.

    Args:
        lines: columns `value` and perhaps `latest`, as `cleaning.parse_lines` takes them; and others.
        folder: where to write. Tries of tasks that failed or were too slow leave files there that no one counts.
    """
    events: dict[date, list[StoragePath]] = {}
    rows: dict[date, int] = {}
    others = []
    for file in lines.mapInArrow(_writer(folder), _WRITTEN).collect():  # files
        if file["date"] is None:
            others.append(folder / file["name"])
        else:
            events.setdefault(file["date"], []).append(folder / file["name"])
            rows[file["date"]] = rows.get(file["date"], 0) + file["rows"]
    return Staged(events, rows, others)


def _writer(folder: StoragePath) -> _Step:
    def write(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        files = _Files(folder)
        for batch in batches:
            events, plain = split_plain(batch["value"], batch[LATEST] if LATEST in batch.schema.names else None)
            for day, rows in _by_date(events):
                files.open(day, _STORED, _SELDOM_REPEATED).add(rows.select(_STORED.names))
            if not pc.all(plain).as_py():
                files.open(None, batch.schema).add(pa.Table.from_batches([batch.filter(pc.invert(plain))]))
        yield files.close()

    return write


def _by_date(events: pa.Table) -> Iterator[tuple[date, pa.Table]]:
    days = pc.unique(events["date"])
    for day in days:
        yield day.as_py(), events if len(days) == 1 else events.filter(pc.equal(events["date"], day))


class _Files:
    """The files of one try of a task, one a date; None stands for the lines that are not plain.

    At most OPEN_DATES are open at a time; together they hold no more than Spark gives one task to read, compressed.
    """

    def __init__(self, folder: StoragePath) -> None:
        self._folder, self._task = folder, try_of_task()
        self._open: OrderedDict[date | None, ParquetBuilder] = OrderedDict()
        self._written: list[tuple[str, date | None, int]] = []
        self._begun = 0

    def open(self, day: date | None, schema: pa.Schema, seldom_repeated: Sequence[str] = ()) -> ParquetBuilder:
        """Returns a date's file, which closes the one used least recently where too many are open."""
        if day not in self._open:
            if len(self._open) == OPEN_DATES:
                self._finish(*self._open.popitem(last=False))
            name = f"{self._task}-{self._begun:04}.zstd.parquet"
            self._open[day] = ParquetBuilder(self._folder / name, schema, seldom_repeated)
            self._begun += 1
        self._open.move_to_end(day)
        return self._open[day]

    def close(self) -> pa.RecordBatch:
        """Finishes all files and returns name, date and rows of each."""
        while self._open:
            self._finish(*self._open.popitem())
        names, days, rows = zip(*self._written, strict=True) if self._written else ((), (), ())
        return pa.record_batch(
            [pa.array(names, pa.string()), pa.array(days, pa.date32()), pa.array(rows, pa.int64())],
            ["name", "date", "rows"],
        )

    def _finish(self, day: date | None, file: ParquetBuilder) -> None:
        file.close()
        self._written.append((file.path.name, day, count_rows(file.path)))
