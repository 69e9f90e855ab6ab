"""What the report shows. The jobs fill these from the tables; the rest of the room only reads them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from spark_apps.reports.data.events import (
    Abandonment,
    Affinity,
    Analysis,
    BalanceRow,
    Frequency,
    Funnel,
    Item,
    Path,
    PriceSummary,
    Rule,
    Sequences,
    SessionSummary,
    TopItem,
)
from spark_apps.reports.data.recommendations import (
    Comparison,
    Conditions,
    Histogram,
    Measure,
    Named,
    PriceHistogram,
    Recommendations,
    RecommendedProduct,
    Source,
    Trial,
    Tuned,
)
from spark_apps.reports.data.segments import (
    Agreement,
    Cluster,
    ClusterMeans,
    CurvePoint,
    FeatureProfile,
    Liking,
    Profile,
    SegmentAffinities,
    Segments,
    Stability,
)
from spark_apps.reports.data.stream import Guesses, Stretch

__all__ = [
    "Abandonment",
    "Affinity",
    "Agreement",
    "Analysis",
    "BalanceRow",
    "Cluster",
    "ClusterMeans",
    "Comparison",
    "Conditions",
    "CurvePoint",
    "FeatureProfile",
    "Frequency",
    "Funnel",
    "Guesses",
    "Histogram",
    "Item",
    "Liking",
    "Measure",
    "Named",
    "Path",
    "PriceHistogram",
    "PriceSummary",
    "Profile",
    "Recommendations",
    "RecommendedProduct",
    "ReportData",
    "Rule",
    "SegmentAffinities",
    "Segments",
    "Sequences",
    "SessionSummary",
    "Source",
    "Stability",
    "Stretch",
    "TopItem",
    "Trial",
    "Tuned",
]


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
        stream: the latest batches in order, none before `shopstream stream`.
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
    stream: Sequence[Stretch] = ()
