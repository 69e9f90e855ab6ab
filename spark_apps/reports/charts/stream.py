"""Charts of the live stream: how good its lists are, how segments move, how long batches take (SPEC T4, T7, G5)."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from spark_apps.reports.data import Stretch
from spark_apps.reports.figures import BLUE, GREEN, GREY, LEGEND, ORANGE, PURPLE, empty_figure
from spark_apps.reports.formats import batches, share, whole

# Recommenders of the batch log, best expected first: what people call them, and a colour.
RECOMMENDERS = {
    "updated": ("Kept up to date", GREEN),
    "static": ("As trained", BLUE),
    "popularity": ("Popularity", GREY),
}
# What a person may expect (SPEC G5, T7).
MOST_CHANGE, MOST_SECONDS = 0.15, 5.0
_HEIGHT = 320


def hit_rates(stretches: Sequence[Stretch]) -> go.Figure:
    """Draws how often a list held what its user then put in the cart or bought.

    Args:
        stretches: of the stream.

    Returns:
        A line for each recommender.
    """
    chart = _chart("Hit rate of the lists while it streamed", "Hits of carts and purchases (%)")
    for name, (words, colour) in RECOMMENDERS.items():
        tried = [(one, one["guesses"][name]) for one in stretches if name in one["guesses"]]
        points = [(one, 100 * found["hits"] / found["trials"], found) for one, found in tried if found["trials"]]
        hover = [
            f"{words}, {_which(one)}<br>{rate:.1f}%: {whole(found['hits'])} of {whole(found['trials'])}"
            for one, rate, found in points
        ]
        _line(chart, [one for one, *_ in points], [rate for _, rate, _ in points], words, colour, hover)
    return chart


def segment_changes(stretches: Sequence[Stretch]) -> go.Figure:
    """Draws how far segments move.

    Args:
        stretches: of the stream.

    Returns:
        A line for the users who changed, one for the segments' sizes, and the most that is wanted.
    """
    chart = _chart("How far segments move in a batch", "Share of users (%)")
    for words, colour, values in (
        ("Users who changed", PURPLE, [one["change_rate"] for one in stretches]),
        ("Shift of sizes, largest", BLUE, [one["shift"] for one in stretches]),
    ):
        hover = [f"{words}: {share(value, 1)}, {_which(one)}" for one, value in zip(stretches, values, strict=True)]
        _line(chart, stretches, [100 * value for value in values], words, colour, hover)
    return _limit(chart, 100 * MOST_CHANGE, f"{share(MOST_CHANGE, 1)} wanted at most")


def batch_times(stretches: Sequence[Stretch]) -> go.Figure:
    """Draws how long the slowest batch of each stretch took.

    Args:
        stretches: of the stream.

    Returns:
        A line for the batch, one for the way from a file's drop to the tables, and what is wanted.
    """
    chart = _chart("How long batches take", "Slowest batch (seconds)")
    for words, colour, values in (
        ("Batch", BLUE, [one["seconds"] for one in stretches]),
        ("From drop to tables", PURPLE, [one["latency"] for one in stretches]),
    ):
        hover = [f"{words}: {value:.1f} s, {_which(one)}" for one, value in zip(stretches, values, strict=True)]
        _line(chart, stretches, values, words, colour, hover)
    return _limit(chart, MOST_SECONDS, f"{MOST_SECONDS:.0f} s wanted at most")


def _which(stretch: Stretch) -> str:
    return batches(stretch["first"], stretch["last"])


def _chart(title: str, y_title: str) -> go.Figure:
    chart = empty_figure(title, "Batch (number)", y_title, _HEIGHT)
    chart.update_layout(showlegend=True, legend=LEGEND)
    return chart.update_xaxes(showgrid=False, nticks=8, tickformat="d").update_yaxes(rangemode="tozero", nticks=6)


def _line(
    chart: go.Figure,
    stretches: Sequence[Stretch],
    values: Sequence[float],
    words: str,
    colour: str,
    hover: Sequence[str],
) -> None:
    chart.add_scatter(
        x=[one["last"] for one in stretches],
        y=list(values),
        name=words,
        mode="lines+markers",
        line={"color": colour, "width": 2},
        marker={"color": colour, "size": 5},
        hovertext=list(hover),
        hoverinfo="text",
    )


def _limit(chart: go.Figure, value: float, words: str) -> go.Figure:
    """A line across the chart that its legend names."""
    drawn = [place for line in chart.data for place in line.x]
    ends = [min(drawn, default=0), max(drawn, default=1)]
    style = {"color": ORANGE, "width": 1.5, "dash": "dot"}
    return chart.add_scatter(x=ends, y=[value, value], name=words, mode="lines", line=style, hoverinfo="skip")
