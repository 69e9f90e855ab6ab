"""A file's lines: events, and what goes to quarantine (SPEC D3, D4, T2)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.ingestion.cleaning import LINE, REASON, USABLE, explain, parse_lines, rejected
from spark_apps.jobs.stream.files import Dropped
from spark_apps.schemas import EVENTS, STREAM_QUARANTINE
from spark_apps.streaming.watermark import is_future, is_late

# A reason for quarantine that only a stream has: an event from after the drop of its file.
FUTURE_TIME = "future_time"
_FUTURE, _LATE, _NUMBER = "future", "late", "number"


@dataclass(frozen=True)
class Lines:
    """The lines below a file's header, parsed and cached, and how many there are of each kind.

    Attributes:
        parsed: the columns of `parse_lines`, `future` and `late`.
        rows: all lines = clean + those in quarantine.
        late: clean events whose window is closed.
        first, last: times of clean events; None without one.
    """

    parsed: DataFrame
    rows: int
    clean: int
    late: int
    first: datetime | None
    last: datetime | None

    def events(self, batch: int) -> DataFrame:
        """Returns the clean events: the columns of schemas.STREAM_EVENTS."""
        good = self.parsed.where(F.col(USABLE) & ~F.col(_FUTURE))
        return good.select(*EVENTS.fieldNames(), _LATE, F.lit(batch).alias("batch"))

    def quarantine(self, batch: int) -> DataFrame:
        """Returns the other lines with their reasons: the columns of schemas.STREAM_QUARANTINE."""
        future = self.parsed.where(_FUTURE).select(LINE, F.lit(FUTURE_TIME).alias(REASON))
        reasons = explain(rejected(self.parsed)).unionByName(future)
        day = F.substring(LINE, 1, 10).try_cast("date").alias("date")
        return reasons.select(LINE, REASON, F.lit(batch).alias("batch"), day).select(*STREAM_QUARANTINE.fieldNames())


def read_lines(spark: SparkSession, file: Dropped, watermark: datetime | None) -> Lines:
    """Parses a file and counts its lines.

    Args:
        spark: the session.
        file: with a header.
        watermark: in force for this batch.
    """
    # a file's first line is the first row of the first partition
    lines = spark.read.text(file.path, lineSep="\n").select("value", F.monotonically_increasing_id().alias(_NUMBER))
    parsed, time = parse_lines(lines.where(F.col(_NUMBER) > 0).select("value")), F.col("event_time")
    future = F.coalesce(F.col(USABLE) & is_future(time, file.dropped_at), F.lit(False)).alias(_FUTURE)
    late = F.coalesce(is_late(time, watermark), F.lit(False)).alias(_LATE)
    judged = parsed.select("*", future, late).persist()
    good, micros = F.col(USABLE) & ~F.col(_FUTURE), F.unix_micros(time)
    found = judged.agg(
        F.count("*").alias("rows"),
        F.count_if(good).alias("clean"),
        F.count_if(good & F.col(_LATE)).alias("late"),
        F.min(F.when(good, micros)).alias("first"),
        F.max(F.when(good, micros)).alias("last"),
    ).collect()[0]
    return Lines(judged, found["rows"], found["clean"], found["late"], _time(found["first"]), _time(found["last"]))


def _time(micros: int | None) -> datetime | None:
    return None if micros is None else datetime.fromtimestamp(micros / 1e6, timezone.utc)
