"""Whether InfluxDB holds just the points that the stream's batch log gives, each with its values (SPEC I1, T6)."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Union

from spark_apps.errors import NothingToDoError
from spark_apps.platform.influxdb import Influx
from spark_apps.storage import StoragePath
from spark_apps.streaming.records import BatchRecord
from spark_apps.telemetry.batch_log import BatchLog
from spark_apps.telemetry.delivery_offset import DeliveryOffset
from spark_apps.telemetry.hours import HourSums, sums_before
from spark_apps.telemetry.measurements import HOURLY_MEASUREMENTS, MEASUREMENTS, Kind
from spark_apps.telemetry.points import PointKey, key_and_values, points_of
from spark_apps.telemetry.provision import BUCKET, ORG, RETENTION_DAYS
from spark_apps.telemetry.sinks import sink_name

Values = Mapping[str, Union[int, float, str]]  # noqa: UP007 (an alias that is used as a value)

_COMPARED = (*MEASUREMENTS, *HOURLY_MEASUREMENTS)
_HOURLY = {one.name for one in HOURLY_MEASUREMENTS}
_FIELDS: dict[str, dict[str, Kind]] = {one.name: {it.name: it.kind for it in one.fields} for one in _COMPARED}
_READ: dict[Kind, type[int] | type[float] | type[str]] = {"integer": int, "float": float, "string": str}
_TAGS = {one.name: tuple(tag.name for tag in one.tags) for one in _COMPARED}
# InfluxDB drops whole days: what is a day younger than its bucket's oldest is there for certain
_KEPT = timedelta(days=RETENTION_DAYS - 1)
# Batches that are asked for at once: some 300 values each, which make an answer of 20 MB.
_AT_ONCE = 500


@dataclass
class Comparison:
    """One measurement.

    Attributes:
        measurement: its name.
        expected: points that the batch log gives.
        found: points of InfluxDB at the same times.
        differing: points that only one side has, or with other values.
        first: number of the first batch with such a point, None without one.
    """

    measurement: str
    expected: int = 0
    found: int = 0
    differing: int = 0
    first: int | None = None


@dataclass
class Compared:
    """What was compared.

    Attributes:
        batches: of the batch log, compared.
        too_old: batches that the bucket may have dropped already.
        waiting: batches that were not sent yet.
        comparisons: one per measurement, in the order of measurements.py.
    """

    batches: int = 0
    too_old: int = 0
    waiting: int = 0
    comparisons: dict[str, Comparison] = field(
        default_factory=lambda: {one.name: Comparison(one.name) for one in _COMPARED}
    )

    @property
    def wrong(self) -> list[Comparison]:
        """The measurements that differ."""
        return [one for one in self.comparisons.values() if one.differing]


class Comparing:
    """One comparison; it holds the points of some hundred batches at a time."""

    def __init__(self, root: StoragePath, influx: Influx) -> None:
        """Looks what there is to compare.

        Args:
            root: folder of the tables.
            influx: as the holder of a token sees it that may read the bucket.

        Raises:
            NothingToDoError: when the stream has applied nothing yet.
        """
        self._batch_log, self._influx, self.outcome = BatchLog(root), influx, Compared()
        numbers = self._batch_log.numbers()
        if not numbers:
            raise NothingToDoError("There are no points yet: run `shopstream stream` first (with the same --root).")
        sent = DeliveryOffset(root).read(sink_name(influx.url)).batch
        if sent >= 0:  # else nobody noted that anything was sent there, and all of it may be missing
            self.outcome.waiting = sum(number > sent for number in numbers)
            numbers = [number for number in numbers if number <= sent]
        self._oldest = datetime.now(timezone.utc) - _KEPT
        # months of a batch log need not be read to find the last one
        self.outcome.too_old = bisect_left(numbers, True, key=self._is_young)
        self._numbers = numbers[self.outcome.too_old :]

    @property
    def total(self) -> int:
        """How many batches there are to look at."""
        return len(self._numbers)

    def steps(self) -> Iterator[int]:
        """Compares, and yields the number of batches looked at so far.

        Raises:
            UserError: when InfluxDB does not answer.
        """
        if not self._numbers:
            return
        hour = sums_before(self._batch_log, self._numbers[0])
        for start in range(0, len(self._numbers), _AT_ONCE):
            numbers = self._numbers[start : start + _AT_ONCE]
            self._compare(self._given(numbers, hour))
            yield start + len(numbers)

    def _given(self, numbers: Iterable[int], hour: HourSums) -> dict[PointKey, tuple[int, Values]]:
        """The points of batches, those of hours before them too, with the batch that brought each."""
        given: dict[PointKey, tuple[int, Values]] = {}
        for record in self._records(numbers):
            for point in [*hour.ended_by(record), *points_of(record)]:
                key, values = key_and_values(point)
                if key.moment >= self._oldest:
                    given[key] = record.batch, values
            hour.add(record)
            self.outcome.batches += 1
        return given

    def _is_young(self, number: int) -> bool:
        record = self._batch_log.record(number)
        return record is not None and record.dropped_at >= self._oldest

    def _records(self, numbers: Iterable[int]) -> Iterator[BatchRecord]:
        for number in numbers:
            record = self._batch_log.record(number)
            if record is not None:
                yield record

    def _compare(self, given: Mapping[PointKey, tuple[int, Values]]) -> None:
        if not given:
            return
        batches = {_moment_of(key): batch for key, (batch, _) in given.items()}
        found = self._found(given.keys())
        for key in given.keys() | found.keys():
            batch = batches.get(_moment_of(key))
            if batch is None:
                continue  # of another time, so of another batch log, or of a batch that is not among these
            self._count(self.outcome.comparisons[key.measurement], batch, given.get(key), found.get(key))

    def _count(
        self, comparison: Comparison, batch: int, given: tuple[int, Values] | None, found: Values | None
    ) -> None:
        comparison.expected += given is not None
        comparison.found += found is not None
        if given is None or given[1] != found:
            comparison.differing += 1
            comparison.first = batch if comparison.first is None else min(comparison.first, batch)

    def _found(self, keys: Iterable[PointKey]) -> dict[PointKey, Values]:
        """The points of InfluxDB from the first to the last of some times."""
        times = [key.nanoseconds for key in keys]
        names = " or ".join(f'r._measurement == "{name}"' for name in _FIELDS)
        flux = (
            f'from(bucket: "{BUCKET}") |> range(start: time(v: {min(times)}), stop: time(v: {max(times) + 1})) '
            f'|> filter(fn: (r) => {names}) |> drop(columns: ["_start", "_stop"])'
        )
        found: dict[PointKey, dict[str, int | float | str]] = {}
        for row in self._influx.query(ORG, flux):
            measurement, name = row["_measurement"], row["_field"]
            tags = tuple((tag, row[tag]) for tag in _TAGS[measurement])
            key = PointKey(measurement, _nanoseconds(row["_time"]), tags)
            kind = _FIELDS[measurement].get(name, "string")  # a field that no point has any more is a difference
            found.setdefault(key, {})[name] = _READ[kind](row["_value"])
        return dict(found)


def _moment_of(key: PointKey) -> tuple[bool, int]:
    """What the points of one batch share, or those of one hour."""
    return key.measurement in _HOURLY, key.nanoseconds


def _nanoseconds(text: str) -> int:
    """Since 1970, of a time as InfluxDB writes it: 2026-11-28T10:00:00.12Z."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    return seconds * 1_000_000_000 + int(fraction.ljust(9, "0"))
