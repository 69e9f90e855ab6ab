"""A file's lines: events, and what goes to quarantine (SPEC D3, D4, T2)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.ingestion.cleaning import LATEST, LINE, REASON, USABLE, explain, parse_lines, rejected
from spark_apps.ingestion.event_times import latest_possible
from spark_apps.schemas import EVENTS, STREAM_QUARANTINE
from spark_apps.streaming.clock import Clock, advanced
from spark_apps.streaming.intake import Dropped
from spark_apps.streaming.state import StreamState
from spark_apps.streaming.watermark import is_late, micros, watermark_after

_LATE, _NUMBER = "late", "number"
_MICROS_PER_MINUTE = 60_000_000


@dataclass(frozen=True)
class Lines:
    """The lines below a file's header, parsed and cached, and how many there are of each kind.

    Attributes:
        parsed: the columns of `parse_lines`, `latest` and `late`.
        rows: all lines = clean + those in quarantine.
        late: clean events whose window is closed.
        first, last: times of clean events; None without one.
        clock: the stream's time after them.
        ahead: clean events later than that.
        last_in_time: the last of the others; None without one.
    """

    parsed: DataFrame
    rows: int
    clean: int
    late: int
    first: datetime | None
    last: datetime | None
    clock: Clock
    ahead: int
    last_in_time: datetime | None

    def events(self, batch: int) -> DataFrame:
        """Returns the clean events: the columns of schemas.STREAM_EVENTS."""
        good = self.parsed.where(USABLE)
        return good.select(*EVENTS.names, _LATE, F.lit(batch).alias("batch"))

    def without(self, days: list[date]) -> Lines:
        """Returns the lines but for those of some dates."""
        if not days:
            return self
        others = self.parsed.where(~F.coalesce(F.col("date").isin(days), F.lit(False)))
        good = F.col(USABLE)
        counts = (
            F.count("*").alias("rows"),
            F.count_if(good).alias("clean"),
            F.count_if(good & F.col(_LATE)).alias("late"),
        )
        return replace(self, parsed=others, **others.agg(*counts).collect()[0].asDict())

    def quarantine(self, batch: int) -> DataFrame:
        """Returns the other lines with their reasons: the columns of schemas.STREAM_QUARANTINE."""
        reasons = explain(rejected(self.parsed, [LATEST]), [LATEST])
        day = F.substring(LINE, 1, 10).try_cast("date").alias("date")
        return reasons.select(LINE, REASON, F.lit(batch).alias("batch"), day).select(*STREAM_QUARANTINE.names)


def read_lines(spark: SparkSession, file: Dropped, state: StreamState, leap: timedelta) -> Lines:
    """Parses a file and counts its lines.

    Args:
        spark: the session.
        file: with a header.
        state: before the batch.
        leap: see streaming.clock.
    """
    watermark = watermark_after(state.latest)
    # a file's first line is the first row of the first partition
    lines = spark.read.text(file.path, lineSep="\n").select("value", F.monotonically_increasing_id().alias(_NUMBER))
    latest = F.timestamp_micros(F.lit(micros(latest_possible(file.arrived_at)))).alias(LATEST)
    parsed, time = parse_lines(lines.where(F.col(_NUMBER) > 0).select("value", latest), [LATEST]), F.col("event_time")
    late = F.coalesce(is_late(time, watermark), F.lit(False)).alias(_LATE)
    judged = parsed.select("*", late).persist()
    good, moment = F.col(USABLE), F.unix_micros(time)
    found = judged.agg(
        F.count("*").alias("rows"),
        F.count_if(good).alias("clean"),
        F.count_if(good & F.col(_LATE)).alias("late"),
        F.min(F.when(good, moment)).alias("first"),
        F.max(F.when(good, moment)).alias("last"),
    ).collect()[0]
    first, last = _time(found["first"]), _time(found["last"])
    events = judged.where(USABLE)
    clock = _clock_after(state, events, last, leap)
    ahead, in_time = (0, last) if clock.latest == last else _ahead(events, clock)
    return Lines(judged, found["rows"], found["clean"], found["late"], first, last, clock, ahead, in_time)


def _clock_after(state: StreamState, events: DataFrame, last: datetime | None, leap: timedelta) -> Clock:
    if last is None:
        return state.clock
    if state.clock.is_ordinary(last):
        return Clock(max(last, state.clock.latest or last))
    # in one task, as a file of a batch has one: no shuffle
    users = events.coalesce(1).groupBy("user_id").agg(F.max(F.unix_micros("event_time")).alias("last"))
    minutes = users.groupBy(F.floor(F.col("last") / _MICROS_PER_MINUTE)).agg(F.max("last"), F.count("*"))
    seen = [(_moment(row[1]), row[2]) for row in minutes.collect()]  # a row a minute of the file
    return advanced(state.clock, date.fromisoformat(state.last_date), seen, leap)


def _ahead(events: DataFrame, clock: Clock) -> tuple[int, datetime | None]:
    """Events later than the clock, and the time of the last of the others."""
    moment = F.unix_micros("event_time")
    later = F.lit(True) if clock.latest is None else moment > F.lit(micros(clock.latest))
    found = events.agg(F.count_if(later).alias("ahead"), F.max(F.when(~later, moment)).alias("last")).collect()[0]
    return found["ahead"], _time(found["last"])


def _moment(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1e6, timezone.utc)


def _time(micros: int | None) -> datetime | None:
    return None if micros is None else _moment(micros)
