"""What the report shows of the segments. Keys of a class with total=False may be missing: older models lack them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypedDict


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


class FeatureProfile(TypedDict):
    """A feature over the users of a segment."""

    unit: str
    mean: float
    median: float


class Profile(TypedDict):
    """A segment's part in the users and in what they spent, and its features; shares from 0 to 1."""

    segment: str
    users: int
    share: float
    revenue: float
    revenue_share: float
    features: Mapping[str, FeatureProfile]


class Liking(TypedDict):
    """A category or brand that a segment likes: its share of the segment's interest, and how much above everybody's."""

    value: str
    share: float
    lift: float
    users: int


class SegmentAffinities(TypedDict):
    """What a segment likes more than others do, highest lift first."""

    segment: str
    categories: Sequence[Liking]
    brands: Sequence[Liking]


class Agreement(TypedDict):
    """Adjusted Rand indices with the segments: 1 = the same groups, 0 = as alike as by chance."""

    mean: float
    lowest: float


class Stability(TypedDict):
    """Whether the same segments come out again, on sampled users."""

    users: int
    repeats: int
    other_seed: Agreement
    bootstrap: Agreement


class _Clustering(TypedDict):
    k: int
    seed: int
    iterations: int
    cost: float | None
    silhouette: float | None
    clusters: Sequence[Cluster]
    curve: Sequence[CurvePoint]
    rfm: Mapping[str, int]


class Segments(_Clustering, total=False):
    """The clustering and the RFM groups of the same users; `cross_table` is users by RFM group and segment."""

    converged: bool
    behaviours: Mapping[str, int]
    cross_table: Mapping[str, Mapping[str, int]]
    affinities: Sequence[SegmentAffinities]
    profiles: Sequence[Profile]
    stability: Stability | None
