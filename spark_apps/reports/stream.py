"""What came in live since the training, and how models kept up with it (SPEC T4, T7, G5)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
from markupsafe import Markup

from spark_apps.reports.data import ReportData
from spark_apps.reports.figures import BLUE, GREEN, GREY, LEGEND, ORANGE, PURPLE, empty_figure
from spark_apps.reports.formats import UNKNOWN_FIGURE, batches, counted, decimal, joined, moment, numbers, share, whole
from spark_apps.reports.html_table import html_table
from spark_apps.reports.layout import Chart, Section, not_yet, paragraph
from spark_apps.streaming.timeline import Guesses, Stretch

_HITS, _CHANGES, _TIMES = "Hits of the lists", "Moves of segments", "Times of batches"
# Recommenders of the batch log, best expected first: what people call them, and a colour.
RECOMMENDERS = {
    "updated": ("Kept up to date", GREEN),
    "static": ("As trained", BLUE),
    "popularity": ("Popularity", GREY),
}
# What a person may expect (SPEC G5, T7).
MOST_CHANGE, MOST_SECONDS = 0.15, 5.0
_HEIGHT = 320
_TOGETHER = "all"


def chapter(data: ReportData) -> Section:
    """Lays out the chapter.

    Args:
        data: what the report shows.
    """
    stretches = data.stream
    parts: tuple[Chart | str, ...] = (not_yet("live events", "simulate --stream"),)
    if stretches:
        parts = (paragraph(stream_sentences(stretches)), *_relevance(stretches), *_pace(stretches))
    return Section("live-stream", "Live stream", parts)


def stream_sentences(stretches: Sequence[Stretch]) -> list[str]:
    """Says what was streamed, and which lists guessed best what users took.

    Args:
        stretches: of the stream, in order.

    Returns:
        None without a stretch, else up to three sentences.
    """
    if not stretches:
        return []
    until = max((one.until for one in stretches if one.until), default=None)
    events = counted(sum(one.events for one in stretches), "event")
    when = f", until {moment(until.isoformat())}" if until else ""
    which = batches(stretches[0].first, stretches[-1].last)
    return [f"The stream's {which} hold {events}{when}.", *_hit_sentences(stretches), *_change_sentences(stretches)]


def _hit_sentences(stretches: Sequence[Stretch]) -> list[str]:
    sums = {words: sum_of(stretches, name) for name, (words, _) in RECOMMENDERS.items()}
    told = [f"{words.lower()} {share(found.hits, found.trials)}" for words, found in sums.items() if found.trials]
    trials = max(found.trials for found in sums.values())
    if not told:
        return []
    what = counted(trials, "product put into the cart or purchased", "products put into the cart or purchased")
    return [f"Of {what}, lists made beforehand held: {joined(told)}."]


def _change_sentences(stretches: Sequence[Stretch]) -> list[str]:
    highest = max(stretches, key=lambda one: one.change_rate)
    when = batches(highest.first, highest.last)
    return [
        f"At most {share(highest.change_rate, 1)} of the known users seen changed their segment "
        f"({when}); the slowest batch took {decimal(max(one.seconds for one in stretches), 1)} s."
    ]


def _relevance(stretches: Sequence[Stretch]) -> list[Chart | str]:
    chart = hit_rates(stretches)
    if not any(line.x for line in chart.data):
        return []
    words = {name: words for name, (words, _) in RECOMMENDERS.items()}
    how = (
        "Each cart and purchase of a product that its user had not bought before is looked up in the ten products that "
        "each recommender would have shown before the batch was learned from."
    )
    return [Chart("chart-stream-hits", chart, hits_table(stretches, words, _HITS), how)]


def _pace(stretches: Sequence[Stretch]) -> list[Chart | str]:
    changes, times = segment_changes(stretches), batch_times(stretches)
    return [
        Chart("chart-stream-segments", changes, changes_table(stretches, _CHANGES)),
        Chart("chart-stream-times", times, times_table(stretches, _TIMES)),
    ]


def hit_rates(stretches: Sequence[Stretch]) -> go.Figure:
    """Draws how often a list held what its user then put in the cart or bought.

    Args:
        stretches: of the stream.

    Returns:
        A line for each recommender.
    """
    chart = _chart("Hit rate of the lists while it streamed", "Hits of carts and purchases (%)")
    for name, (words, colour) in RECOMMENDERS.items():
        tried = [(one, one.guesses[name]) for one in stretches if name in one.guesses]
        points = [(one, 100 * found.hits / found.trials, found) for one, found in tried if found.trials]
        hover = [
            f"{words}, {_which(one)}<br>{rate:.1f}%: {whole(found.hits)} of {whole(found.trials)}"
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
        ("Users who changed", PURPLE, [one.change_rate for one in stretches]),
        ("Shift of sizes, largest", BLUE, [one.shift for one in stretches]),
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
        ("Batch", BLUE, [one.seconds for one in stretches]),
        ("From drop to tables", PURPLE, [one.latency for one in stretches]),
    ):
        hover = [f"{words}: {value:.1f} s, {_which(one)}" for one, value in zip(stretches, values, strict=True)]
        _line(chart, stretches, values, words, colour, hover)
    return _limit(chart, MOST_SECONDS, f"{MOST_SECONDS:.0f} s wanted at most")


def _which(stretch: Stretch) -> str:
    return batches(stretch.first, stretch.last)


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
        x=[one.last for one in stretches],
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


def hits_table(stretches: Sequence[Stretch], recommenders: Mapping[str, str], caption: str) -> Markup:
    """Writes how often lists held what users then took.

    Args:
        stretches: of the stream.
        recommenders: recommender -> what people call it.
        caption: what the table shows.

    Returns:
        HTML; the last row is of all stretches together.
    """
    heads = ("Batches", *(f"{words}: {what}" for words in recommenders.values() for what in ("hits of", "hit rate")))
    rows = [(numbers(one.first, one.last), *_hits([one], recommenders)) for one in stretches]
    return html_table(caption, heads, [*rows, (_TOGETHER, *_hits(stretches, recommenders))])


def changes_table(stretches: Sequence[Stretch], caption: str) -> Markup:
    """Writes how far segments moved.

    Args:
        stretches: of the stream.
        caption: what the table shows.

    Returns:
        HTML.
    """
    rows = [
        (numbers(one.first, one.last), _until(one), share(one.change_rate, 1), share(one.shift, 1)) for one in stretches
    ]
    return html_table(caption, ("Batches", "Events until", "Users who changed", "Largest shift of sizes"), rows)


def times_table(stretches: Sequence[Stretch], caption: str) -> Markup:
    """Writes how long batches took.

    Args:
        stretches: of the stream.
        caption: what the table shows.

    Returns:
        HTML.
    """
    rows = [
        (
            numbers(one.first, one.last),
            whole(one.events),
            decimal(one.seconds, 1),
            decimal(one.latency, 1),
        )
        for one in stretches
    ]
    return html_table(caption, ("Batches", "Events (count)", "Slowest batch (s)", "Drop to tables, slowest (s)"), rows)


def sum_of(stretches: Sequence[Stretch], recommender: str) -> Guesses:
    """Adds up what a recommender's lists guessed over the stream."""
    told = [one.guesses[recommender] for one in stretches if recommender in one.guesses]
    return Guesses(sum(one.trials for one in told), sum(one.hits for one in told))


def _hits(stretches: Sequence[Stretch], recommenders: Mapping[str, str]) -> list[str]:
    sums = [sum_of(stretches, name) for name in recommenders]
    return [
        text
        for found in sums
        for text in (f"{whole(found.hits)} of {whole(found.trials)}", share(found.hits, found.trials))
    ]


def _until(stretch: Stretch) -> str:
    return UNKNOWN_FIGURE if stretch.until is None else moment(stretch.until.isoformat())
