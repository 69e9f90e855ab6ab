"""The record of what was landed: one manifest per file content, SPEC D2."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timezone

from pydantic import BaseModel, ValidationError, field_validator

from spark_apps.errors import UnusableFileError
from spark_apps.ingestion.event_times import latest_possible, may_hold_later
from spark_apps.storage import StoragePath
from spark_apps.tables import (
    RAW_MANIFESTS,
    UNDATED,
    DateRange,
    partition_date,
    raw_path,
)


class Manifest(BaseModel):
    """One landed file.

    Attributes:
        file: its name, without folders.
        bytes: its size as given.
        sha256: SHA-256 of its CSV bytes, after decompression; also names its raw files.
        rows: rows below the header.
        rows_per_date: rows per ISO date; rows without a readable date under Hive's null name.
        landed_at: when, UTC, ISO 8601.
    """

    file: str
    bytes: int
    sha256: str
    rows: int
    rows_per_date: dict[str, int]
    landed_at: str

    @field_validator("landed_at")
    @classmethod
    def _is_a_moment(cls, text: str) -> str:
        datetime.fromisoformat(text)
        return text

    def latest_event(self) -> datetime:
        """Returns the latest time that an event of the file can have."""
        landed = datetime.fromisoformat(self.landed_at)
        return latest_possible(landed if landed.tzinfo else landed.replace(tzinfo=timezone.utc))

    def dates(self) -> list[date | None]:
        """Returns the dates in order, rows without a date last."""
        return [partition_date(key) for key in sorted(self.rows_per_date)]


def date_key(day: date | None) -> str:
    """Returns the manifest's name of a date."""
    return day.isoformat() if day else UNDATED


def read_manifests(root: StoragePath) -> list[Manifest]:
    """Returns every manifest under a root, oldest first.

    Raises:
        UnusableFileError: when one is not a manifest.
    """
    found = []
    paths: list[StoragePath] = sorted((root / RAW_MANIFESTS).glob("*.json"), key=str)
    for path in paths:
        try:
            found.append(Manifest.model_validate_json(path.read_bytes()))
        except ValidationError:
            raise UnusableFileError(f"{path} is damaged: remove it and load its file again.") from None
    return sorted(found, key=lambda manifest: (manifest.landed_at, manifest.sha256))


def raw_files(manifests: list[Manifest], dates: DateRange) -> list[str]:
    """Returns the paths below the root of the raw files of a range of dates."""
    return [raw_path(manifest.sha256, day) for manifest in manifests for day in manifest.dates() if day in dates]


def latest_events(manifests: list[Manifest], dates: DateRange) -> dict[str, datetime]:
    """Returns the latest time that an event can have in each raw file of a range of dates that may hold a later one.

    An ordinary log is of days that were over when it was landed: it has no such file.
    """
    return {
        raw_path(manifest.sha256, day): manifest.latest_event()
        for manifest in manifests
        for day in manifest.dates()
        if day in dates and may_hold_later(day, manifest.latest_event())
    }


def raw_rows(manifests: list[Manifest], dates: DateRange) -> Counter[date | None]:
    """Returns the number of raw rows per date, over all landed files."""
    rows: Counter[date | None] = Counter()
    for manifest in manifests:
        for key, count in manifest.rows_per_date.items():
            if partition_date(key) in dates:
                rows[partition_date(key)] += count
    return rows
