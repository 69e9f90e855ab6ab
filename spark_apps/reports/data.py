"""What the report shows. The jobs fill these from the tables; the rest of the room only reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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


class Analysis(TypedDict):
    """Counts over the events; keys of `events_by_hour` are "0" to "23", UTC."""

    events: int
    duplicates: int
    event_counts: Mapping[str, int]
    missing_values: Mapping[str, int]
    events_by_day: Mapping[str, int]
    events_by_hour: Mapping[str, int]
    price_by_event_type: Mapping[str, PriceSummary]
    sessions: SessionSummary


class BalanceRow(TypedDict):
    """Rows of one date, from raw to clean; the date is None for rows that show none."""

    date: str | None
    raw: int
    clean: int
    quarantined: Mapping[str, int]


class ClusterMeans(TypedDict):
    """Means of the features that k-means used."""

    recency: float | None
    frequency: float | None
    monetary: float | None
    conversion_rate: float | None
    cart_abandonment: float | None
    unique_products: float | None
    unique_categories: float | None
    avg_price: float | None


class Cluster(TypedDict):
    """One segment of users."""

    cluster: int
    name: str
    users: int
    means: ClusterMeans


class CurvePoint(TypedDict):
    """How well k clusters fit."""

    k: int
    silhouette: float | None
    cost: float | None


class Segments(TypedDict):
    """The promoted clustering and the RFM groups of the same users."""

    k: int
    seed: int
    iterations: int
    cost: float | None
    silhouette: float | None
    clusters: Sequence[Cluster]
    curve: Sequence[CurvePoint]
    rfm: Mapping[str, int]


class RecommendedProduct(TypedDict):
    """A product and the number of users in whose list it stands."""

    product_id: int | str
    users: int
    category_code: str | None
    brand: str | None


class ScoreHistogram(TypedDict):
    """Bin edges (one more than the counts) and recommendations per bin."""

    bins: Sequence[float]
    counts: Sequence[int]


class Recommendations(TypedDict):
    """The promoted recommendation model, its evaluation and its lists."""

    engine: str
    rank: int
    iterations: int
    users: int
    products: int
    interactions: int
    users_with_list: int
    metrics: Mapping[str, float | None]
    top_products: Sequence[RecommendedProduct]
    scores: ScoreHistogram


@dataclass(frozen=True)
class ReportData:
    """Everything the page shows.

    Attributes:
        title: heading of the page.
        source: where the events come from, for example `synthetic events, seed 42`.
        synthetic: whether a generator made the events.
        made_at: when the report was made, UTC, ISO 8601.
        code_version: version of the program that counted.
        first_date: first date with events, ISO 8601.
        last_date: last date with events, ISO 8601.
        analysis: counts over the events.
        balance: rows per date, from raw to clean.
        segments: the clustering, or None before `shopstream segment`.
        recommendations: the model and its lists, or None before `shopstream train`.
    """

    title: str
    source: str
    synthetic: bool
    made_at: str
    code_version: str
    first_date: str
    last_date: str
    analysis: Analysis
    balance: Sequence[BalanceRow]
    segments: Segments | None
    recommendations: Recommendations | None
