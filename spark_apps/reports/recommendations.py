"""What is recommended, and how well the model does (SPEC R5, R6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import pairwise

import plotly.graph_objects as go
from markupsafe import Markup

from spark_apps.analysis.recommended import Histogram, Named, PriceHistogram, RecommendedProduct, Source
from spark_apps.reports.comparison import compared_measures, comparison_parts
from spark_apps.reports.data import Recommendations, ReportData
from spark_apps.reports.figures import (
    BLUE,
    GREEN,
    GREY,
    category_label,
    empty_figure,
    label,
    named_bars,
)
from spark_apps.reports.formats import (
    counted,
    decimal,
    figure,
    joined,
    known,
    measure_name,
    share,
    whole,
)
from spark_apps.reports.html_table import html_table
from spark_apps.reports.layout import Chart, Section, bullets, facts, folded, heading, not_yet, note, paragraph
from spark_apps.reports.tuning import tuning_parts

# Parameters by the names people know.
_PARAMETERS = {"als": "Fitted by", "rank": "Rank (factors)", "iterations": "Iterations, at most"}
CATEGORY = "category"
# Edges of price bins that get a label, at most.
_EDGES_NAMED = 9
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


def chapter(data: ReportData) -> Section:
    """Lays out the chapter.

    Args:
        data: what the report shows.
    """
    found = data.recommendations
    if found is None:
        return Section("recommendations", "Recommendations", (not_yet("recommendations", "train"),))
    parts: list[Chart | str] = [paragraph(recommendation_sentences(found)), facts(_facts(found)), *_measures(found)]
    parts += tuning_parts(found)
    parts += [*_scores(found), *_what_is_recommended(found), _file_note(found)]
    return Section("recommendations", "Recommendations", tuple(part for part in parts if part))


def recommendation_sentences(found: Recommendations) -> list[str]:
    """Says what the model learned from and whom it serves.

    Args:
        found: the model and its lists.

    Returns:
        One or two sentences.
    """
    users, served = found.users, found.users_with_list
    sentences = [
        f"The model learned from {counted(found.interactions, 'interaction')} of {counted(users, 'user')} with "
        f"{counted(found.products, 'product')}; {counted(served, 'user')} ({share(served, users)}) have a list of "
        "recommendations."
    ]
    if found.top_products:
        top = min(found.top_products, key=lambda product: (-product.users, str(product.product_id)))
        sentences.append(
            f"The product in most lists is {top.product_id} ({top.brand or 'unknown'}, "
            f"{top.category_code or 'unknown'}), recommended to {counted(top.users, 'user')}."
        )
    return sentences


def _facts(found: Recommendations) -> dict[str, str]:
    parameters = found.parameters
    told = {
        heading: value if isinstance(value, str) else figure(value)
        for name, heading in _PARAMETERS.items()
        if (value := parameters.get(name)) is not None
    }
    return {
        **told,
        "Users": whole(found.users),
        "Products": whole(found.products),
        "Interactions": whole(found.interactions),
        "Users with a list": f"{whole(found.users_with_list)} ({share(found.users_with_list, found.users)})",
        "Recommendations": whole(found.recommendations),
    }


def _measures(found: Recommendations) -> list[Chart | str]:
    parts: list[Chart | str] = [*comparison_parts(found)]
    if found.metrics:
        parts.append(folded("Table: figures kept with the model", metrics_table(found.metrics)))
    lines = readings([*compared_measures(found), *found.metrics])
    return [*parts, folded("How to read the measures", bullets(lines))] if lines else parts


def _scores(found: Recommendations) -> list[Chart | str]:
    if not found.recommendations:
        return []
    parts: list[Chart | str] = [heading("Scores and prices"), note(_scale_note(found))]
    parts.append(sources_table(found.sources))
    for place, title, what, histogram in (
        ("chart-scores", "Scores of the recommendations", "recommendations", found.scores),
        ("chart-user-scores", "Mean score per user", "users", found.user_scores),
    ):
        if any(histogram.counts):
            table = histogram_table(histogram, title, "Score (no unit)", what.capitalize())
            parts.append(Chart(place, score_histogram(histogram, title, what), table))
    return [*parts, *_prices(found)]


def _prices(found: Recommendations) -> list[Chart | str]:
    parts: list[Chart | str] = []
    prices, total = found.prices, found.recommendations
    if any(prices.counts):
        left = _left_out(found.unpriced, total, "price")
        caption = "Prices of the recommended products"
        table = histogram_table(prices, caption, "Price (currency of the log)", "Recommendations")
        parts.append(Chart("chart-recommended-prices", price_histogram(prices), table, left))
    if any(score is not None for score in prices.score_mean):
        how = "The point is the mean; the line runs from the 10th to the 90th percentile, within a bar of the scores."
        parts.append(Chart("chart-score-by-price", score_by_price(prices), prices_table(prices), how))
    return parts


def _what_is_recommended(found: Recommendations) -> list[Chart | str]:
    parts: list[Chart | str] = []
    total = found.recommendations
    groups = (
        ("category", found.categories, found.unknown_categories),
        ("brand", found.brands, found.unknown_brands),
    )
    for what, rows, unknown in groups:
        if rows:
            left = _left_out(unknown, total, what)
            table = named_table(rows, what, total, f"Recommendations by {what}")
            parts.append(Chart(f"chart-recommended-{what}", top_named(rows, what, total), table, left))
    for what, rows, _ in groups:
        if any(row.mean_score is not None for row in rows):
            table = named_table(rows, what, total, f"Mean score per {what}")
            how = "Of those that are recommended most."
            parts.append(Chart(f"chart-mean-score-{what}", mean_scores(rows, what), table, how))
    if found.top_products:
        products, served = found.top_products, found.users_with_list
        table = products_table(products, served)
        parts.append(Chart("chart-top-recommended", top_products(products, served), table))
    return [heading("What is recommended"), *parts] if parts else []


def _left_out(count: int, total: int, what: str) -> str:
    return f"{share(count, total)} of the recommendations have no known {what}." if count else ""


def _scale_note(found: Recommendations) -> str:
    apart = [source for source in found.sources if not source.compared]
    if not apart:
        return ""
    names = joined([f"{source.source} ({counted(source.recommendations, 'recommendation')})" for source in apart])
    return f"Scores by {names} are on another scale; the charts of scores leave them out."


def _file_note(found: Recommendations) -> str:
    if not found.recommendations:
        return ""
    return note("shopstream recommend --all writes every list to recommendations.csv, beside this page.")


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
    counts = list(scores.counts)
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
        for (left, right), count in zip(edges, prices.counts, strict=True)
    ]
    chart.add_bar(
        x=list(range(len(edges))),
        y=list(prices.counts),
        marker={"color": BLUE},
        hovertext=hover,
        hoverinfo="text",
    )
    chart.update_layout(bargap=0.06)
    return chart.update_xaxes(**_price_axis(prices.bins)).update_yaxes(rangemode="tozero", nticks=6)


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
            zip(prices.score_mean, prices.score_p10, prices.score_p90, strict=True)
        )
        if known(mean) is not None and low is not None and high is not None and mean is not None
    ]
    edges = list(pairwise(prices.bins))
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
    return chart.update_xaxes(**_price_axis(prices.bins)).update_yaxes(nticks=6)


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
    names = [_named(row.name, what) for row in rows]
    values = [row.recommendations for row in rows]
    labels = [f"{name}<br>{whole(value)} ({share(value, total)})" for name, value in zip(names, values, strict=True)]
    hover = [f"{label(row.name, 80)}: {whole(row.recommendations)} recommendations" for row in rows]
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
    scored = [(row.name, row.mean_score) for row in rows if row.mean_score is not None]
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
    names = [f"{_product_name(product)}<br>{label(product.product_id)}" for product in products]
    hover = [
        f"{label(product.brand or 'unknown', 80)}, {label(product.category_code or 'unknown', 80)}<br>"
        f"{whole(product.users)} users ({share(product.users, users_with_list)} of lists)"
        for product in products
    ]
    return named_bars(chart, names, [product.users for product in products], hover=hover, colours=BLUE)


def _checked_edges(histogram: Histogram | PriceHistogram) -> list[tuple[float, float]]:
    bins, counts = list(histogram.bins), histogram.counts
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
    category = (product.category_code or "unknown").rsplit(".", 1)[-1]
    return label(f"{product.brand or 'unknown'} · {category}")


def metrics_table(metrics: Mapping[str, float | None]) -> Markup:
    """Writes the figures that stand beside the model.

    Args:
        metrics: measures by name.

    Returns:
        HTML.
    """
    rows = [(measure_name(name), figure(value)) for name, value in metrics.items()]
    return html_table("Figures kept with the model", ("Figure", "Value"), rows)


def readings(measures: Iterable[str]) -> list[str]:
    """Says how to read the measures whose names are known.

    Args:
        measures: names such as `hr@10`.

    Returns:
        One line for each kind of measure among them, as plain text.
    """
    words = {word for measure in measures for word in "".join(_letters(measure)).split()}
    return [f"{kind}: {reading}" for kind, (names, reading) in _MEASURES.items() if words & names]


def products_table(products: Sequence[RecommendedProduct], users_with_list: int) -> Markup:
    """Writes the products that stand in most users' lists.

    Args:
        products: products with the number of users.
        users_with_list: users who have a list.

    Returns:
        HTML.
    """
    rows = [
        (
            str(product.product_id),
            product.brand or "unknown",
            product.category_code or "unknown",
            whole(product.users),
            share(product.users, users_with_list),
        )
        for product in products
    ]
    heads = ("Product", "Brand", "Category", "Users (count)", "Share of lists")
    return html_table("Products recommended to most users", heads, rows, text_columns=(1, 2))


def histogram_table(histogram: Histogram, caption: str, name: str, unit: str) -> Markup:
    """Writes a histogram.

    Args:
        histogram: bin edges and counts.
        caption: what the table shows.
        name: heading of the bins, with their unit.
        unit: what is counted.

    Returns:
        HTML.
    """
    edges = list(pairwise(histogram.bins))
    total = sum(histogram.counts)
    rows = [
        (f"{figure(left)} to {figure(right)}", whole(count), share(count, total))
        for (left, right), count in zip(edges, histogram.counts, strict=True)
    ]
    return html_table(caption, (name, f"{unit} (count)", "Share"), rows)


def prices_table(prices: PriceHistogram) -> Markup:
    """Writes the scores in each bin of prices.

    Args:
        prices: recommendations and scores by price.

    Returns:
        HTML.
    """
    columns = (prices.counts, prices.score_mean, prices.score_p10, prices.score_p90)
    rows = [
        (f"{figure(left)} to {figure(right)}", whole(count), decimal(mean, 4), decimal(low, 4), decimal(high, 4))
        for (left, right), count, mean, low, high in zip(pairwise(prices.bins), *columns, strict=True)
    ]
    heads = (
        "Price (currency of the log)",
        "Recommendations (count)",
        "Mean score",
        "10th percentile",
        "90th percentile",
    )
    return html_table("Score against price", heads, rows)


def named_table(rows: Sequence[Named], what: str, total: int, caption: str) -> Markup:
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
            row.name,
            whole(row.recommendations),
            share(row.recommendations, total),
            decimal(row.mean_score, 4),
        )
        for row in rows
    ]
    heads = (what.capitalize(), "Recommendations (count)", "Share", "Mean score")
    return html_table(caption, heads, cells)


def sources_table(sources: Sequence[Source]) -> Markup:
    """Writes what proposed the recommendations.

    Args:
        sources: with their scores.

    Returns:
        HTML.
    """
    total = sum(source.recommendations for source in sources)
    rows = [
        (
            source.source,
            whole(source.recommendations),
            share(source.recommendations, total),
            *(decimal(getattr(source, key), 4) for key in ("lowest", "mean", "highest")),
            "yes" if source.compared else "no",
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
    return html_table("What proposed the recommendations", heads, rows)


def _letters(text: str) -> Iterator[str]:
    return (letter if letter.isalpha() else " " for letter in text.lower())
