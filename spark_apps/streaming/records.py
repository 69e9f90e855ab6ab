"""What is written down of each batch: the batch log of the stream, and all that InfluxDB is told (SPEC T4-T6, I1)."""

from __future__ import annotations

from datetime import datetime
from math import fsum
from typing import Literal

from pydantic import BaseModel, ConfigDict

Outcome = Literal["applied", "duplicate", "refused"]
# why a file was refused: see intake.REASONS
Reason = Literal["empty", "header", "folder", "not_a_file", "unreadable", "fault"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TypeCount(_Frozen):
    """Events of one type: their number, distinct users, the number with a price, and the sum of prices."""

    events: int
    users: int
    priced: int
    value: float


class Activity(_Frozen):
    """The users of a batch. Sessions count with what they have in this batch, minutes are from first to last event."""

    users: int
    new_users: int
    sessions: int
    session_events_mean: float
    session_minutes_mean: float


class SegmentCount(_Frozen):
    """A segment after the batch: all its users, and the spend of those of them seen in the batch."""

    users: int
    seen: int
    monetary_mean: float


class Move(_Frozen):
    """Known users of the batch who went from one segment to another."""

    source: str
    target: str
    users: int


class Crossing(_Frozen):
    """Users of the batch whom RFM puts into one group and the clusters into one segment."""

    rfm: str
    segment: str
    users: int


class Relevance(_Frozen):
    """Carts and purchases guessed by the lists in force before the batch was learned from (SPEC T4).

    Attributes:
        trials: distinct (user, product) put in the cart or bought, which the user had not bought before.
        hits: of which stood in the user's list.
        reciprocal_ranks: sum of 1 / place over the hits.
    """

    trials: int
    hits: int
    reciprocal_ranks: float


class Lists(_Frozen):
    """The lists that the batch wrote: users, distinct products, mean share of different categories, scores."""

    users: int
    products: int
    diversity: float
    score_mean: float
    score_p10: float
    score_p50: float
    score_p90: float


class RankedProduct(_Frozen):
    """One of the batch's products with most points (3 a purchase, 2 a cart, 1 a view)."""

    product_id: int
    category: str
    brand: str
    points: float
    events: int


class RankedCategory(_Frozen):
    """One of the batch's categories with most events."""

    category: str
    events: int
    purchases: int
    revenue: float


class BatchRecord(_Frozen):
    """One file and what came of it.

    Attributes:
        batch: number in the order of application, from 0.
        file: its name; sequence: its number in the replay, None for a file from elsewhere.
        sha256, bytes: of its content; empty and 0 where it could not be read.
        dropped_at: from its name, else its modification time, UTC.
        outcome: applied; duplicate (its bytes were applied before); refused (nothing of it is in a table).
        reason: of a refusal; None in records of earlier versions.
        rows: lines below the header = clean + quarantined.
        quarantined: reason -> lines.
        held: clean events that were learned from before, as `clean` had them when the stream took over its events.
        late: of the other clean events, those of windows that the watermark had closed: they count everywhere but in
            windows.
        ahead: clean events later than the stream's time, which they don't move: they count everywhere, windows too.
        first_event, last_event: original times, the last without events ahead where there are others; None without a
            clean event.
        last_ahead: original time of the last event ahead; None without one.
        watermark: of event time, in force for this batch; None before the first event.
        events: event type -> figures, all four types.
        segments: name -> figures after the batch.
        change_rate: share of the batch's known users whose segment changed.
        shift: half the sum of absolute changes of the segments' shares of all users.
        relevance: recommender (updated, static, popularity) -> figures.
        replayed: what the replay cut the file from, ISO date -> raw parts (see spark_apps/provenance.py); empty for a
            file from elsewhere, None where that is not known.
        sources: als, content, popularity -> places in the batch's lists.
        models: model -> version in force.
        seconds: step -> duration, up to the commit.
    """

    batch: int
    file: str
    sequence: int | None
    sha256: str
    bytes: int
    dropped_at: datetime
    committed_at: datetime
    outcome: Outcome
    reason: Reason | None = None
    rows: int = 0
    clean: int = 0
    quarantined: dict[str, int] = {}
    held: int = 0
    late: int = 0
    ahead: int = 0
    first_event: datetime | None = None
    last_event: datetime | None = None
    last_ahead: datetime | None = None
    watermark: datetime | None = None
    events: dict[str, TypeCount] = {}
    activity: Activity | None = None
    segments: dict[str, SegmentCount] = {}
    moves: tuple[Move, ...] = ()
    crossings: tuple[Crossing, ...] = ()
    known_users: int = 0
    change_rate: float = 0.0
    shift: float = 0.0
    relevance: dict[str, Relevance] = {}
    lists: Lists | None = None
    sources: dict[str, int] = {}
    top_products: tuple[RankedProduct, ...] = ()
    top_categories: tuple[RankedCategory, ...] = ()
    new_products: int = 0
    lag_files: int = 0
    replayed: dict[str, tuple[str, ...]] | None = None
    models: dict[str, str] = {}
    seconds: dict[str, float] = {}

    @property
    def latency(self) -> float:
        """Seconds from the file's drop to the commit of its tables."""
        return (self.committed_at - self.dropped_at).total_seconds()

    @property
    def duration(self) -> float:
        """Seconds from the batch's start to the commit: the sum of its steps, whatever their order."""
        return fsum(self.seconds.values())
