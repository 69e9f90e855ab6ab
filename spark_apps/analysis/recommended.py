"""What stands in the lists of all users: scores, categories, brands and prices (SPEC R6).

Scores of different sources may be on different scales (a predicted preference near 0 to 1, points of popularity in
the thousands). Figures of scores are over the sources that can be compared with the most frequent one: those whose
mean score lies no further from its range than this is wide. The others are named, and counted everywhere else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from spark_apps.analysis.units import merged
from spark_apps.engine.base import Done, Engine, Relation, Task
from spark_apps.engine.database import sql
from spark_apps.results import Result
from spark_apps.schemas import PRODUCT_FEATURES, RECOMMENDATIONS, UNKNOWN
from spark_apps.storage import StoragePath

SCORE_BINS = 30
TOP = 10
# Bins of prices start at these numbers times a power of ten.
_PRICE_STEPS = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0)
_ROOM = "spark_apps.analysis"
LISTS = RECOMMENDATIONS
PRODUCTS = pa.schema([PRODUCT_FEATURES.field(name) for name in ("product_id", "category_code", "brand", "avg_price")])
_SUM = ("score_sum", pa.decimal128(38, 15))
_SOURCES = pa.schema(
    [
        ("source", pa.string()),
        ("recommendations", pa.int64()),
        ("lowest", pa.float64()),
        ("highest", pa.float64()),
        _SUM,
    ]
)
_BOUNDS = pa.schema([("low_min", pa.float64()), ("high_max", pa.float64())])
_CELLS = pa.schema([*((name, pa.int64()) for name in ("score_bin", "price_bin", "recommendations")), _SUM])
_NAMES = pa.schema(
    [("kind", pa.string()), ("name", pa.string()), ("recommendations", pa.int64()), ("scored", pa.int64()), _SUM]
)
_TOP_PRODUCTS = pa.schema(
    [("product_id", pa.int64()), ("users", pa.int64()), ("category_code", pa.string()), ("brand", pa.string())]
)
_USER_SCORES = pa.schema([("bin", pa.int64()), ("users", pa.int64())])
_Row = Mapping[str, Any]


class Source(Result):
    """What proposed recommendations; `compared` says whether the figures of scores hold them."""

    source: str
    recommendations: int
    lowest: float | None
    mean: float | None
    highest: float | None
    compared: bool


class Histogram(Result):
    """Bin edges (one more than the counts) and what is in each bin."""

    bins: list[float]
    counts: list[int]


class PriceHistogram(Histogram):
    """Recommendations by price, with mean, 10th and 90th percentile of their scores, to a bin's width; None unknown."""

    score_mean: list[float | None]
    score_p10: list[float | None]
    score_p90: list[float | None]


class Named(Result):
    """Recommendations of a category or brand and their mean score; None where none is compared."""

    name: str
    recommendations: int
    mean_score: float | None


class RecommendedProduct(Result):
    """A product and the number of users in whose list it stands."""

    product_id: int
    users: int
    category_code: str | None
    brand: str | None


class RecommendedLists(Result):
    """What stands in the lists of all users.

    user_scores: by the mean score of each user; categories, brands: the TOP by recommendations; unknown_categories,
    unknown_brands, unpriced: recommendations that these leave out; top_products: in most users' lists.
    """

    recommendations: int
    sources: list[Source]
    scores: Histogram
    user_scores: Histogram
    prices: PriceHistogram
    unpriced: int
    categories: list[Named]
    unknown_categories: int
    brands: list[Named]
    unknown_brands: int
    top_products: list[RecommendedProduct]


@dataclass(frozen=True)
class _Scale:
    """Sources whose scores can be compared, the bins of these scores, and those of prices."""

    sources: list[str]
    low: float
    high: float
    price_edges: list[float] = field(default_factory=list)

    @property
    def width(self) -> float:
        return (self.high - self.low) / SCORE_BINS or 1.0

    @property
    def edges(self) -> list[float]:
        return [self.low + self.width * step for step in range(SCORE_BINS + 1)]


