"""How a stream went: its batches in a few dozen stretches, so that a chart of any length can be read (SPEC T4, T7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from spark_apps.streaming.records import BatchRecord


@dataclass(frozen=True)
class Guesses:
    """Carts and purchases that a recommender's lists were asked for, and how many of them they held (SPEC T4)."""

    trials: int
    hits: int


@dataclass(frozen=True)
class Stretch:
    """Applied batches that follow each other, seen as one.

    Attributes:
        first, last: numbers of its first and last batch.
        events: clean ones.
        until: original time of the last event, UTC; None without an event.
        guesses: recommender -> sums over the batches.
        change_rate: share of users known before their batch whose segment changed in it.
        shift: the largest of a batch, of all users.
        seconds: the longest that a batch took, up to its commit.
        latency: seconds, the longest from a file's drop to its batch's commit.
    """

    first: int
    last: int
    events: int
    until: datetime | None
    guesses: dict[str, Guesses]
    change_rate: float
    shift: float
    seconds: float
    latency: float


def timeline(records: Iterable[BatchRecord], number: int, stretches: int) -> Iterator[Stretch]:
    """Folds a batch log, read once from front to back.

    Args:
        records: in the order of their batches.
        number: of records.
        stretches: at most.

    Yields:
        Stretches of equally many records, the last one's may be fewer; none for records without an applied batch.
    """
    left, size = iter(records), max(1, -(-number // stretches))
    while part := list(islice(left, size)):
        applied = [record for record in part if record.outcome == "applied"]
        if applied:
            yield _stretch(applied)


def _stretch(records: Sequence[BatchRecord]) -> Stretch:
    recommenders = dict.fromkeys(name for record in records for name in record.relevance)
    known = sum(record.known_users for record in records)
    return Stretch(
        first=records[0].batch,
        last=records[-1].batch,
        events=sum(record.clean for record in records),
        until=max((record.last_event for record in records if record.last_event), default=None),
        guesses={name: _guesses(records, name) for name in recommenders},
        change_rate=sum(record.change_rate * record.known_users for record in records) / max(1, known),
        shift=max(record.shift for record in records),
        seconds=max(record.duration for record in records),
        latency=max(record.latency for record in records),
    )


def _guesses(records: Sequence[BatchRecord], recommender: str) -> Guesses:
    told = [record.relevance[recommender] for record in records if recommender in record.relevance]
    return Guesses(sum(one.trials for one in told), sum(one.hits for one in told))
