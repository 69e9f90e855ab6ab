"""What the report shows of the events. Keys of a class with total=False may be missing: older analyses lack them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict


class PriceSummary(TypedDict):
    """Prices of one event type, in the log's currency; None where no event has a price."""

    mean: float | None
    min: float | None
    max: float | None
    count: int


class SessionSummary(TypedDict):
    """Sessions: events in each (percentiles included) and minutes from first to last event."""

    count: int
    events_mean: float | None
    events_std: float | None
    events_min: float | None
    events_p25: float | None
    events_p50: float | None
    events_p75: float | None
    events_max: float | None
    minutes_mean: float | None
    minutes_median: float | None


class Funnel(TypedDict):
    """Users, sessions or pairs that viewed, that also have a cart, that also have a purchase; see analysis/funnels.py.

    Rates are shares from 0 to 1, None where there is nothing to divide by.
    """

    viewed: int
    carted: int
    purchased: int
    purchased_without_cart: int
    view_to_cart: float | None
    cart_to_purchase: float | None
    view_to_purchase: float | None


class Abandonment(TypedDict):
    """Users, sessions or pairs with a cart, and those of them without a purchase."""

    with_cart: int
    without_purchase: int
    rate: float | None


class Frequency(TypedDict):
    """Sessions, or dates with events, per user; `distribution` holds users in bands such as 6-10."""

    users: int
    mean: float | None
    median: float | None
    p90: float | None
    max: int | None
    distribution: Mapping[str, int]


class Path(TypedDict):
    """A path inside sessions, such as view>view>cart>purchase."""

    sequence: str
    sessions: int
    share: float


class Sequences(TypedDict):
    """The most frequent paths, and those of them that hold a purchase; see analysis/sequences.py."""

    sessions: int
    distinct: int
    top: Sequence[Path]
    to_purchase: Sequence[Path]


class Item(TypedDict, total=False):
    """A product with its category and brand, or a category code or brand alone."""

    product_id: int | str
    category_code: str
    brand: str


class Rule(TypedDict):
    """Two items that go together; confidence is of b where a is."""

    a: Item
    b: Item
    together: int
    baskets_a: int
    baskets_b: int
    support: float
    confidence: float
    lift: float


class Affinity(TypedDict):
    """Pairs of items in the same baskets; see analysis/affinities.py."""

    baskets: int
    too_large: int
    largest_basket: int
    candidates: int
    least_together: int
    rules: Sequence[Rule]


class TopItem(Item):
    """An item with its events, and the sum of its purchase prices in the log's currency."""

    views: int
    carts: int
    purchases: int
    revenue: float


class _Counts(TypedDict):
    events: int
    duplicates: int
    event_counts: Mapping[str, int]
    missing_values: Mapping[str, int]
    events_by_day: Mapping[str, int]
    events_by_hour: Mapping[str, int]
    price_by_event_type: Mapping[str, PriceSummary]
    sessions: SessionSummary


class Analysis(_Counts, total=False):
    """Counts over the events; keys of `events_by_hour` are "0" to "23", UTC."""

    users: int
    products: int
    funnel: Mapping[str, Funnel]
    cart_abandonment: Mapping[str, Abandonment]
    visit_frequency: Mapping[str, Frequency]
    sequences: Sequences
    affinities: Mapping[str, Affinity]
    top: Mapping[str, Mapping[str, Sequence[TopItem]]]


class BalanceRow(TypedDict):
    """Rows of one date, from raw to clean; the date is None for rows that show none."""

    date: str | None
    raw: int
    clean: int
    quarantined: Mapping[str, int]
