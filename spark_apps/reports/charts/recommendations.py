"""The charts of every user's list (SPEC R6), and of how models compare (SPEC R5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

import plotly.graph_objects as go

from spark_apps.reports.data import Histogram, Measure, Named, PriceHistogram, RecommendedProduct
from spark_apps.reports.figures import (
    BLUE,
    GREEN,
    GREY,
    NAMED_AXIS,
    ORANGE,
    category_label,
    empty_figure,
    label,
    named_bars,
)
from spark_apps.reports.formats import figure, known, share, whole

CATEGORY = "category"
# Edges of price bins that get a label, at most.
_EDGES_NAMED = 9


def score_histogram(scores: Histogram, title: str, what: str) -> go.Figure:
    """Draws how scores are spread.

    Args:
        scores: bin edges and counts.
        title: whose scores.
        what: is counted, for example `recommendations`.

    Returns:
        A histogram.

    Raises:
        ValueError: when there is not one edge more than there are counts.
    """
    edges = _checked_edges(scores)
    counts = list(scores["counts"])
    chart = empty_figure(title, "Score (no unit)", f"{what.capitalize()} (count)", 300)
    chart.add_bar(
        x=[(left + right) / 2 for left, right in edges],
        y=counts,
        width=[right - left for left, right in edges],
        marker={"color": GREEN},
        hovertext=[
            f"{figure(left)} to {figure(right)}: {whole(count)} {what}"
            for (left, right), count in zip(edges, counts, strict=True)
        ],
        hoverinfo="text",
    )
    chart.update_layout(bargap=0.04)
    return chart.update_xaxes(showgrid=False, nticks=8).update_yaxes(rangemode="tozero", nticks=6)


def price_histogram(prices: PriceHistogram) -> go.Figure:
    """Draws how the prices of the recommended products are spread.

    Args:
        prices: bin edges and counts.

    Returns:
        A bar for each bin; bins grow with the price.

    Raises:
        ValueError: when there is not one edge more than there are counts.
    """
    edges = _checked_edges(prices)
    title = "Prices of the recommended products"
    chart = empty_figure(title, "Price (currency of the log, growing steps)", "Recommendations (count)", 300)
    hover = [
        f"{figure(left)} to {figure(right)}: {whole(count)} recommendations"
        for (left, right), count in zip(edges, prices["counts"], strict=True)
    ]
    chart.add_bar(
        x=list(range(len(edges))),
        y=list(prices["counts"]),
        marker={"color": BLUE},
        hovertext=hover,
        hoverinfo="text",
    )
    chart.update_layout(bargap=0.06)
    return chart.update_xaxes(**_price_axis(prices["bins"])).update_yaxes(rangemode="tozero", nticks=6)


def score_by_price(prices: PriceHistogram) -> go.Figure:
    """Draws the scores of recommendations against the price of what is recommended.

    Args:
        prices: mean, 10th and 90th percentile of the scores in each bin of prices.

    Returns:
        A point for each bin that has scores, on the line from the 10th to the 90th percentile.
    """
    title = "Score against price"
    chart = empty_figure(title, "Price (currency of the log, growing steps)", "Score (no unit)", 300)
    rows = [
        (place, mean, low, high)
        for place, (mean, low, high) in enumerate(
            zip(prices["score_mean"], prices["score_p10"], prices["score_p90"], strict=True)
        )
        if known(mean) is not None and low is not None and high is not None and mean is not None
    ]
    edges = list(pairwise(prices["bins"]))
    chart.add_scatter(
        x=[place for place, *_ in rows],
        y=[mean for _, mean, _, _ in rows],
        mode="markers",
        marker={"color": GREEN, "size": 8, "opacity": 1},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": [max(0.0, high - mean) for _, mean, _, high in rows],
            "arrayminus": [max(0.0, mean - low) for _, mean, low, _ in rows],
            "color": GREY,
            "thickness": 1.5,
            "width": 3,
        },
        hovertext=[
            f"{figure(edges[place][0])} to {figure(edges[place][1])}: mean {figure(mean)}" for place, mean, *_ in rows
        ],
        hoverinfo="text",
    )
    return chart.update_xaxes(**_price_axis(prices["bins"])).update_yaxes(nticks=6)


def top_named(rows: Sequence[Named], what: str, total: int) -> go.Figure:
    """Draws what is recommended most.

    Args:
        rows: categories or brands with their recommendations.
        what: one of them is called, `category` or `brand`.
        total: all recommendations.

    Returns:
        A bar for each.
    """
    title = "Most recommended categories" if what == CATEGORY else f"Most recommended {what}s"
    chart = empty_figure(title, "Recommendations (count)", what.capitalize())
    names = [_named(row["name"], what) for row in rows]
    values = [row["recommendations"] for row in rows]
    labels = [f"{name}<br>{whole(value)} ({share(value, total)})" for name, value in zip(names, values, strict=True)]
    hover = [f"{label(row['name'], 80)}: {whole(row['recommendations'])} recommendations" for row in rows]
    return named_bars(chart, labels, values, hover=hover, colours=BLUE)


def mean_scores(rows: Sequence[Named], what: str) -> go.Figure:
    """Draws the mean score of what is recommended most.

    Args:
        rows: categories or brands with their mean score.
        what: one of them is called.

    Returns:
        A bar for each that has one, the highest on top.
    """
    chart = empty_figure(f"Mean score per {what}", "Mean score (no unit)", what.capitalize())
    scored = [(row["name"], row["mean_score"]) for row in rows if row["mean_score"] is not None]
    ordered = sorted(scored, key=lambda row: (-row[1], row[0]))
    names = [f"{_named(name, what)}<br>{figure(round(score, 4))}" for name, score in ordered]
    hover = [f"{label(name, 80)}: mean score {figure(score)}" for name, score in ordered]
    return named_bars(chart, names, [score for _, score in ordered], hover=hover, colours=GREEN)


def top_products(products: Sequence[RecommendedProduct], users_with_list: int) -> go.Figure:
    """Draws the products that stand in most users' lists.

    Args:
        products: products with the number of users, most first.
        users_with_list: users who have a list.

    Returns:
        A bar chart.
    """
    chart = empty_figure("Products recommended to most users", "Users (count)", "Product")
    names = [f"{_product_name(product)}<br>{label(product['product_id'])}" for product in products]
    hover = [
        f"{label(product['brand'] or 'unknown', 80)}, {label(product['category_code'] or 'unknown', 80)}<br>"
        f"{whole(product['users'])} users ({share(product['users'], users_with_list)} of lists)"
        for product in products
    ]
    return named_bars(chart, names, [product["users"] for product in products], hover=hover, colours=BLUE)


def model_comparison(comparison: Mapping[str, Mapping[str, Measure]], measure: str, name: str) -> go.Figure:
    """Draws one measure of every model with its interval.

    Args:
        comparison: the figures of each model.
        measure: which.
        name: of the measure, for people.

    Returns:
        A point for each model that has it, the highest on top.
    """
    name = label(name)
    chart = empty_figure(f"Models by {name}", f"{name} (line: 95 % interval)", "Model")
    rows = [
        (model, float(value), found[measure])
        for model, found in comparison.items()
        if measure in found and (value := known(found[measure]["value"])) is not None
    ]
    rows.sort(key=lambda row: (-row[1], row[0]))
    for place, (model, value, figures) in enumerate(rows):
        low, high = (end if known(end) is not None else value for end in (figures["low"], figures["high"]))
        chart.add_scatter(
            x=[low, value, high],
            y=[place] * 3,
            mode="lines+markers",
            line={"color": ORANGE if place == 0 else BLUE, "width": 3},
            marker={"symbol": ["line-ns-open", "diamond", "line-ns-open"], "size": [12, 12, 12], "opacity": 1},
            hovertext=[f"{label(model)}: {figure(end)}" for end in (low, value, high)],
            hoverinfo="text",
        )
    names = [f"{label(model)}<br>{figure(value)}" for model, value, _ in rows]
    chart.update_yaxes(tickmode="array", tickvals=list(range(len(rows))), ticktext=names)
    chart.update_yaxes(range=[len(rows) - 0.5, -0.5], **NAMED_AXIS)
    chart.update_xaxes(rangemode="tozero", nticks=6, tickangle=0)
    return chart.update_layout(height=110 + 46 * max(1, len(rows)))


def _checked_edges(histogram: Histogram | PriceHistogram) -> list[tuple[float, float]]:
    bins, counts = list(histogram["bins"]), histogram["counts"]
    if counts and len(bins) != len(counts) + 1:
        raise ValueError(f"scores: {len(counts)} counts need {len(counts) + 1} bin edges, not {len(bins)}")
    return list(pairwise(bins))


def _price_axis(edges: Sequence[float]) -> dict[str, object]:
    """An axis of bins as wide as each other, whose edges are named."""
    step = max(1, -(-len(edges) // _EDGES_NAMED))
    places = list(range(0, len(edges), step))
    return {
        "tickmode": "array",
        "tickvals": [place - 0.5 for place in places],
        "ticktext": [figure(edges[place]) for place in places],
        "tickangle": 0,
        "range": [-0.7, len(edges) - 1.3],
        "showgrid": False,
        "zeroline": False,
    }


def _named(name: str, what: str) -> str:
    return category_label(name) if what == CATEGORY else label(name)


def _product_name(product: RecommendedProduct) -> str:
    category = (product["category_code"] or "unknown").rsplit(".", 1)[-1]
    return label(f"{product['brand'] or 'unknown'} · {category}")
