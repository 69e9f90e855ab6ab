"""The tables under the charts: HTML text in which everything that comes from the data is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape

from spark_apps.reports.data import (
    BalanceRow,
    Cluster,
    CurvePoint,
    PriceSummary,
    RecommendedProduct,
    ScoreHistogram,
    SessionSummary,
)
from spark_apps.reports.formats import decimal, figure, known, largest_first, share, whole

# Column heading and decimals of each feature that k-means used.
_MEANS = {
    "recency": ("Recency (days)", 1),
    "frequency": ("Frequency (active days)", 1),
    "monetary": ("Monetary (currency of the log)", 2),
    "conversion_rate": ("Conversion rate (purchases per view)", 4),
    "cart_abandonment": ("Cart abandonment (0 to 1)", 4),
    "unique_products": ("Products (count)", 1),
    "unique_categories": ("Categories (count)", 1),
    "avg_price": ("Average price (currency of the log)", 2),
}
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


def table(
    caption: str,
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    *,
    text_columns: Sequence[int] = (),
    shades: Sequence[Sequence[float]] = (),
) -> str:
    """Writes one table; the first cell of each row is its heading.

    Args:
        caption: what the table shows.
        heads: column headings, with units.
        rows: cells as plain text, escaped here.
        text_columns: places of columns that hold words, set to the left.
        shades: for each row, how strongly each cell but the first is tinted, 0 to 1.

    Returns:
        HTML in a frame that scrolls sideways where the page is narrow.
    """
    words = {0, *text_columns}
    head = "".join(
        f'<th scope="col"{_text_class(place in words)}>{escape(name)}</th>' for place, name in enumerate(heads)
    )
    body = "\n".join(_row(cells, words, shades[place] if shades else ()) for place, cells in enumerate(rows))
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(caption)}">\n<table>\n'
        f"<caption><span>{escape(caption)}</span></caption>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n"
        "</table>\n</div>"
    )


def counts_table(caption: str, name: str, unit: str, counts: Mapping[str, int], total: int) -> str:
    """Writes counts with their share of a total, largest first.

    Args:
        caption: what the table shows.
        name: heading of the names.
        unit: what is counted.
        counts: counts per name.
        total: what the shares are of.

    Returns:
        HTML.
    """
    rows = [(key, whole(count), share(count, total)) for key, count in largest_first(counts)]
    return table(caption, (name, f"{unit} (count)", "Share"), rows)


def days_table(counts: Mapping[str, int], events: int) -> str:
    """Writes events per date.

    Args:
        counts: events per ISO date, UTC.
        events: all events.

    Returns:
        HTML.
    """
    rows = [(day, whole(counts[day]), share(counts[day], events)) for day in sorted(counts)]
    return table("Events by day", ("Date (UTC)", "Events (count)", "Share"), rows)


def hours_table(counts: Mapping[str, int], events: int) -> str:
    """Writes events per hour of the day.

    Args:
        counts: events per hour, keys "0" to "23", UTC.
        events: all events.

    Returns:
        HTML.
    """
    values = [counts.get(str(hour), 0) for hour in range(24)]
    rows = [(f"{hour:02d}:00", whole(count), share(count, events)) for hour, count in enumerate(values)]
    return table("Events by hour of the day", ("Hour from (UTC)", "Events (count)", "Share"), rows)


def price_table(prices: Mapping[str, PriceSummary]) -> str:
    """Writes prices per event type.

    Args:
        prices: mean, lowest, highest and number of prices per event type.

    Returns:
        HTML.
    """
    heads = ("Event type", "Mean", "Lowest", "Highest", "Priced events (count)")
    rows = [
        (name, decimal(price["mean"]), decimal(price["min"]), decimal(price["max"]), whole(price["count"]))
        for name, price in prices.items()
    ]
    return table("Price by event type, in the currency of the log", heads, rows)


def session_table(sessions: SessionSummary) -> str:
    """Writes the figures of the sessions.

    Args:
        sessions: number, events and minutes of the sessions.

    Returns:
        HTML.
    """
    rows = [
        ("Sessions", "count", whole(sessions["count"])),
        ("Mean", "events per session", decimal(sessions["events_mean"])),
        ("Standard deviation", "events per session", decimal(sessions["events_std"])),
        ("Minimum", "events per session", figure(sessions["events_min"])),
        ("25th percentile", "events per session", figure(sessions["events_p25"])),
        ("Median", "events per session", figure(sessions["events_p50"])),
        ("75th percentile", "events per session", figure(sessions["events_p75"])),
        ("Maximum", "events per session", figure(sessions["events_max"])),
        ("Mean duration", "minutes", decimal(sessions["minutes_mean"])),
        ("Median duration", "minutes", decimal(sessions["minutes_median"])),
    ]
    return table("Sessions", ("Figure", "Unit", "Value"), rows, text_columns=(1,))


def balance_table(balance: Sequence[BalanceRow]) -> str:
    """Writes the rows of each date and whether raw = clean + quarantined.

    Args:
        balance: rows per date.

    Returns:
        HTML; rows without a date stand last.
    """
    reasons = sorted({reason for row in balance for reason in row["quarantined"]})
    heads = (
        "Date (UTC)",
        "Raw (rows)",
        "Clean (rows)",
        *(f"{reason} (rows)" for reason in reasons),
        "Raw = sum",
    )
    rows = [
        (
            row["date"] or "no date",
            whole(row["raw"]),
            whole(row["clean"]),
            *(whole(row["quarantined"].get(reason, 0)) for reason in reasons),
            "yes" if balances(row) else "no",
        )
        for row in sorted(balance, key=lambda row: (row["date"] is None, row["date"] or ""))
    ]
    return table("Rows by date: raw, clean and quarantined by reason", heads, rows)


def balances(row: BalanceRow) -> bool:
    """Checks one date's rows.

    Args:
        row: rows of one date.

    Returns:
        Whether raw rows = clean rows + quarantined rows.
    """
    return row["raw"] == row["clean"] + sum(row["quarantined"].values())


def segments_table(clusters: Sequence[Cluster]) -> str:
    """Writes each segment's users and means, one segment a column.

    Args:
        clusters: the segments.

    Returns:
        HTML; in each row of means, the higher the mean the deeper its tint.
    """
    total = sum(cluster["users"] for cluster in clusters)
    means: list[dict[str, float | None]] = [dict(cluster["means"]) for cluster in clusters]  # type: ignore[arg-type]
    rows = [
        ("Users (count)", *(whole(cluster["users"]) for cluster in clusters)),
        ("Share of users", *(share(cluster["users"], total) for cluster in clusters)),
        *((head, *(decimal(mean[key], digits) for mean in means)) for key, (head, digits) in _MEANS.items()),
    ]
    untinted = [0.0] * len(clusters)
    shades = [untinted, untinted, *(_shades([mean[key] for mean in means]) for key in _MEANS)]
    heads = ("Figure", *(cluster["name"] for cluster in clusters))
    return table("Means of each segment; deeper tint = higher within the row", heads, rows, shades=shades)


def curve_table(curve: Sequence[CurvePoint], chosen: int) -> str:
    """Writes silhouette and cost for each number of segments.

    Args:
        curve: silhouette and cost per k.
        chosen: the k in use.

    Returns:
        HTML.
    """
    rows = [
        (
            f"{point['k']}, in use" if point["k"] == chosen else str(point["k"]),
            decimal(point["silhouette"], 4),
            decimal(point["cost"], 1),
        )
        for point in curve
    ]
    heads = ("Segments (k)", "Silhouette (-1 to 1)", "Cost (sum of squared distances)")
    return table("Fit by number of segments", heads, rows)


def metrics_table(metrics: Mapping[str, float | None]) -> str:
    """Writes how the recommendations did on held-out events.

    Args:
        metrics: measures by name.

    Returns:
        HTML.
    """
    rows = [(name, figure(value)) for name, value in metrics.items()]
    return table("Evaluation on held-out events", ("Measure", "Value"), rows)


def readings(measures: Iterable[str]) -> list[str]:
    """Says how to read the measures whose names are known.

    Args:
        measures: names such as `hr@10`.

    Returns:
        One line for each kind of measure among them, as plain text.
    """
    words = {word for measure in measures for word in "".join(_letters(measure)).split()}
    return [f"{kind}: {reading}" for kind, (names, reading) in _MEASURES.items() if words & names]


def scores_table(scores: ScoreHistogram) -> str:
    """Writes the score histogram.

    Args:
        scores: bin edges and counts.

    Returns:
        HTML.
    """
    edges = zip(scores["bins"], scores["bins"][1:], strict=False)
    total = sum(scores["counts"])
    rows = [
        (f"{figure(left)} to {figure(right)}", whole(count), share(count, total))
        for (left, right), count in zip(edges, scores["counts"], strict=True)
    ]
    return table("Scores of the recommendations", ("Score (no unit)", "Recommendations (count)", "Share"), rows)


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


def _text_class(is_text: bool) -> str:
    return ' class="text"' if is_text else ""


def _row(cells: Sequence[str], words: set[int], shades: Sequence[float]) -> str:
    first, *others = cells
    styles = [f' class="tinted" style="--tint:{shade:.2f}"' if shade else "" for shade in shades]
    written = "".join(
        f"<td{_text_class(place in words)}{styles[place - 1] if styles else ''}>{escape(cell)}</td>"
        for place, cell in enumerate(others, start=1)
    )
    return f'<tr><th scope="row" class="text">{escape(first)}</th>{written}</tr>'


def _shades(values: Sequence[float | None]) -> list[float]:
    figures = [known(value) for value in values]
    lowest = min((value for value in figures if value is not None), default=0.0)
    highest = max((value for value in figures if value is not None), default=0.0)
    if highest == lowest:
        return [0.0] * len(figures)
    return [0.0 if value is None else (value - lowest) / (highest - lowest) for value in figures]


def _letters(text: str) -> Iterator[str]:
    return (letter if letter.isalpha() else " " for letter in text.lower())
