"""Where each table lives, and which dates of it there are."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone

import pyarrow as pa
from pydantic import ValidationError

from spark_apps import schemas
from spark_apps.errors import UnusableFileError
from spark_apps.provenance import BATCH_LOG, CleanedDate, EventsRead, Holding, batch_number
from spark_apps.storage import StoragePath
from spark_apps.storage.transaction import commit_lock, recover

# Hive's name for the partition of rows without a date; Spark reads it as null.
UNDATED = "__HIVE_DEFAULT_PARTITION__"
RAW_EVENTS = "raw/events"
RAW_MANIFESTS = "raw/manifests"
REPORTS = "reports"
# what `clean` made each date of, a file a date
CLEANED = "processed/cleaned"
# which events the feature tables were made of
FEATURES_READ = "processed/features_read.json"
# what `shopstream evaluate` finds
EVALUATION = f"{REPORTS}/evaluation.json"


@dataclass(frozen=True)
class Table:
    """A published table.

    Attributes:
        name: what people call it.
        path: its folder below the root.
        schema: its columns.
        command: the command that writes it.
        partition: its partition column, if it has one.
    """

    name: str
    path: str
    schema: pa.Schema
    command: str
    partition: str | None = None


EVENTS = Table("events", "processed/events", schemas.EVENTS, "clean", "date")
QUARANTINE = Table("quarantine", "processed/quarantine", schemas.QUARANTINE, "clean", "date")
USER_FEATURES = Table("user_features", "processed/user_features", schemas.USER_FEATURES, "features")
PRODUCT_FEATURES = Table("product_features", "processed/product_features", schemas.PRODUCT_FEATURES, "features")
INTERACTIONS = Table("interactions", "processed/interactions", schemas.INTERACTIONS, "features")
USER_SEGMENTS = Table("user_segments", "processed/user_segments", schemas.USER_SEGMENTS, "segment")
RECOMMENDATIONS = Table("recommendations", "processed/recommendations", schemas.RECOMMENDATIONS, "train")
STREAM_EVENTS = Table("stream_events", "processed/stream_events", schemas.STREAM_EVENTS, "stream", "date")
STREAM_QUARANTINE = Table(
    "stream_quarantine", "processed/stream_quarantine", schemas.STREAM_QUARANTINE, "stream", "date"
)
STREAM_USERS = Table("stream_users", "processed/stream_users", schemas.STREAM_USERS, "stream")
STREAM_RECOMMENDATIONS = Table(
    "stream_recommendations", "processed/stream_recommendations", schemas.STREAM_RECOMMENDATIONS, "stream", "date"
)
STREAM_WINDOWS = Table("stream_windows", "processed/stream_windows", schemas.STREAM_WINDOWS, "stream")
STREAM_PRODUCTS = Table("stream_products", "processed/stream_products", schemas.STREAM_PRODUCTS, "stream")

BATCH_TABLES = (EVENTS, QUARANTINE, USER_FEATURES, PRODUCT_FEATURES, INTERACTIONS, USER_SEGMENTS, RECOMMENDATIONS)
STREAM_TABLES = (
    STREAM_EVENTS,
    STREAM_QUARANTINE,
    STREAM_USERS,
    STREAM_RECOMMENDATIONS,
    STREAM_WINDOWS,
    STREAM_PRODUCTS,
)
TABLES = (*BATCH_TABLES, *STREAM_TABLES)


@dataclass(frozen=True)
class DateRange:
    """An inclusive range of dates; an open end is None."""

    first: date | None = None
    last: date | None = None

    def __contains__(self, day: date | None) -> bool:
        if day is None:
            return self.first is None and self.last is None
        return (self.first is None or day >= self.first) and (self.last is None or day <= self.last)

    def __str__(self) -> str:
        return f"{self.first or 'the first date'} to {self.last or 'the last date'}"


def partition_folder(day: date | None) -> str:
    """Returns the folder name of a date's partition; None stands for rows without a date."""
    return f"date={day.isoformat() if day else UNDATED}"


