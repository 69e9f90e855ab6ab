"""What the stream knows between batches, published with each of them (SPEC T3, T6).

Users' events and lists stand in buckets: a base for each bucket, sorted by user, and beside it the files of the latest
batches. Each batch moves what has gathered into the bases of one part of the buckets, so no batch pays for all of it.
A bucket that has grown past a limit is split in two on that occasion, by one more binary digit of its users' ids, so
that what a task holds in memory does not grow with the state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from spark_apps.streaming.clock import Clock
from spark_apps.streaming.online_kmeans import Centres
from spark_apps.tables import base_file

# A bucket whose base has more events is split; each takes some 150 bytes of memory where it is read.
EVENTS_PER_BUCKET = 500_000
MIN_BUCKETS = 4
# No bucket is split further: all events of one user stay in one, however many they are.
MAX_MODULUS = 1 << 16
# A bucket's base is made anew after so many batches.
BATCHES_BETWEEN_BASES = 8


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True)


class Bucket(_Frozen):
    """The users whose ids leave a remainder.

    Attributes:
        modulus: what ids are divided by.
        remainder: never negative; no other bucket of the same state has it.
        base: the first batch that its base does not hold.
    """

    modulus: int
    remainder: int
    base: int

    def holds(self, users: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Says of each user, an id, whether it is one of these."""
        held: NDArray[np.bool_] = np.mod(users, self.modulus) == self.remainder
        return held

    def file(self, kind: str) -> str:
        """Returns the path below the root of its base of a kind: tables.HISTORY or tables.PROFILES."""
        return base_file(kind, self.base, self.remainder)

    def renewed(self, batch: int) -> Bucket:
        """Returns the same users with a base that holds all batches before this one."""
        return self.model_copy(update={"base": batch})

    def halves(self, batch: int) -> tuple[Bucket, Bucket]:
        """Splits the users in two, with bases that hold all batches before this one."""
        twice = 2 * self.modulus
        low = Bucket(modulus=twice, remainder=self.remainder, base=batch)
        return low, low.model_copy(update={"remainder": self.remainder + self.modulus})


class RecentBatch(_Frozen):
    """The files of a batch that some bucket's base does not hold yet: paths below the root."""

    batch: int
    events: tuple[str, ...]
    users: str | None

    def paths(self, of_events: bool) -> tuple[str, ...]:
        """Returns the files of its events, or of its users."""
        return self.events if of_events else (self.users,) if self.users else ()


class StreamState(_Frozen):
    """The stream's state after a batch.

    Attributes:
        next_batch: number of the next batch.
        latest: the stream's time, UTC, which the watermark follows: see streaming.clock. None before its first event.
        doubted: last times of users who were ahead of it.
        last_date: last date that the data support, ISO, from which recency counts.
        first_date: first such date, ISO, to which it counts at most; None in a state from before it was noted.
        buckets: every user is in one of them.
        recent: batches that some base does not hold, oldest first.
        models: the versions in force: model -> version.
        products_from: the first batch that the bases of products and scores do not hold.
        centres, weights: see streaming.online_kmeans.
        segments: name -> users.
        first_popular: products popular when the models in force were trained, the first first.
        cleaned: ISO date -> raw parts of clean's events that the bases hold, null parts where they were not noted (see
            spark_apps/provenance.py); None for a state of an earlier version.
    """

    next_batch: int
    latest: datetime | None
    doubted: tuple[datetime, ...] = ()
    last_date: str
    first_date: str | None = None
    buckets: tuple[Bucket, ...]
    recent: tuple[RecentBatch, ...]
    models: dict[str, str]
    products_from: int
    centres: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]
    segments: dict[str, int]
    first_popular: tuple[int, ...]
    cleaned: dict[str, tuple[str, ...] | None] | None = None

    @model_validator(mode="before")
    @classmethod
    def _read_old(cls, stored: Any) -> Any:
        """Reads a state of an earlier version, which has a number of buckets and the bases of all of them."""
        if not isinstance(stored, dict) or "bases" not in stored:
            return stored
        rest = {name: value for name, value in stored.items() if name != "bases"}
        number, bases = stored["buckets"], stored["bases"]
        return rest | {"buckets": [{"modulus": number, "remainder": n, "base": base} for n, base in enumerate(bases)]}

    @property
    def clock(self) -> Clock:
        """The stream's time."""
        return Clock(self.latest, self.doubted)

    def due(self) -> tuple[Bucket, ...]:
        """Returns the buckets whose bases are made anew before the next batch."""
        turn = self.next_batch % BATCHES_BETWEEN_BASES
        return tuple(one for one in self.buckets if one.remainder % BATCHES_BETWEEN_BASES == turn)

    def with_bases(self, made: Mapping[Bucket, Sequence[Bucket]]) -> StreamState:
        """Returns the state with bases that were made anew: bucket -> what it is now, itself or its halves."""
        buckets = tuple(new for old in self.buckets for new in made.get(old, (old,)))
        oldest = min(one.base for one in buckets)
        recent = tuple(one for one in self.recent if one.batch >= oldest)
        return self.model_copy(update={"buckets": buckets, "recent": recent})


def stored_centres(centres: Centres) -> dict[str, Any]:
    """Returns centres as the state's fields `centres` and `weights`: the inverse of `centres_of`."""
    return {
        "centres": tuple(tuple(place) for place in centres.places.tolist()),
        "weights": tuple(centres.weights.tolist()),
    }


def centres_of(state: StreamState) -> Centres:
    """Returns the centres that a state holds."""
    return Centres(np.array(state.centres), np.array(state.weights))


def buckets_for(events: int, batch: int) -> tuple[Bucket, ...]:
    """Returns the buckets that so many events are cut into at first, with bases that hold all batches before one."""
    number = max(MIN_BUCKETS, -(-events // EVENTS_PER_BUCKET))
    return tuple(Bucket(modulus=number, remainder=one, base=batch) for one in range(number))


def places_by_remainder(buckets: Sequence[Bucket]) -> NDArray[np.int32]:
    """Returns the place among the buckets of a user's, by the remainder of the user's id divided by the array's length.

    Args:
        buckets: those of a state.
    """
    places = np.zeros(max(one.modulus for one in buckets), np.int32)
    for place, one in enumerate(buckets):
        places[one.remainder :: one.modulus] = place
    return places


def places_of(users: NDArray[np.int64], buckets: Sequence[Bucket]) -> NDArray[np.int32]:
    """Returns the place among the buckets of each user's.

    Args:
        users: their ids.
        buckets: those of a state.
    """
    places = places_by_remainder(buckets)
    return places[np.mod(users, len(places))]


def remainder_text(modulus: int) -> str:
    """Returns the remainder of a user's id as SQL, never negative."""
    return f"((user_id % {modulus}) + {modulus}) % {modulus}"
