"""`shopstream clean`: raw rows to typed events by date, the unusable ones to quarantine (SPEC D3, D4, D6)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import reduce
from pathlib import PurePosixPath

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.errors import BalanceError, NothingToDoError
from spark_apps.ingestion.cleaning import LATEST, LINE, REASON, USABLE, explain, parse_lines
from spark_apps.ingestion.manifests import date_key, latest_events, raw_files, raw_rows, read_manifests
from spark_apps.ingestion.plain_files import Staged, stage_plain
from spark_apps.publication import Publication, settle
from spark_apps.storage import StoragePath
from spark_apps.tables import (
    EVENTS,
    QUARANTINE,
    RAW_EVENTS,
    DateRange,
    partition_folder,
    published_dates,
    read_files,
    write_files,
)

_LANDED_DATE = "landed_date"
# The column that carries a rejected line through the one pass; event_time carries the latest time possible.
_CARRIER = "user_session"
_FILE = "file"


@dataclass
class DayBalance:
    """Rows of one date: raw = clean + quarantined."""

    raw: int = 0
    clean: int = 0
    quarantined: Counter[str] = field(default_factory=Counter)

    def balances(self) -> bool:
        """Says whether every raw row is accounted for."""
        return self.raw == self.clean + self.quarantined.total()


Balance = dict[date | None, DayBalance]


def run(spark: SparkSession, root: StoragePath, dates: DateRange) -> Balance:
    """Cleans the landed rows of a range of dates and replaces just those dates.

    Dates of which no landed file has rows any more are removed from the tables.

    Returns:
        The row balance of each date; the removed ones have no rows.

    Raises:
        NothingToDoError: when no rows of these dates were landed, and the tables hold none of them.
        BalanceError: when the rows written are not the rows landed, or landed files are missing;
            nothing is published then.
    """
    settle(root)
    with Publication(root, [EVENTS.path, QUARANTINE.path]) as publication:
        manifests = read_manifests(root)
        expected = raw_rows(manifests, dates)
        removed = _dates_without_rows(root, dates, expected)
        if not expected and not removed:
            raise NothingToDoError(f"No raw rows for {dates} under {root}: run `shopstream load FILE` first.")
        staged, quarantine = publication.scratch("by_usability"), publication.scratch("quarantine")
        plain = Staged({}, {}, [])
        if expected:
            paths, latest = _present(root, raw_files(manifests, dates)), latest_events(manifests, dates)
            plain = stage_plain(_read_raw(spark, root, paths, latest), publication.scratch("plain"))
        if plain.others:
            _write_one_pass(_read_others(spark, plain.others), staged)
            _stage_quarantine(spark, staged, quarantine)
        balance = _count(spark, plain, staged, quarantine, expected)
        _check(balance, root)
        _add_plain(plain, staged)
        for day in (*expected, *removed):
            _replace_date(publication, EVENTS.path, _usable_folder(staged), day)
            _replace_date(publication, QUARANTINE.path, quarantine, day)
        for table in (EVENTS, QUARANTINE):
            (root / table.path).mkdir(parents=True, exist_ok=True)
        publication.commit()
    return balance | {day: DayBalance() for day in removed}


def _dates_without_rows(root: StoragePath, dates: DateRange, expected: Counter[date | None]) -> list[date | None]:
    """Dates that the tables hold and no landed file has any more."""
    held = {day for table in (EVENTS, QUARANTINE) for day in published_dates(root, table) if day in dates}
    return sorted(held - set(expected), key=date_key)


def _present(root: StoragePath, paths: list[str]) -> list[StoragePath]:
    missing = [path for path in paths if not (root / path).is_file()]
    if missing:
        raise _raw_was_changed(f"{', '.join(missing)} is missing", root)
    return [root / path for path in paths]


def _read_raw(
    spark: SparkSession, root: StoragePath, paths: list[StoragePath], latest: dict[str, datetime]
) -> DataFrame:
    """Reads raw lines with the date they were landed under, and the latest time that an event can have."""
    doubtful = [root / path for path in latest]
    ordinary = sorted(set(paths) - set(doubtful), key=str)
    frames = []
    if ordinary:
        frames.append(_read_lines(spark, ordinary, F.lit(None).cast("timestamp").alias(LATEST)))
    if doubtful:
        moments = {PurePosixPath(path).name: moment for path, moment in latest.items()}  # a row a landed file
        limits = spark.createDataFrame(list(moments.items()), f"{_FILE} string, {LATEST} timestamp")
        lines = _read_lines(spark, doubtful, F.col("_metadata.file_name").alias(_FILE))
        frames.append(lines.join(F.broadcast(limits), on=_FILE, how="left").drop(_FILE))
    return reduce(DataFrame.unionByName, frames)


def _read_lines(spark: SparkSession, paths: list[StoragePath], more: Column) -> DataFrame:
    base = str(paths[0].parents[1])
    lines = spark.read.option("basePath", base).text([str(path) for path in paths], lineSep="\n")
    return lines.select("value", F.col("date").cast("date").alias(_LANDED_DATE), more)


def _read_others(spark: SparkSession, files: list[StoragePath]) -> DataFrame:
    return spark.read.schema(f"value string, {_LANDED_DATE} date, {LATEST} timestamp").parquet(*map(str, files))


def _write_one_pass(landed: DataFrame, target: StoragePath) -> None:
    """Writes usable and rejected rows side by side, cut by usability and date, reading the text once."""
    carried = {"date": F.col(_LANDED_DATE), "event_time": F.col(LATEST), _CARRIER: F.col(LINE)}
    columns = [
        F.when(F.col(USABLE), F.col(name)).otherwise(carried[name]).alias(name) if name in carried else name
        for name in EVENTS.schema.fieldNames()
    ]
    routed = parse_lines(landed, keep=[_LANDED_DATE, LATEST]).select(USABLE, *columns)
    routed.write.partitionBy(USABLE, "date").parquet(str(target))


def _stage_quarantine(spark: SparkSession, staged: StoragePath, target: StoragePath) -> None:
    """Gives the rejected rows of the one pass, few as they are, their reasons and the quarantine's columns."""
    if _rejected_folder(staged).exists():
        rows = spark.read.schema(EVENTS.schema).parquet(str(_rejected_folder(staged)))
        lines = rows.select(F.col(_CARRIER).alias(LINE), "date", F.col("event_time").alias(LATEST))
        write_files(explain(lines, keep=["date", LATEST]), target, QUARANTINE)


