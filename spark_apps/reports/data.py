"""What the page shows: what rooms found, put together by jobs/report.py."""

from __future__ import annotations

from pydantic import Field

from spark_apps.analysis.document import Analysis
from spark_apps.analysis.recommended import RecommendedLists
from spark_apps.evaluation.compared import Comparison, TuningFigures
from spark_apps.results import Result
from spark_apps.segmentation.description import Segments
from spark_apps.streaming.timeline import Stretch


class Recommendations(RecommendedLists, Comparison):
    """The recommendation model, every user's list, how models compare, and what a tuning tried, if one did."""

    parameters: dict[str, str | int | float]
    users: int
    products: int
    interactions: int
    users_with_list: int
    metrics: dict[str, float | None]
    tuning: TuningFigures | None = None


class ReportData(Result):
    """Everything the page shows.

    Attributes:
        title: heading of the page.
        source: where the events come from, for example `synthetic events, seed 42`.
        synthetic: whether a generator made the events.
        made_at: when the report was made, UTC, ISO 8601.
        code_version: version of the program that counted.
        first_date: first date with events, ISO 8601.
        last_date: last date with events, ISO 8601.
        analysis: counts over the events, and rows per date from raw to clean.
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
    segments: Segments | None
    recommendations: Recommendations | None
    stream: list[Stretch] = Field(default_factory=list)
