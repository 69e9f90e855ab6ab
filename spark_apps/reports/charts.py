"""One function per chart. Each takes a part of the report's data and returns a Plotly figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from itertools import pairwise

import plotly.graph_objects as go

from spark_apps.reports.data import (
    BalanceRow,
    Cluster,
    CurvePoint,
    PriceSummary,
    RecommendedProduct,
    ScoreHistogram,
    SessionSummary,
)
from spark_apps.reports.figures import (
    BLUE,
    EVENT_COLOURS,
    GREEN,
    GREY,
    NAMED_AXIS,
    ORANGE,
    PINK,
    PURPLE,
    empty_figure,
    known_pairs,
    label,
    named_bars,
)
from spark_apps.reports.formats import decimal, figure, known, largest_first, share, whole

_DAY_MILLISECONDS = 24 * 60 * 60 * 1000
# So few dates each get a label.
_FEW_DATES = 5
_SESSION_FIGURES = {
    "Minimum": "events_min",
    "25th percentile": "events_p25",
    "Median": "events_p50",
    "Mean": "events_mean",
    "75th percentile": "events_p75",
    "Maximum": "events_max",
}


def events_by_type(counts: Mapping[str, int]) -> go.Figure:
    """Draws events of each type on a log scale, because views dwarf the rest (E1).

    Args:
        counts: events of each type.

    Returns:
        A bar chart, most frequent type on top.
    """
    chart = empty_figure("Events by type", "Events (count, log scale)", "Event type")
    colours = [EVENT_COLOURS.get(name, GREY) for name, _ in largest_first(counts)]
    return _counted_bars(chart, counts, sum(counts.values()), colours=colours, log=True)


def event_shares(counts: Mapping[str, int]) -> go.Figure:
    """Draws the share of each event type (E1).

    Args:
        counts: events of each type.

    Returns:
        A pie chart whose legend says the shares, since the smallest have no room inside.
    """
    total, ordered = sum(counts.values()), largest_first(counts)
    chart = empty_figure("Share of each event type", "", "", height=330)
    chart.add_pie(
        labels=[f"{label(name)}: {share(count, total)}" for name, count in ordered],
        values=[count for _, count in ordered],
        marker={"colors": [EVENT_COLOURS.get(name, GREY) for name, _ in ordered]},
        hole=0.5,
        sort=False,
        direction="clockwise",
        textinfo="none",
        hovertext=[f"{label(name)}: {whole(count)} events" for name, count in ordered],
        hoverinfo="text",
    )
    chart.update_layout(showlegend=True, legend={"orientation": "h", "x": 0.5, "xanchor": "center", "y": -0.04})
    return chart.update_xaxes(visible=False).update_yaxes(visible=False)


def missing_values(counts: Mapping[str, int], events: int) -> go.Figure:
    """Draws the share of events in which each column is empty (E2).

    Args:
        counts: events with no value, per column.
        events: all events.

    Returns:
        A bar chart, emptiest column on top, without the columns that are full.
    """
    chart = empty_figure("Missing values by column", "Share of all events (%)", "Column")
    ordered = [(name, count) for name, count in largest_first(counts) if count]
    shares = [100 * count / events if events else 0.0 for _, count in ordered]
    names = [f"{label(name)}<br>{whole(count)} ({share(count, events)})" for name, count in ordered]
    hover = [f"{label(name)}: {whole(count)} events without a value" for name, count in ordered]
    named_bars(chart, names, shares, hover=hover, colours=ORANGE)
    return chart.update_xaxes(exponentformat="none")


def events_by_day(counts: Mapping[str, int]) -> go.Figure:
    """Draws events of each date (E3).

    Args:
        counts: events per ISO date, UTC.

    Returns:
        A bar chart in time order.
    """
    chart = empty_figure("Events by day", "Date (UTC)", "Events (count)")
    days = sorted(counts)
    _date_bars(chart, days, [counts[day] for day in days], BLUE, "events")
    return chart


def events_by_hour(counts: Mapping[str, int]) -> go.Figure:
    """Draws events of each hour of the day (E3).

    Args:
        counts: events per hour, keys "0" to "23", UTC.

    Returns:
        A bar chart of 24 hours, all dates together.
    """
    chart = empty_figure("Events by hour of the day", "Hour of the day (UTC)", "Events (count, all dates together)")
    values = [counts.get(str(hour), 0) for hour in range(24)]
    hover = [f"{hour:02d}:00 to {hour:02d}:59 UTC: {whole(count)} events" for hour, count in enumerate(values)]
    chart.add_bar(x=list(range(24)), y=values, marker={"color": BLUE}, hovertext=hover, hoverinfo="text")
    chart.update_xaxes(tickvals=list(range(0, 24, 3)), range=[-0.6, 23.6], showgrid=False)
    return chart.update_yaxes(rangemode="tozero", nticks=7)


def price_by_type(prices: Mapping[str, PriceSummary]) -> go.Figure:
    """Draws the mean price of each event type on the line from its lowest to its highest (E4).

    Args:
        prices: mean, lowest and highest price per event type.

    Returns:
        A chart with one line for each type that has prices.
    """
    chart = empty_figure("Price by event type", "Price (currency of the log)", "Event type")
    priced = [(name, price["min"], price["mean"], price["max"]) for name, price in prices.items()]
    rows = [
        (name, low, mean, high)
        for name, low, mean, high in priced
        if known(low) is not None and known(mean) is not None and known(high) is not None
    ]
    for place, (name, low, mean, high) in enumerate(rows):
        colour = EVENT_COLOURS.get(name, GREY)
        chart.add_scatter(
            x=[low, mean, high],
            y=[place] * 3,
            mode="lines+markers",
            line={"color": colour, "width": 3},
            marker={
                "symbol": ["line-ns-open", "diamond", "line-ns-open"],
                "size": [14, 13, 14],
                "opacity": 1,
                "line": {"width": [3, 0, 3], "color": colour},
            },
            hovertext=[f"lowest {decimal(low)}", f"mean {decimal(mean)}", f"highest {decimal(high)}"],
            hoverinfo="text",
        )
    names = [f"{label(name)}<br>mean {decimal(mean)}" for name, _, mean, _ in rows]
    chart.update_yaxes(tickmode="array", tickvals=list(range(len(rows))), ticktext=names)
    chart.update_yaxes(range=[len(rows) - 0.5, -0.5], **NAMED_AXIS)
    chart.update_xaxes(rangemode="tozero", nticks=5, tickangle=0)
    return chart.update_layout(height=110 + 50 * max(1, len(rows)))


def session_events(sessions: SessionSummary) -> go.Figure:
    """Draws how many events sessions have (E5).

    Args:
        sessions: percentiles, mean and extremes of the events per session.

    Returns:
        A bar chart of the figures that are known, on a log scale.
    """
    chart = empty_figure("Events per session", "Events per session (log scale)", "Figure over all sessions")
    values = [sessions[key] for key in _SESSION_FIGURES.values()]  # type: ignore[literal-required]
    pairs = known_pairs(list(_SESSION_FIGURES), values)
    names = [f"{name}<br>{figure(round(value, 2))}" for name, value in pairs]
    colours = [ORANGE if name == "Mean" else BLUE for name, _ in pairs]
    return named_bars(chart, names, [value for _, value in pairs], hover=names, colours=colours, log=True)


def row_balance(balance: Sequence[BalanceRow]) -> go.Figure:
    """Draws clean and quarantined rows of each date on top of each other (D4).

    Args:
        balance: rows per date; rows without a date are left to the table.

    Returns:
        A stacked bar chart with a mark at the number of raw rows.
    """
    chart = empty_figure("Rows by date: clean and quarantined", "Date (UTC)", "Rows (count)", height=380)
    dated = sorted((row for row in balance if row["date"] is not None), key=lambda row: str(row["date"]))
    dates = [str(row["date"]) for row in dated]
    _date_bars(chart, dates, [row["clean"] for row in dated], GREEN, "clean rows", name="clean")
    quarantined = [sum(row["quarantined"].values()) for row in dated]
    _date_bars(chart, dates, quarantined, PINK, "quarantined rows", name="quarantined")
    chart.add_scatter(
        x=dates,
        y=[row["raw"] for row in dated],
        name="raw",
        mode="markers",
        marker={"symbol": "line-ew-open", "size": 11, "color": GREY, "line": {"width": 2}},
        hovertext=[f"{row['date']}: {whole(row['raw'])} raw rows" for row in dated],
        hoverinfo="text",
    )
    legend = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "traceorder": "normal"}
    return chart.update_layout(barmode="stack", showlegend=True, legend=legend)


def quarantine_reasons(reasons: Mapping[str, int]) -> go.Figure:
    """Draws why rows were quarantined (D4).

    Args:
        reasons: rows per reason, all dates together.

    Returns:
        A bar chart, most frequent reason on top.
    """
    chart = empty_figure("Why rows were quarantined", "Rows (count)", "Reason")
    return _counted_bars(chart, reasons, sum(reasons.values()), colours=PINK)


def users_by_segment(clusters: Sequence[Cluster]) -> go.Figure:
    """Draws the users of each segment (G3).

    Args:
        clusters: the segments.

    Returns:
        A bar chart, largest segment on top.
    """
    chart = empty_figure("Users by segment", "Users (count)", "Segment")
    total = sum(cluster["users"] for cluster in clusters)
    ordered = sorted(clusters, key=lambda cluster: (-cluster["users"], cluster["cluster"]))
    names = [f"{label(c['name'])}<br>{whole(c['users'])} ({share(c['users'], total)})" for c in ordered]
    return named_bars(chart, names, [c["users"] for c in ordered], hover=names, colours=PURPLE)


def silhouette_curve(curve: Sequence[CurvePoint], chosen: int) -> go.Figure:
    """Draws how well separated k segments are (G2).

    Args:
        curve: silhouette per k.
        chosen: the k in use.

    Returns:
        A line with the chosen k marked.
    """
    points = [(point["k"], point["silhouette"]) for point in curve]
    return _curve("Silhouette by number of segments", "Silhouette (-1 to 1, higher is better)", points, chosen)


def cost_curve(curve: Sequence[CurvePoint], chosen: int) -> go.Figure:
    """Draws how far users are from the centres of k segments (G2).

    Args:
        curve: k-means cost per k.
        chosen: the k in use.

    Returns:
        A line with the chosen k marked.
    """
    points = [(point["k"], point["cost"]) for point in curve]
    chart = _curve("Cost by number of segments", "Cost (sum of squared distances)", points, chosen)
    return chart.update_yaxes(rangemode="tozero")


def users_by_rfm(rfm: Mapping[str, int]) -> go.Figure:
    """Draws the users of each RFM group (G1).

    Args:
        rfm: users per RFM name.

    Returns:
        A bar chart, largest group on top.
    """
    chart = empty_figure("Users by RFM group", "Users (count)", "RFM group")
    return _counted_bars(chart, rfm, sum(rfm.values()), colours=PURPLE)


def recommendation_scores(scores: ScoreHistogram) -> go.Figure:
    """Draws how the scores of all recommendations are spread (R6).

    Args:
        scores: bin edges and counts.

    Returns:
        A histogram.

    Raises:
        ValueError: when there is not one edge more than there are counts.
    """
    bins, counts = list(scores["bins"]), list(scores["counts"])
    if counts and len(bins) != len(counts) + 1:
        raise ValueError(f"scores: {len(counts)} counts need {len(counts) + 1} bin edges, not {len(bins)}")
    chart = empty_figure("Scores of the recommendations", "Predicted score (no unit)", "Recommendations (count)")
    edges = list(pairwise(bins))
    chart.add_bar(
        x=[(left + right) / 2 for left, right in edges],
        y=counts,
        width=[right - left for left, right in edges],
        marker={"color": GREEN},
        hovertext=[
            f"{figure(left)} to {figure(right)}: {whole(count)} recommendations"
            for (left, right), count in zip(edges, counts, strict=True)
        ],
        hoverinfo="text",
    )
    chart.update_layout(bargap=0.04)
    return chart.update_xaxes(showgrid=False, nticks=8).update_yaxes(rangemode="tozero", nticks=7)


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
    return named_bars(chart, names, [product["users"] for product in products], hover=hover, colours=GREEN)


def _product_name(product: RecommendedProduct) -> str:
    category = (product["category_code"] or "unknown").rsplit(".", 1)[-1]
    return label(f"{product['brand'] or 'unknown'} · {category}")


def _counted_bars(
    chart: go.Figure,
    counts: Mapping[str, int],
    total: int,
    *,
    colours: Sequence[str] | str,
    log: bool = False,
) -> go.Figure:
    ordered = largest_first(counts)
    names = [f"{label(name)}<br>{whole(count)} ({share(count, total)})" for name, count in ordered]
    return named_bars(chart, names, [count for _, count in ordered], hover=names, colours=colours, log=log)


def _date_bars(
    chart: go.Figure, dates: Sequence[str], values: Sequence[int], colour: str, what: str, name: str = ""
) -> None:
    chart.add_bar(
        x=list(dates),
        y=list(values),
        width=0.75 * _DAY_MILLISECONDS,
        name=name,
        marker={"color": colour},
        hovertext=[f"{label(day)}: {whole(value)} {what}" for day, value in zip(dates, values, strict=True)],
        hoverinfo="text",
    )
    chart.update_xaxes(type="date", nticks=7, tickformat="%b %-d\n%Y", showgrid=False)
    if dates:
        before = date.fromisoformat(dates[0]) - timedelta(days=1)
        if len(dates) <= _FEW_DATES:
            chart.update_xaxes(tickvals=list(dates))
        chart.update_xaxes(range=[f"{before.isoformat()} 12:00", f"{dates[-1]} 12:00"])
    chart.update_yaxes(rangemode="tozero", nticks=7)


def _curve(title: str, y_title: str, points: Sequence[tuple[int, float | None]], chosen: int) -> go.Figure:
    chart = empty_figure(title, "Segments (k)", y_title)
    pairs = [(k, value) for k, value in points if known(value) is not None]
    marked = [k == chosen for k, _ in pairs]
    chart.add_scatter(
        x=[k for k, _ in pairs],
        y=[value for _, value in pairs],
        mode="lines+markers",
        line={"color": PURPLE, "width": 2},
        marker={
            "size": [15 if mark else 8 for mark in marked],
            "symbol": ["diamond" if mark else "circle" for mark in marked],
            "color": [ORANGE if mark else PURPLE for mark in marked],
            "opacity": 1,
            "line": {"width": 0},
        },
        hovertext=[f"k = {k}: {figure(value)}" for k, value in pairs],
        hoverinfo="text",
    )
    chart.add_vline(x=chosen, line={"color": ORANGE, "width": 1, "dash": "dot"})
    places = [*(k for k, _ in pairs), chosen]
    on_left = chosen > (min(places) + max(places)) / 2
    chart.add_annotation(
        x=chosen,
        y=1,
        yref="paper",
        text=f"in use: k = {chosen}",
        showarrow=False,
        xanchor="right" if on_left else "left",
        xshift=-8 if on_left else 8,
    )
    return chart.update_xaxes(dtick=1, range=[min(places) - 0.5, max(places) + 0.5], showgrid=False)