def _count(
    spark: SparkSession, plain: Staged, staged: StoragePath, quarantine: StoragePath, expected: Counter[date | None]
) -> Balance:
    """Counts what was written, from the files themselves, beside what was landed."""
    balance = {day: DayBalance(raw=rows) for day, rows in sorted(expected.items(), key=lambda item: str(item[0]))}
    for day, rows in plain.rows.items():
        balance.setdefault(day, DayBalance()).clean = rows
    if _usable_folder(staged).exists():
        for row in read_files(spark, _usable_folder(staged), EVENTS).groupBy("date").count().collect():  # dates
            balance.setdefault(row["date"], DayBalance()).clean += row["count"]
    if quarantine.exists():
        counted = read_files(spark, quarantine, QUARANTINE).groupBy("date", REASON).count()
        for row in counted.collect():  # dates x reasons
            balance.setdefault(row["date"], DayBalance()).quarantined[row[REASON]] = row["count"]
    return balance


def _add_plain(plain: Staged, staged: StoragePath) -> None:
    """Puts the events of plain lines beside those of the other lines of their dates."""
    for day, files in plain.events.items():
        folder = _usable_folder(staged) / partition_folder(day)
        folder.mkdir(parents=True, exist_ok=True)
        for file in files:
            file.rename(folder / file.name)


def _usable_folder(staged: StoragePath) -> StoragePath:
    return staged / f"{USABLE}=true"


def _rejected_folder(staged: StoragePath) -> StoragePath:
    return staged / f"{USABLE}=false"


def _check(balance: Balance, root: StoragePath) -> None:
    wrong = [
        f"{day or 'no date'}: {entry.raw:,} raw rows, "
        f"{entry.clean:,} clean and {entry.quarantined.total():,} quarantined"
        for day, entry in balance.items()
        if not entry.balances()
    ]
    if wrong:
        raise _raw_was_changed(f"The rows do not balance ({'; '.join(wrong)})", root)


def _raw_was_changed(fault: str, root: StoragePath) -> BalanceError:
    return BalanceError(
        f"{fault}; nothing was replaced: somebody changed files below raw/, so remove {(root / RAW_EVENTS).parent} "
        "and load your files again."
    )


def _replace_date(publication: Publication, table: str, staged: StoragePath, day: date | None) -> None:
    target = f"{table}/{partition_folder(day)}"
    source = staged / partition_folder(day)
    if source.exists():
        publication.replace(target, source)
    else:
        publication.remove(target)