def partition_date(folder: str) -> date | None:
    """Returns the date behind a partition folder's name: the inverse of `partition_folder`."""
    value = folder.removeprefix("date=")
    return None if value == UNDATED else date.fromisoformat(value)


def table_exists(root: StoragePath, table: Table) -> bool:
    """Says whether a published table stands under the root."""
    recover(root)
    return (root / table.path).is_dir()


@dataclass(frozen=True)
class AppliedDates:
    """The dates of events that there are, of a range.

    Attributes:
        cleaned: dates that `clean` published, with what it noted of them.
        streamed: dates that the stream took in.
        holdings: what the cleaned dates hold.
        read: what a reader of all of them has read, but for the rows of each date.
    """

    cleaned: dict[date, CleanedDate | None]
    streamed: list[date]
    holdings: dict[date, Holding]
    read: EventsRead

    @property
    def days(self) -> list[date]:
        """The dates of either, in order."""
        return sorted({*self.cleaned, *self.streamed})


def list_applied(root: StoragePath, dates: DateRange) -> AppliedDates:
    """Lists the dates of events, for a caller that keeps them from changing meanwhile (transaction.commit_lock)."""
    cleaned = cleaned_dates(root, (day for day in published_dates(root, EVENTS) if day in dates))
    streamed = [day for day in published_dates(root, STREAM_EVENTS) if day is not None and day in dates]
    read = EventsRead(
        read_at=datetime.now(timezone.utc),
        first=dates.first,
        last=dates.last,
        cleaned={day.isoformat(): note.parts if note else None for day, note in cleaned.items()},
        batches=_batches(root),
    )
    return AppliedDates(cleaned, streamed, _holdings(root, cleaned), read)


def read_features_read(root: StoragePath) -> EventsRead | None:
    """Returns which events the published feature tables were made of; None where they were made by an earlier version.

    Raises:
        UnusableFileError: when the file that says so is damaged.
    """
    recover(root)
    path = root / FEATURES_READ
    try:
        return EventsRead.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        raise UnusableFileError(f"{path} is damaged: run `shopstream train`, which writes it anew.") from None


def _batches(root: StoragePath) -> int:
    """The number of the next batch, by the records that there are."""
    numbers = (batch_number(path.name) for path in (root / BATCH_LOG).glob("batch-*.json"))
    return max((number for number in numbers if number is not None), default=-1) + 1


def cleaned_path(day: date | None) -> str:
    """Returns the path below the root of what `clean` notes of a date."""
    return f"{CLEANED}/{partition_folder(day)}.json"


def cleaned_dates(root: StoragePath, days: Iterable[date | None]) -> dict[date, CleanedDate | None]:
    """Returns what `clean` noted of dates that it published; None of those that an earlier version did."""
    return {day: _read_cleaned(root / cleaned_path(day)) for day in days if day is not None}


def _read_cleaned(path: StoragePath) -> CleanedDate | None:
    try:
        return CleanedDate.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        raise UnusableFileError(f"{path} is damaged: remove it, and run `shopstream clean` for its date.") from None


def clean_holdings(root: StoragePath, days: Collection[date]) -> dict[date, Holding]:
    """Returns the raw parts that clean's events were made of, for those of the dates that `clean` published."""
    with commit_lock(root):
        return _holdings(root, cleaned_dates(root, (day for day in published_dates(root, EVENTS) if day in days)))


def _holdings(root: StoragePath, cleaned: Mapping[date, CleanedDate | None]) -> dict[date, Holding]:
    return {
        day: Holding(frozenset(note.parts), is_noted=True)
        if note
        else Holding(_landed_parts(root, day), is_noted=False)
        for day, note in cleaned.items()
    }


def _landed_parts(root: StoragePath, day: date) -> frozenset[str]:
    files = (root / RAW_EVENTS / partition_folder(day)).glob("*.csv")
    return frozenset(path.name.removesuffix(".csv") for path in files)


def published_dates(root: StoragePath, table: Table) -> list[date | None]:
    """Returns the dates that a date-partitioned table holds, in order, undated rows last."""
    folders = sorted(path.name for path in (root / table.path).glob("date=*") if path.is_dir())
    return [partition_date(name) for name in folders]
