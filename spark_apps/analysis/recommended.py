"""What stands in the lists of all users: scores, categories, brands and prices (SPEC R6).

Scores of different sources may be on different scales (a predicted preference near 0 to 1, points of popularity in
the thousands). Figures of scores are over the sources that can be compared with the most frequent one: those whose
mean score lies no further from its range than this is wide. The others are named, and counted everywhere else.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise
from typing import Any

from pyspark.sql import Column, DataFrame, Row, Window
from pyspark.sql import functions as F

from spark_apps.schemas import UNKNOWN

SCORE_BINS = 30
TOP = 10
# More sources than there will ever be: a bound for what comes to the driver.
_MOST_SOURCES = 50
# Bins of prices start at these numbers times a power of ten.
_PRICE_STEPS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
_DESCRIBED = ("product_id", "category_code", "brand", "avg_price")


@dataclass(frozen=True)
class _Scale:
    """Sources whose scores can be compared, and the bins of these scores."""

    sources: list[str]
    low: float
    high: float

    @property
    def width(self) -> float:
        return (self.high - self.low) / SCORE_BINS or 1.0

    @property
    def edges(self) -> list[float]:
        return [self.low + self.width * step for step in range(SCORE_BINS + 1)]

    def bin_of(self, score: Column) -> Column:
        place = F.floor((score - F.lit(self.low)) / F.lit(self.width))
        inside = F.greatest(F.lit(0), F.least(place, F.lit(SCORE_BINS - 1))).cast("int")
        return F.when(score.isNotNull(), inside)


def describe_recommendations(lists: DataFrame, products: DataFrame) -> dict[str, Any]:
    """Computes what the charts of the recommendations show; counts are exact.

    Args:
        lists: columns of schemas.RECOMMENDATIONS; sources are an open set.
        products: columns of schemas.PRODUCT_FEATURES; a product's price is its avg_price.

    Returns:
        recommendations; sources, with their number, lowest, mean and highest score and whether they are `compared`;
        scores and user_scores (mean score of each user), each bins and counts; prices, the same with mean, 10th and
        90th percentile (to a bin's width) of the scores in each bin; categories and brands, the TOP by
        recommendations with their mean score; unknown_categories, unknown_brands and unpriced, recommendations that
        these leave out; top_products, in most users' lists.
    """
    sources = _sources(lists)
    scale = _scale(sources)
    edges = price_edges(products)
    scored = lists.withColumn("comparable", F.when(F.col("source").isin(scale.sources), F.col("score")))
    priced = products.select(*_DESCRIBED, _place_among(F.col("avg_price"), edges).alias("price_bin"))
    described = scored.join(priced, on="product_id", how="left")
    cells = _cells(described, scale)
    named = _named(described)
    return {
        "recommendations": sum(source["recommendations"] for source in sources),
        "sources": [{**source, "compared": source["source"] in scale.sources} for source in sources],
        "scores": {"bins": scale.edges, "counts": _score_counts(cells)},
        "user_scores": {"bins": scale.edges, "counts": _user_scores(scored, scale)},
        "prices": _prices(cells, edges, scale),
        "unpriced": sum(row["recommendations"] for row in cells if row["price_bin"] is None),
        **named,
        "top_products": _top_products(lists, products),
    }


def price_edges(products: DataFrame) -> list[float]:
    """Returns round numbers between which all prices lie, each about half as large again as the one before."""
    bounds = products.agg(F.min("avg_price").alias("low"), F.max("avg_price").alias("high")).collect()[0]
    if bounds["low"] is None:
        return []
    powers = range(math.floor(math.log10(bounds["low"])) - 1, math.ceil(math.log10(bounds["high"])) + 2)
    rounded = [float(f"{step}e{power}") for power in powers for step in _PRICE_STEPS]
    first = max(place for place, edge in enumerate(rounded) if edge <= bounds["low"])
    last = min(place for place, edge in enumerate(rounded) if edge > bounds["high"])
    return rounded[first : last + 1]


def _sources(lists: DataFrame) -> list[dict[str, Any]]:
    score = F.col("score").cast("double")
    found = lists.groupBy("source").agg(
        F.count("*").alias("recommendations"),
        F.min(score).alias("lowest"),
        F.avg(score).alias("mean"),
        F.max(score).alias("highest"),
    )
    rows = found.orderBy(F.desc("recommendations"), "source").limit(_MOST_SOURCES).collect()  # at most _MOST_SOURCES
    return [row.asDict() for row in rows]


def _scale(sources: list[dict[str, Any]]) -> _Scale:
    if not sources:
        return _Scale([], 0.0, 0.0)
    main = sources[0]
    width = main["highest"] - main["lowest"]
    alike = [source for source in sources if _beyond(source["mean"], main) <= width]
    low, high = min(source["lowest"] for source in alike), max(source["highest"] for source in alike)
    return _Scale([source["source"] for source in alike], low, high)


def _beyond(score: float, main: dict[str, Any]) -> float:
    return float(max(0.0, main["lowest"] - score, score - main["highest"]))


def _place_among(value: Column, edges: list[float]) -> Column:
    """The number, from 0, of the bin that a value lies in; null where it has no value."""
    places = [(F.lit(high), F.lit(place)) for place, (_, high) in enumerate(pairwise(edges))]
    chain = reduce(lambda done, bin_: done.when(value < bin_[0], bin_[1]), places, F.when(value.isNull(), F.lit(None)))
    return chain.cast("int")


def _cells(described: DataFrame, scale: _Scale) -> list[Row]:
    """Counts by score and price, null where there is none.

    At most (SCORE_BINS + 1) times (price bins + 1) rows come back.
    """
    return (
        described.groupBy(scale.bin_of(F.col("comparable")).alias("score_bin"), "price_bin")
        .agg(F.count("*").alias("recommendations"), F.sum(F.col("comparable").cast("double")).alias("score_sum"))
        .collect()
    )


def _score_counts(cells: list[Row]) -> list[int]:
    counts = [0] * SCORE_BINS
    for row in cells:
        if row["score_bin"] is not None:
            counts[row["score_bin"]] += row["recommendations"]
    return counts


def _prices(cells: list[Row], edges: list[float], scale: _Scale) -> dict[str, list[Any]]:
    prices: dict[str, list[Any]] = {"bins": edges, "counts": [], "score_mean": [], "score_p10": [], "score_p90": []}
    for place in range(max(0, len(edges) - 1)):
        inside = sorted(
            (row for row in cells if row["price_bin"] == place and row["score_bin"] is not None),
            key=lambda row: row["score_bin"],
        )
        scored = sum(row["recommendations"] for row in inside)
        prices["counts"].append(sum(row["recommendations"] for row in cells if row["price_bin"] == place))
        prices["score_mean"].append(sum(row["score_sum"] for row in inside) / scored if scored else None)
        prices["score_p10"].append(_percentile(inside, 0.1 * scored, scale))
        prices["score_p90"].append(_percentile(inside, 0.9 * scored, scale))
    return _trimmed(prices)


def _trimmed(prices: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Drops the bins at both ends in which nothing is recommended."""
    used = [place for place, count in enumerate(prices["counts"]) if count]
    first, end = (used[0], used[-1] + 1) if used else (0, 0)
    kept = {name: values[first:end] for name, values in prices.items()}
    return {**kept, "bins": prices["bins"][first : end + 1] if used else []}


def _percentile(inside: list[Row], wanted: float, scale: _Scale) -> float | None:
    """The middle of the first score bin up to which so many recommendations stand."""
    reached = 0
    for row in inside:
        reached += row["recommendations"]
        if reached >= wanted:
            return scale.low + scale.width * (float(row["score_bin"]) + 0.5)
    return None


def _user_scores(scored: DataFrame, scale: _Scale) -> list[int]:
    means = scored.groupBy("user_id").agg(F.avg("comparable").alias("mean")).where(F.col("mean").isNotNull())
    rows = means.groupBy(scale.bin_of(F.col("mean")).alias("bin")).count().collect()  # one row a bin
    counts = {row["bin"]: row["count"] for row in rows}
    return [counts.get(place, 0) for place in range(SCORE_BINS)]


def _named(described: DataFrame) -> dict[str, Any]:
    """Recommendations and mean score by category and by brand."""
    names = {"categories": "category_code", "brands": "brand"}
    known = [F.coalesce(F.col(name), F.lit(UNKNOWN)).alias(name) for name in names.values()]
    kind = F.when(F.col("no_brand") == 1, "categories").otherwise("brands").alias("kind")
    counted = (
        described.select(*known, F.col("comparable").cast("double").alias("comparable"))
        .groupingSets([[name] for name in names.values()], *names.values())
        .agg(
            F.count("*").alias("recommendations"),
            F.avg("comparable").alias("mean_score"),
            F.grouping("brand").alias("no_brand"),
        )
        .select(kind, F.coalesce(*names.values()).alias("name"), "recommendations", "mean_score")
    )
    best = Window.partitionBy("kind").orderBy(F.col("name") == UNKNOWN, F.desc("recommendations"), "name")
    place = F.row_number().over(best)
    wanted = (F.col("place") <= TOP) | (F.col("name") == UNKNOWN)
    rows = counted.withColumn("place", place).where(wanted).orderBy("place").collect()  # at most 2 * (TOP + 1)
    figures: dict[str, Any] = {}
    for kind_name, unknown in (("categories", "unknown_categories"), ("brands", "unknown_brands")):
        of_kind = [row for row in rows if row["kind"] == kind_name]
        figures[kind_name] = [
            {name: row[name] for name in ("name", "recommendations", "mean_score")}
            for row in of_kind
            if row["name"] != UNKNOWN
        ]
        figures[unknown] = sum(row["recommendations"] for row in of_kind if row["name"] == UNKNOWN)
    return figures


def _top_products(lists: DataFrame, products: DataFrame) -> list[dict[str, Any]]:
    counted = lists.groupBy("product_id").agg(F.count("*").alias("users"))
    top = counted.orderBy(F.desc("users"), "product_id").limit(TOP)
    described = top.join(products.select("product_id", "category_code", "brand"), on="product_id", how="left")
    rows = described.orderBy(F.desc("users"), "product_id").collect()  # TOP rows
    return [row.asDict() for row in rows]