def describe_recommendations(
    engine: Engine, lists: Relation, products: Relation, scratch: StoragePath
) -> RecommendedLists:
    """Computes what the charts of the recommendations show; counts are exact.

    Args:
        engine: where it is done.
        lists: columns of schemas.RECOMMENDATIONS; sources are an open set.
        products: columns of schemas.PRODUCT_FEATURES; a product's price is its avg_price.
        scratch: folder for sums that are too many for one process.
    """
    inputs = {"lists": lists.select(*LISTS.names), "products": products.select(*PRODUCTS.names)}
    bounds = engine.run(count_sources, inputs, by="product_id")
    sources = _sources(bounds)
    scale = _scale(sources, _price_edges(bounds))
    described = engine.run(
        count_lists, inputs, by="product_id", outputs={"listed_names": scratch / "listed_names"}, shared=scale
    )
    names = {"listed_names": Relation.of(scratch / "listed_names", _NAMES)}
    first = engine.run(rank_names, names, by="name").result("first_names", _NAMES)
    users = engine.run(count_user_scores, {"lists": inputs["lists"]}, by="user_id", shared=scale)
    cells = merged(described.result("list_cells", _CELLS), "score_bin", "price_bin").to_pylist()
    categories, unknown_categories = _named(first, "categories")
    brands, unknown_brands = _named(first, "brands")
    return RecommendedLists(
        recommendations=sum(source["recommendations"] for source in sources),
        sources=[Source(**source, compared=source["source"] in scale.sources) for source in sources],
        scores=Histogram(bins=scale.edges, counts=_score_counts(cells)),
        user_scores=Histogram(bins=scale.edges, counts=_user_counts(users)),
        prices=_prices(cells, scale),
        unpriced=sum(row["recommendations"] for row in cells if row["price_bin"] is None),
        categories=categories,
        unknown_categories=unknown_categories,
        brands=brands,
        unknown_brands=unknown_brands,
        top_products=_top_products(described),
    )


def count_sources(task: Task) -> None:
    """Finds scores and prices. Inputs: lists, LISTS; products, PRODUCTS. Gives list_sources, few; price_bounds, one."""
    task.give("list_sources", task.database.rows(sql(_ROOM, "list_sources"), _SOURCES))
    task.give("price_bounds", task.database.rows(sql(_ROOM, "price_bounds"), _BOUNDS))


def count_lists(task: Task) -> None:
    """Counts recommendations by what they are of.

    Inputs: lists, LISTS; products, PRODUCTS, both all of a product. Shared: the scale. Outputs: listed_names. Gives
    list_cells, at most (SCORE_BINS + 1) times (price bins + 1) rows, and listed_products, at most TOP.
    """
    _set(task)
    task.database.view("scored_lists", sql(_ROOM, "scored_lists"))
    task.database.view("described_lists", sql(_ROOM, "described_lists"))
    task.give("list_cells", task.database.rows(sql(_ROOM, "list_cells"), _CELLS))
    task.give("listed_products", task.database.rows(sql(_ROOM, "listed_products"), _TOP_PRODUCTS))
    task.output("listed_names", _NAMES, task.database.batches(sql(_ROOM, "listed_names"), _NAMES))


def rank_names(task: Task) -> None:
    """Finds the first categories and brands. Inputs: listed_names, all of a name. Gives at most 2 * (TOP + 1) rows."""
    task.database.set(top=TOP)
    task.give("first_names", task.database.rows(sql(_ROOM, "first_names"), _NAMES))


def count_user_scores(task: Task) -> None:
    """Counts users by their mean score. Inputs: lists, LISTS, all of a user. Shared: the scale. Gives a row a bin."""
    _set(task)
    task.database.view("scored_lists", sql(_ROOM, "scored_lists"))
    task.give("user_scores", task.database.rows(sql(_ROOM, "user_scores"), _USER_SCORES))


def _set(task: Task) -> None:
    scale: _Scale = task.shared
    task.database.set(
        sources=scale.sources,
        low=scale.low,
        width=scale.width,
        bins=SCORE_BINS,
        edges=scale.price_edges,
        top=TOP,
    )


def price_edges(low: float | None, high: float | None) -> list[float]:
    """Returns round numbers between which all prices lie, each about half as large again as the one before."""
    if low is None or high is None:
        return []
    powers = range(math.floor(math.log10(low)) - 1, math.ceil(math.log10(high)) + 2)
    rounded = [float(f"{step}e{power}") for power in powers for step in _PRICE_STEPS]
    first = max(place for place, edge in enumerate(rounded) if edge <= low)
    last = min(place for place, edge in enumerate(rounded) if edge > high)
    return rounded[first : last + 1]


def _price_edges(done: Done) -> list[float]:
    bounds = done.result("price_bounds", _BOUNDS)
    return price_edges(pc.min(bounds["low_min"]).as_py(), pc.max(bounds["high_max"]).as_py())


