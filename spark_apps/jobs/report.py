"""`shopstream report`: one HTML page with everything that was computed, readable without a network."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import cast

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps import __version__
from spark_apps.errors import MissingModelError, MissingTableError
from spark_apps.ingestion.manifests import read_manifests
from spark_apps.jobs.analyze import ANALYSIS
from spark_apps.jobs.generate import PREFIX
from spark_apps.progress import notice
from spark_apps.publication import Publication
from spark_apps.registry.serving import current, stale_tables
from spark_apps.registry.versions import ALS, SEGMENTS, Metadata
from spark_apps.reports.data import Recommendations, RecommendedProduct, ReportData, ScoreHistogram, Segments
from spark_apps.reports.page import render_report
from spark_apps.storage import StoragePath
from spark_apps.tables import PRODUCT_FEATURES, RECOMMENDATIONS, REPORTS, read_table

REPORT = f"{REPORTS}/report.html"
_BINS = 30
_TOP_PRODUCTS = 10


def run(spark: SparkSession, root: StoragePath) -> StoragePath:
    """Renders what was computed so far and publishes the page.

    Returns:
        The page's path.

    Raises:
        MissingTableError: when nothing was analysed yet.
    """
    page = render_report(_gather(spark, root))
    for stale in stale_tables(root):
        notice(f"{stale}: run `{stale.command}` to make it anew.")
    with Publication(root, [REPORT]) as publication:
        publication.stage(REPORT).write_text(page, encoding="utf-8")
        publication.replace(REPORT)
        publication.commit()
    return root / REPORT


def _gather(spark: SparkSession, root: StoragePath) -> ReportData:
    path = root / ANALYSIS
    if not path.exists():
        raise MissingTableError("analysis", "analyze")
    analysis = json.loads(path.read_text(encoding="utf-8"))
    files = [manifest.file for manifest in read_manifests(root)]
    synthetic = any(name.startswith(PREFIX) for name in files)
    days = sorted(analysis["events_by_day"])
    return ReportData(
        title=f"What happened in the shop, {days[0]} to {days[-1]}",
        source=", ".join(files),
        synthetic=synthetic,
        made_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        code_version=__version__,
        first_date=days[0],
        last_date=days[-1],
        analysis=analysis,
        balance=analysis["balance"],
        segments=_segments(root),
        recommendations=_recommendations(spark, root),
    )


def _metadata(root: StoragePath, name: str) -> Metadata | None:
    try:
        return current(root, name)[1]
    except MissingModelError:
        return None  # the page says which command makes it


def _segments(root: StoragePath) -> Segments | None:
    metadata = _metadata(root, SEGMENTS)
    return None if metadata is None else cast(Segments, {"seed": metadata.seed, **metadata.metrics})


def _recommendations(spark: SparkSession, root: StoragePath) -> Recommendations | None:
    metadata = _metadata(root, ALS)
    if metadata is None:
        return None
    lists = read_table(spark, root, RECOMMENDATIONS)
    return {
        "engine": metadata.parameters["engine"],
        "rank": metadata.parameters["rank"],
        "iterations": metadata.parameters["iterations"],
        "users": metadata.users,
        "products": metadata.products,
        "interactions": metadata.interactions,
        "users_with_list": metadata.metrics["users_with_list"],
        "metrics": {name: value for name, value in metadata.metrics.items() if isinstance(value, int | float)},
        "top_products": _top_products(lists, read_table(spark, root, PRODUCT_FEATURES)),
        "scores": _histogram(lists),
    }


def _top_products(lists: DataFrame, products: DataFrame) -> list[RecommendedProduct]:
    counted = lists.groupBy("product_id").agg(F.count("*").alias("users"))
    top = counted.orderBy(F.desc("users"), "product_id").limit(_TOP_PRODUCTS)
    described = top.join(products.select("product_id", "category_code", "brand"), on="product_id", how="left")
    rows = described.orderBy(F.desc("users"), "product_id").collect()  # ten rows
    return [cast(RecommendedProduct, row.asDict()) for row in rows]


def _histogram(lists: DataFrame) -> ScoreHistogram:
    """Counts scores in equal bins between their extremes."""
    bounds = lists.agg(F.min("score").alias("low"), F.max("score").alias("high")).collect()[0]
    low, high = float(bounds["low"] or 0.0), float(bounds["high"] or 0.0)
    width = (high - low) / _BINS or 1.0
    place = F.least(F.floor((F.col("score") - F.lit(low)) / F.lit(width)), F.lit(_BINS - 1)).alias("place")
    counts = {row["place"]: row["count"] for row in lists.groupBy(place).count().collect()}  # one row a bin
    edges = [low + width * step for step in range(_BINS + 1)]
    return {"bins": edges, "counts": [counts.get(step, 0) for step in range(_BINS)]}
