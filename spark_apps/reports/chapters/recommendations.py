"""What is recommended, and how well the model does (SPEC R5, R6)."""

from __future__ import annotations

from spark_apps.reports.chapters.comparison import compared_measures, comparison_parts
from spark_apps.reports.chapters.tuning import tuning_parts
from spark_apps.reports.charts import recommendations as charts
from spark_apps.reports.data import Recommendations, ReportData
from spark_apps.reports.formats import counted, figure, joined, share, whole
from spark_apps.reports.layout import Chart, Section, bullets, facts, folded, heading, not_yet, note, paragraph
from spark_apps.reports.tables import recommendations as tables

# Parameters by the names people know.
_PARAMETERS = {"als": "Fitted by", "rank": "Rank (factors)", "iterations": "Iterations"}


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
    users, served = found["users"], found["users_with_list"]
    sentences = [
        f"The model learned from {counted(found['interactions'], 'interaction')} of {counted(users, 'user')} with "
        f"{counted(found['products'], 'product')}; {counted(served, 'user')} ({share(served, users)}) have a list of "
        "recommendations."
    ]
    if found["top_products"]:
        top = min(found["top_products"], key=lambda product: (-product["users"], str(product["product_id"])))
        sentences.append(
            f"The product in most lists is {top['product_id']} ({top['brand'] or 'unknown'}, "
            f"{top['category_code'] or 'unknown'}), recommended to {counted(top['users'], 'user')}."
        )
    return sentences


def _facts(found: Recommendations) -> dict[str, str]:
    parameters = found["parameters"]
    told = {
        heading: value if isinstance(value, str) else figure(value)
        for name, heading in _PARAMETERS.items()
        if (value := parameters.get(name)) is not None
    }
    return {
        **told,
        "Users": whole(found["users"]),
        "Products": whole(found["products"]),
        "Interactions": whole(found["interactions"]),
        "Users with a list": f"{whole(found['users_with_list'])} ({share(found['users_with_list'], found['users'])})",
        "Recommendations": whole(found["recommendations"]),
    }


def _measures(found: Recommendations) -> list[Chart | str]:
    parts: list[Chart | str] = [*comparison_parts(found)]
    if found["metrics"]:
        parts.append(folded("Table: figures kept with the model", tables.metrics_table(found["metrics"])))
    lines = tables.readings([*compared_measures(found), *found["metrics"]])
    return [*parts, folded("How to read the measures", bullets(lines))] if lines else parts


def _scores(found: Recommendations) -> list[Chart | str]:
    if not found["recommendations"]:
        return []
    parts: list[Chart | str] = [heading("Scores and prices"), note(_scale_note(found))]
    parts.append(tables.sources_table(found["sources"]))
    for place, title, what, histogram in (
        ("chart-scores", "Scores of the recommendations", "recommendations", found["scores"]),
        ("chart-user-scores", "Mean score per user", "users", found["user_scores"]),
    ):
        if any(histogram["counts"]):
            table = tables.histogram_table(histogram, title, "Score (no unit)", what.capitalize())
            parts.append(Chart(place, charts.score_histogram(histogram, title, what), table))
    return [*parts, *_prices(found)]


def _prices(found: Recommendations) -> list[Chart | str]:
    parts: list[Chart | str] = []
    prices, total = found["prices"], found["recommendations"]
    if any(prices["counts"]):
        left = _left_out(found["unpriced"], total, "price")
        caption = "Prices of the recommended products"
        table = tables.histogram_table(prices, caption, "Price (currency of the log)", "Recommendations")
        parts.append(Chart("chart-recommended-prices", charts.price_histogram(prices), table, left))
    if any(score is not None for score in prices["score_mean"]):
        how = "The point is the mean; the line runs from the 10th to the 90th percentile, within a bar of the scores."
        parts.append(Chart("chart-score-by-price", charts.score_by_price(prices), tables.prices_table(prices), how))
    return parts


def _what_is_recommended(found: Recommendations) -> list[Chart | str]:
    parts: list[Chart | str] = []
    total = found["recommendations"]
    groups = (
        ("category", found["categories"], found["unknown_categories"]),
        ("brand", found["brands"], found["unknown_brands"]),
    )
    for what, rows, unknown in groups:
        if rows:
            left = _left_out(unknown, total, what)
            table = tables.named_table(rows, what, total, f"Recommendations by {what}")
            parts.append(Chart(f"chart-recommended-{what}", charts.top_named(rows, what, total), table, left))
    for what, rows, _ in groups:
        if any(row["mean_score"] is not None for row in rows):
            table = tables.named_table(rows, what, total, f"Mean score per {what}")
            how = "Of those that are recommended most."
            parts.append(Chart(f"chart-mean-score-{what}", charts.mean_scores(rows, what), table, how))
    if found["top_products"]:
        products, served = found["top_products"], found["users_with_list"]
        table = tables.products_table(products, served)
        parts.append(Chart("chart-top-recommended", charts.top_products(products, served), table))
    return [heading("What is recommended"), *parts] if parts else []


def _left_out(count: int, total: int, what: str) -> str:
    return f"{share(count, total)} of the recommendations have no known {what}." if count else ""


def _scale_note(found: Recommendations) -> str:
    apart = [source for source in found["sources"] if not source["compared"]]
    if not apart:
        return ""
    names = joined([f"{source['source']} ({counted(source['recommendations'], 'recommendation')})" for source in apart])
    return f"Scores by {names} are on another scale; the charts of scores leave them out."


def _file_note(found: Recommendations) -> str:
    if not found["recommendations"]:
        return ""
    return note("shopstream recommend --all writes every list to recommendations.csv, beside this page.")
