"""What the stream knows between batches, published with each of them (SPEC T3, T6).

Users' events and lists stand in buckets: a base for each bucket, sorted by user, and beside it the files of the latest
batches. Each batch moves what has gathered into the bases of one part of the buckets, so no batch pays for all of it.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from spark_apps.streaming.clock import Clock
from spark_apps.streaming.online_kmeans import Centres

# A bucket's base is read whole: some 150 bytes of memory for each of so many events.
EVENTS_PER_BUCKET = 500_000
LEAST_BUCKETS = 4
# A bucket's base is made anew after so many batches.
BATCHES_BETWEEN_BASES = 8


class RecentBatch(BaseModel):
    """The files of a batch that some bucket's base does not hold yet: paths below the root."""

    model_config = ConfigDict(frozen=True)

    batch: int
    events: tuple[str, ...]
    users: str | None


class StreamState(BaseModel):
    """The stream's state after a batch.

    Attributes:
        next_batch: number of the next batch.
        latest: the stream's time, UTC, which the watermark follows: see streaming.clock. None before its first event.
        doubted: last times of users who were ahead of it.
        last_date: last date that the data support, ISO, from which recency counts.
        first_date: first such date, ISO, to which it counts at most; None in a state from before it was noted.
        buckets: how many buckets there are.
        bases: for each bucket the first batch that its base does not hold.
        recent: batches that some base does not hold, oldest first.
        models: the versions in force: model -> version.
        products_from: the first batch that the bases of products and scores do not hold.
        centres, weights: see streaming.online_kmeans.
        segments: name -> users.
        first_popular: products popular when the models in force were trained, the first first.
        cleaned: ISO date -> raw parts of clean's events that the bases hold, null parts where they were not noted (see
            spark_apps/provenance.py); None for a state of an earlier version.
    """

    model_config = ConfigDict(frozen=True)

    next_batch: int
    latest: datetime | None
    doubted: tuple[datetime, ...] = ()
    last_date: str
    first_date: str | None = None
    buckets: int
    bases: tuple[int, ...]
    recent: tuple[RecentBatch, ...]
    models: dict[str, str]
    products_from: int
    centres: tuple[tuple[float, ...], ...]
    weights: tuple[float, ...]
    segments: dict[str, int]
    first_popular: tuple[int, ...]
    cleaned: dict[str, tuple[str, ...] | None] | None = None

    @property
    def clock(self) -> Clock:
        """The stream's time."""
        return Clock(self.latest, self.doubted)

    def due(self) -> tuple[int, ...]:
        """Returns the buckets whose bases are made anew before the next batch."""
        turn = self.next_batch % BATCHES_BETWEEN_BASES
        return tuple(bucket for bucket in range(self.buckets) if bucket % BATCHES_BETWEEN_BASES == turn)

    def newer(self, bucket: int) -> tuple[RecentBatch, ...]:
        """Returns the batches that a bucket's base does not hold."""
        return tuple(one for one in self.recent if one.batch >= self.bases[bucket])


def stored_centres(centres: Centres) -> dict[str, Any]:
    """Returns centres as the state's fields `centres` and `weights`: the inverse of `centres_of`."""
    return {
        "centres": tuple(tuple(place) for place in centres.places.tolist()),
        "weights": tuple(centres.weights.tolist()),
    }


def centres_of(state: StreamState) -> Centres:
    """Returns the centres that a state holds."""
    return Centres(np.array(state.centres), np.array(state.weights))


def buckets_for(events: int) -> int:
    """Returns how many buckets so many events are cut into."""
    return max(LEAST_BUCKETS, -(-events // EVENTS_PER_BUCKET))


def bucket_text(buckets: int) -> str:
    """Returns the bucket of a user, an id, as SQL: what is left of it after division, never negative."""
    return f"((user_id % {buckets}) + {buckets}) % {buckets}"
