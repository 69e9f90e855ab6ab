"""What events were made of: so that each counts once, though batch and stream may both hold it (SPEC T6, D6, F1).

Raw rows of one date of one loaded file are a *part*, named like their file below raw/: the first 16 digits of the
loaded file's SHA-256. `clean` notes the parts that a date was made of, the replay those that a drop was cut from. A
drop from elsewhere holds events that `clean` has not, unless its very bytes were loaded: its own hash names its parts
then.

No file here is read or written: jobs and `storage.catalog` do that.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone

from pydantic import BaseModel, ConfigDict

from spark_apps.tables import part_of

# What was published before events were listed is among them. Its own time is taken somewhat earlier: so much at most.
_PUBLISHING = timedelta(seconds=10)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class CleanedDate(_Frozen):
    """What `clean` made of a date.

    Attributes:
        parts: the raw parts that it was made of.
        clean, quarantined: rows.
        cleaned_at: shortly before it was published, UTC.
    """

    parts: tuple[str, ...]
    clean: int
    quarantined: int
    cleaned_at: datetime


class ReplayedParts(_Frozen):
    """What the replay cut a drop from: ISO date -> raw parts."""

    parts: dict[str, tuple[str, ...]]


class AppliedBatch(BaseModel):
    """Of a batch's record (streaming/records.py), what says which events it holds."""

    model_config = ConfigDict(frozen=True)

    batch: int
    sequence: int | None
    sha256: str
    clean: int
    first_event: datetime | None
    last_event: datetime | None
    last_ahead: datetime | None = None
    committed_at: datetime
    replayed: dict[str, tuple[str, ...]] | None = None

    @property
    def dates(self) -> tuple[date, date] | None:
        """First and last UTC date of its events; None without an event."""
        if self.first_event is None or self.last_event is None:
            return None
        last = max(self.last_event, self.last_ahead or self.last_event)
        return self.first_event.astimezone(timezone.utc).date(), last.astimezone(timezone.utc).date()


@dataclass(frozen=True)
class Holding:
    """The raw parts whose events a date of clean's events holds.

    Attributes:
        parts: their names.
        is_noted: whether `clean` noted them; an earlier version did not, and the parts are all that were loaded then.
    """

    parts: frozenset[str]
    is_noted: bool

    def has(self, part: str) -> bool:
        """Says whether the date holds a raw part's events; where nothing is noted, it holds whatever was landed."""
        return part in self.parts or not self.is_noted


class EventsRead(_Frozen):
    """Which events a job has read, so that others can count the same ones again.

    Attributes:
        read_at: when tables were listed, UTC.
        first, last: the dates asked for; None for an open end.
        cleaned: dates of clean's events, ISO -> the raw parts they were made of; None where `clean` did not note them.
        batches: the stream's batches below this number are in.
        rows: ISO date -> events.
    """

    read_at: datetime
    first: date | None
    last: date | None
    cleaned: dict[str, tuple[str, ...] | None]
    batches: int
    rows: dict[str, int] = {}

    def holdings(self, now: Mapping[date, Holding]) -> dict[date, Holding]:
        """Returns what clean's dates held when they were read.

        Args:
            now: what they hold now; it stands for dates whose parts were not noted, or that were not read.
        """
        return {day: self._holding(day, holding) for day, holding in now.items()}

    def _holding(self, day: date, now: Holding) -> Holding:
        parts = self.cleaned.get(day.isoformat())
        return now if parts is None else Holding(frozenset(parts), is_noted=True)

    def covers_date(self, day: date, note: CleanedDate | None) -> bool:
        """Says whether a date of clean's events was read, or should have been, since it was there before."""
        if day.isoformat() in self.cleaned:
            return True
        return note is not None and note.cleaned_at < self.read_at - _PUBLISHING

    def covers_batch(self, batch: AppliedBatch) -> bool:
        """Says whether a batch was read, or should have been, since it was there before."""
        return batch.batch < self.batches or batch.committed_at < self.read_at - _PUBLISHING


def holdings_of(cleaned: Mapping[str, tuple[str, ...] | None]) -> dict[date, Holding]:
    """Returns what dates hold, as they were written down: see EventsRead.cleaned.

    A date of which that was not noted holds nothing but replays.
    """
    return {
        date.fromisoformat(day): Holding(frozenset(parts or ()), parts is not None) for day, parts in cleaned.items()
    }


def held_by_clean(batches: Iterable[AppliedBatch], holdings: Mapping[date, Holding]) -> list[tuple[int, date]]:
    """Returns the dates of batches whose events clean's events hold as well, which a reader of both leaves out.

    A replayed date of a batch is held where clean's date was made of one of its parts: all or none of them, as the
    replay begins a new drop where that changes. Of two kinds of batches it is not written down what they were cut from:
    one that an earlier version applied, and one whose drop had lost its note. If it was a replay, it was of its month's
    landed files, which are what `clean` reads too: all its dates that `clean` has published are held.

    Args:
        batches: of the stream.
        holdings: of clean's published dates.

    Returns:
        Number of the batch and date: at most one for each date that a batch spans.
    """
    days = sorted(holdings)
    return [
        (batch.batch, day) for batch in batches for day in _dates_of(batch, days) if _is_held(batch, day, holdings[day])
    ]


def _dates_of(batch: AppliedBatch, days: list[date]) -> Iterator[date]:
    if batch.dates is None:
        return iter(())
    first, last = batch.dates
    return iter(days[bisect_left(days, first) : bisect_right(days, last)])


def _is_held(batch: AppliedBatch, day: date, holding: Holding) -> bool:
    if part_of(batch.sha256) in holding.parts:
        return True
    if batch.replayed is None:
        return batch.sequence is not None
    return any(map(holding.has, batch.replayed.get(day.isoformat(), ())))
