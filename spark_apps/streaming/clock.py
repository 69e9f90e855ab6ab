"""How far a stream's time has come: what most users support, and not what one clock claims (SPEC T2).

The watermark follows this clock. With the latest event alone, one row far ahead would close all windows: every event
after it would be late. So, of the last times of a batch's users:

- those after a gap of more than a leap (a day, `SHOPSTREAM_STREAM_LEAP`) move the clock only if they are more than a
  handful and most of the batch; else time goes on without them;
- the latest handful of the others, two users or one in a hundred, carry it at most a lead (an hour) beyond the rest.

An ordinary batch moves it to its latest event, as Spark's rule has it. Who is ahead of the clock is remembered, so that
a small shop's batches of one user each move it too when the third of them agrees; users who are not ahead undo that.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone

from spark_apps.features.reference import HANDFUL, handful

LEAD = timedelta(hours=1)
# A time, and how many users have their last event of a batch about then.
Seen = tuple[datetime, int]


@dataclass(frozen=True)
class Clock:
    """A stream's time.

    Attributes:
        latest: what the watermark follows, UTC; None before the first event.
        doubted: last times of users who were ahead of it, a handful at most.
    """

    latest: datetime | None
    doubted: tuple[datetime, ...] = ()

    def is_ordinary(self, last: datetime) -> bool:
        """Says whether a batch's latest event moves the clock to itself, whatever the others are."""
        return self.latest is not None and not self.doubted and last <= self.latest + LEAD


def advanced(clock: Clock, last_date: date, seen: Iterable[Seen], leap: timedelta) -> Clock:
    """Returns the clock after a batch. It never goes back.

    Args:
        clock: before the batch.
        last_date: the last date in the data, from which the first batch goes on.
        seen: of the batch's users, whatever their times are rounded to; not empty.
        leap: see above.
    """
    batch = sorted(seen)
    pool = sorted([*batch, *((moment, 1) for moment in clock.doubted)])
    start = clock.latest or datetime.combine(last_date + timedelta(days=1), time(), timezone.utc)
    believed = _believed(pool, start, leap)
    limit = _supported(believed, clock.latest, start) + LEAD
    latest = max((moment for moment, _ in believed if moment <= limit), default=clock.latest)
    if clock.latest is not None and latest is not None:
        latest = max(latest, clock.latest)
    return Clock(latest, _doubted(batch, pool, latest))


def _believed(pool: Sequence[Seen], start: datetime, leap: timedelta) -> Sequence[Seen]:
    """The part of the pool before the first gap that too few are beyond."""
    everybody = sum(users for _, users in pool)
    beyond, before = everybody, start
    for place, (moment, users) in enumerate(pool):
        if moment - before > leap and (beyond <= HANDFUL or 2 * beyond <= everybody):
            return pool[:place]
        beyond, before = beyond - users, max(before, moment)
    return pool


def _supported(believed: Sequence[Seen], latest: datetime | None, start: datetime) -> datetime:
    """The latest time that more than a handful of users reach; where they are no more, the start."""
    few, reached = handful(sum(users for _, users in believed)), 0
    for moment, users in reversed(believed):
        reached += users
        if reached > few:
            return moment if latest is None else max(moment, latest)
    return start


def _doubted(batch: Sequence[Seen], pool: Sequence[Seen], latest: datetime | None) -> tuple[datetime, ...]:
    ahead = [(moment, users) for moment, users in pool if latest is None or moment > latest]
    not_ahead = sum(users for moment, users in batch if latest is not None and moment <= latest)
    left = min(HANDFUL, max(0, sum(users for _, users in ahead) - not_ahead))
    each = [moment for moment, users in ahead for _ in range(min(users, HANDFUL))]
    return tuple(each[:left])
