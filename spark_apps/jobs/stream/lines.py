"""A file's lines: events, and what goes to quarantine (SPEC D3, D4, T2)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.ingestion.cleaning import LATEST, LINE, REASON, USABLE, explain, parse_lines, rejected
from spark_apps.ingestion.event_times import latest_possible
from spark_apps.jobs.stream.files import Dropped
from spark_apps.schemas import EVENTS, STREAM_QUARANTINE
from spark_apps.streaming.watermark import is_late, micros

_LATE, _NUMBER = "late", "number"


@dataclass(frozen=True)
class Lines:
    """The lines below a file's header, parsed and cached, and how many there are of each kind.

    Attributes:
        parsed: the columns of `parse_lines`, `latest` and `late`.
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
        good = self.parsed.where(USABLE)
        return good.select(*EVENTS.fieldNames(), _LATE, F.lit(batch).alias("batch"))

    def quarantine(self, batch: int) -> DataFrame:
        """Returns the other lines with their reasons: the columns of schemas.STREAM_QUARANTINE."""
        reasons = explain(rejected(self.parsed, [LATEST]), [LATEST])
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
    latest = F.timestamp_micros(F.lit(micros(latest_possible(file.dropped_at)))).alias(LATEST)
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
    return Lines(judged, found["rows"], found["clean"], found["late"], _time(found["first"]), _time(found["last"]))


def _time(micros: int | None) -> datetime | None:
    return None if micros is None else datetime.fromtimestamp(micros / 1e6, timezone.utc)
