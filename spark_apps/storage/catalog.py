"""Which published tables there are under a root, which dates of them, and which events these hold."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone

from pydantic import ValidationError

from spark_apps.errors import UnusableFileError
from spark_apps.provenance import CleanedDate, EventsRead, Holding
from spark_apps.storage.paths import StoragePath
from spark_apps.storage.transaction import commit_lock, recover
from spark_apps.tables import (
    BATCH_LOG,
    EVENTS,
    FEATURES_READ,
    RAW_EVENTS,
    STREAM_EVENTS,
    DateRange,
    Table,
    batch_number,
    cleaned_path,
    partition_date,
    partition_folder,
)


def table_exists(root: StoragePath, table: Table) -> bool:
    """Says whether a published table stands under the root."""
    recover(root)
    return (root / table.path).is_dir()


def published_dates(root: StoragePath, table: Table) -> list[date | None]:
    """Returns the dates that a date-partitioned table holds, in order, undated rows last."""
    folders = sorted(path.name for path in (root / table.path).glob("date=*") if path.is_dir())
    return [partition_date(name) for name in folders]


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


def cleaned_dates(root: StoragePath, days: Iterable[date | None]) -> dict[date, CleanedDate | None]:
    """Returns what `clean` noted of dates that it published; None of those that an earlier version did."""
    return {day: _read_cleaned(root / cleaned_path(day)) for day in days if day is not None}


def clean_holdings(root: StoragePath, days: Collection[date]) -> dict[date, Holding]:
    """Returns the raw parts that clean's events were made of, for those of the dates that `clean` published."""
    with commit_lock(root):
        return _holdings(root, cleaned_dates(root, (day for day in published_dates(root, EVENTS) if day in days)))


def _batches(root: StoragePath) -> int:
    """The number of the next batch, by the records that there are."""
    numbers = (batch_number(path.name) for path in (root / BATCH_LOG).glob("batch-*.json"))
    return max((number for number in numbers if number is not None), default=-1) + 1


def _read_cleaned(path: StoragePath) -> CleanedDate | None:
    try:
        return CleanedDate.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError:
        raise UnusableFileError(f"{path} is damaged: remove it, and run `shopstream clean` for its date.") from None


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
