"""Tables of the recommendations and of how models compare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

from spark_apps.reports.data import Histogram, Measure, Named, PriceHistogram, RecommendedProduct, Source
from spark_apps.reports.formats import UNKNOWN_FIGURE, decimal, figure, known, measure_name, share, whole
from spark_apps.reports.tables.table import shades, table

_NO_BREAK = "\N{NO-BREAK SPACE}"
# How to read a measure: the words in its name that tell its kind, and what it says.
_MEASURES = {
    "RMSE": ({"rmse"}, "typical error of a predicted score; lower is better."),
    "HR, hit rate": (
        {"hr", "hit"},
        "share of users whose held-out product is in their list; higher is better.",
    ),
    "NDCG": ({"ndcg"}, "how near the top the held-out products stand, 0 to 1; higher is better."),
    "Recall": ({"recall"}, "share of the held-out products that are in the lists; higher is better."),
    "MAP": ({"map"}, "precision down to each held-out product, averaged, 0 to 1; higher is better."),
    "Coverage": ({"coverage"}, "share of all products or users that the lists reach; higher is wider."),
    "Diversity": (
        {"diversity"},
        "how unlike each other the products of one list are; higher is more varied.",
    ),
    "Novelty": ({"novelty"}, "how little known the recommended products are; higher is less known."),
}


def metrics_table(metrics: Mapping[str, float | None]) -> str:
    """Writes the figures that stand beside the model.

    Args:
        metrics: measures by name.

    Returns:
        HTML.
    """
    rows = [(measure_name(name), figure(value)) for name, value in metrics.items()]
    return table("Figures kept with the model", ("Figure", "Value"), rows)


def readings(measures: Iterable[str]) -> list[str]:
    """Says how to read the measures whose names are known.

    Args:
        measures: names such as `hr@10`.

    Returns:
        One line for each kind of measure among them, as plain text.
    """
    words = {word for measure in measures for word in "".join(_letters(measure)).split()}
    return [f"{kind}: {reading}" for kind, (names, reading) in _MEASURES.items() if words & names]


def products_table(products: Sequence[RecommendedProduct], users_with_list: int) -> str:
    """Writes the products that stand in most users' lists.

    Args:
        products: products with the number of users.
        users_with_list: users who have a list.

    Returns:
        HTML.
    """
    rows = [
        (
            str(product["product_id"]),
            product["brand"] or "unknown",
            product["category_code"] or "unknown",
            whole(product["users"]),
            share(product["users"], users_with_list),
        )
        for product in products
    ]
    heads = ("Product", "Brand", "Category", "Users (count)", "Share of lists")
    return table("Products recommended to most users", heads, rows, text_columns=(1, 2))


def histogram_table(histogram: Histogram, caption: str, name: str, unit: str) -> str:
    """Writes a histogram.

    Args:
        histogram: bin edges and counts.
        caption: what the table shows.
        name: heading of the bins, with their unit.
        unit: what is counted.

    Returns:
        HTML.
    """
    edges = list(pairwise(histogram["bins"]))
    total = sum(histogram["counts"])
    rows = [
        (f"{figure(left)} to {figure(right)}", whole(count), share(count, total))
        for (left, right), count in zip(edges, histogram["counts"], strict=True)
    ]
    return table(caption, (name, f"{unit} (count)", "Share"), rows)


def prices_table(prices: PriceHistogram) -> str:
    """Writes the scores in each bin of prices.

    Args:
        prices: recommendations and scores by price.

    Returns:
        HTML.
    """
    columns = (prices["counts"], prices["score_mean"], prices["score_p10"], prices["score_p90"])
    rows = [
        (f"{figure(left)} to {figure(right)}", whole(count), decimal(mean, 4), decimal(low, 4), decimal(high, 4))
        for (left, right), count, mean, low, high in zip(pairwise(prices["bins"]), *columns, strict=True)
    ]
    heads = (
        "Price (currency of the log)",
        "Recommendations (count)",
        "Mean score",
        "10th percentile",
        "90th percentile",
    )
    return table("Score against price", heads, rows)


def named_table(rows: Sequence[Named], what: str, total: int, caption: str) -> str:
    """Writes the most recommended categories or brands.

    Args:
        rows: with their recommendations and mean score.
        what: one of them is called.
        total: all recommendations.
        caption: what the table shows.

    Returns:
        HTML.
    """
    cells = [
        (
            row["name"],
            whole(row["recommendations"]),
            share(row["recommendations"], total),
            decimal(row["mean_score"], 4),
        )
        for row in rows
    ]
    heads = (what.capitalize(), "Recommendations (count)", "Share", "Mean score")
    return table(caption, heads, cells)


def sources_table(sources: Sequence[Source]) -> str:
    """Writes what proposed the recommendations.

    Args:
        sources: with their scores.

    Returns:
        HTML.
    """
    total = sum(source["recommendations"] for source in sources)
    rows = [
        (
            source["source"],
            whole(source["recommendations"]),
            share(source["recommendations"], total),
            *(decimal(source[key], 4) for key in ("lowest", "mean", "highest")),
            "yes" if source["compared"] else "no",
        )
        for source in sources
    ]
    heads = (
        "Source",
        "Recommendations (count)",
        "Share",
        "Lowest score",
        "Mean score",
        "Highest score",
        "In the charts of scores",
    )
    return table("What proposed the recommendations", heads, rows)


def intervals_table(comparison: Mapping[str, Mapping[str, Measure]], measure: str, caption: str) -> str:
    """Writes one measure of every model with its interval.

    Args:
        comparison: the figures of each model.
        measure: which.
        caption: what the table shows.

    Returns:
        HTML.
    """
    rows = [
        (model, *(figure(figures[measure][end]) for end in ("value", "low", "high")))
        for model, figures in comparison.items()
        if measure in figures
    ]
    return table(caption, ("Model", "Value", "95 % interval from", "to"), rows)


def comparison_table(comparison: Mapping[str, Mapping[str, Measure]], names: Mapping[str, str]) -> str:
    """Writes every measure of every model, one model a column.

    Args:
        comparison: the figures of each model.
        names: the measures in the order wanted, with their names for people.

    Returns:
        HTML; a cell holds the figure and, in brackets, its 95 % interval. The higher within a row, the deeper the tint.
    """
    found = {name: [figures.get(measure) for figures in comparison.values()] for measure, name in names.items()}
    rows = [(name, *map(_measured, measures)) for name, measures in found.items()]
    tints = [shades([one["value"] if one else None for one in measures]) for measures in found.values()]
    caption = "Models by all measures (in brackets: 95 % interval); deeper tint = higher within the row"
    return table(caption, ("Measure", *comparison), rows, shades=tints, wrapped=True)


def _measured(measure: Measure | None) -> str:
    value = known(measure["value"]) if measure is not None else None
    if measure is None or value is None:
        return UNKNOWN_FIGURE
    low, high = known(measure["low"]), known(measure["high"])
    if low is None or high is None or low == high:
        return figure(value)
    digits = 3 if abs(value) < 1 else 2
    interval = f"({decimal(low, digits)} to {decimal(high, digits)})".replace(" ", _NO_BREAK)
    return f"{decimal(value, digits + 1)} {interval}"


def _letters(text: str) -> Iterator[str]:
    return (letter if letter.isalpha() else " " for letter in text.lower())