def _sources(done: Done) -> list[dict[str, Any]]:
    """Sources, the one with most recommendations first."""
    found = done.result("list_sources", _SOURCES).rename_columns({"lowest": "lowest_min", "highest": "highest_max"})
    rows = sorted(merged(found, "source").to_pylist(), key=lambda row: (-row["recommendations"], row["source"]))
    return [
        {
            "source": row["source"],
            "recommendations": row["recommendations"],
            "lowest": row["lowest_min"],
            "mean": float(row["score_sum"]) / row["recommendations"],
            "highest": row["highest_max"],
        }
        for row in rows
    ]


def _scale(sources: list[dict[str, Any]], edges: list[float]) -> _Scale:
    if not sources:
        return _Scale([], 0.0, 0.0, edges)
    main = sources[0]
    width = main["highest"] - main["lowest"]
    alike = [source for source in sources if _beyond(source["mean"], main) <= width]
    low, high = min(source["lowest"] for source in alike), max(source["highest"] for source in alike)
    return _Scale([source["source"] for source in alike], low, high, edges)


def _beyond(score: float, main: dict[str, Any]) -> float:
    return float(max(0.0, main["lowest"] - score, score - main["highest"]))


def _score_counts(cells: list[_Row]) -> list[int]:
    counts = [0] * SCORE_BINS
    for row in cells:
        if row["score_bin"] is not None:
            counts[row["score_bin"]] += row["recommendations"]
    return counts


def _prices(cells: list[_Row], scale: _Scale) -> PriceHistogram:
    edges = scale.price_edges
    prices: dict[str, list[Any]] = {"bins": edges, "counts": [], "score_mean": [], "score_p10": [], "score_p90": []}
    for place in range(max(0, len(edges) - 1)):
        inside = sorted(
            (row for row in cells if row["price_bin"] == place and row["score_bin"] is not None),
            key=lambda row: row["score_bin"],
        )
        scored = sum(row["recommendations"] for row in inside)
        prices["counts"].append(sum(row["recommendations"] for row in cells if row["price_bin"] == place))
        prices["score_mean"].append(float(sum(row["score_sum"] for row in inside)) / scored if scored else None)
        prices["score_p10"].append(_percentile(inside, 0.1 * scored, scale))
        prices["score_p90"].append(_percentile(inside, 0.9 * scored, scale))
    return _trimmed(prices)


def _trimmed(prices: dict[str, list[Any]]) -> PriceHistogram:
    """Drops the bins at both ends in which nothing is recommended."""
    used = [place for place, count in enumerate(prices["counts"]) if count]
    first, end = (used[0], used[-1] + 1) if used else (0, 0)
    kept = {name: values[first:end] for name, values in prices.items()}
    return PriceHistogram(**{**kept, "bins": prices["bins"][first : end + 1] if used else []})


def _percentile(inside: list[_Row], wanted: float, scale: _Scale) -> float | None:
    """The middle of the first score bin up to which so many recommendations stand."""
    reached = 0
    for row in inside:
        reached += row["recommendations"]
        if reached >= wanted:
            return scale.low + scale.width * (float(row["score_bin"]) + 0.5)
    return None


def _user_counts(done: Done) -> list[int]:
    rows = merged(done.result("user_scores", _USER_SCORES), "bin").to_pylist()
    counts = {row["bin"]: row["users"] for row in rows}
    return [counts.get(place, 0) for place in range(SCORE_BINS)]


def _named(first: pa.Table, kind: str) -> tuple[list[Named], int]:
    """The first categories or brands, and the recommendations of the unknown one."""
    rows = first.filter(pc.field("kind") == kind).to_pylist()
    known = sorted(
        (row for row in rows if row["name"] != UNKNOWN), key=lambda row: (-row["recommendations"], row["name"])
    )
    named = [
        Named(
            name=row["name"],
            recommendations=row["recommendations"],
            mean_score=float(row["score_sum"]) / row["scored"] if row["scored"] else None,
        )
        for row in known[:TOP]
    ]
    return named, sum(row["recommendations"] for row in rows if row["name"] == UNKNOWN)


def _top_products(done: Done) -> list[RecommendedProduct]:
    rows = done.result("listed_products", _TOP_PRODUCTS).sort_by([("users", "descending"), ("product_id", "ascending")])
    return [RecommendedProduct(**row) for row in rows.slice(0, TOP).to_pylist()]
