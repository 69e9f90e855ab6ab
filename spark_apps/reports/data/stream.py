"""What the report shows of the live stream."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TypedDict


class Guesses(TypedDict):
    """Carts and purchases that a recommender's lists were asked for, and how many of them they held."""

    trials: int
    hits: int


class Stretch(TypedDict):
    """Batches that follow each other, seen as one; see streaming/timeline.py.

    first, last: numbers of batches; events: clean ones; until: original time of the last event, UTC; guesses:
    recommender (updated, static, popularity) -> sums; change_rate, shift: shares of users, 0 to 1; seconds, latency: of
    the slowest batch, and from its file's drop.
    """

    first: int
    last: int
    events: int
    until: datetime | None
    guesses: Mapping[str, Guesses]
    change_rate: float
    shift: float
    seconds: float
    latency: float
