"""What all charts share: colours, axes and the shape of a bar chart with named bars."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from html import escape

import plotly.graph_objects as go

from spark_apps.features.reference import reference_of
from spark_apps.reports.formats import known, largest_first, share, whole

# Middle tones: each has a contrast above 3 to 1 on the light and on the dark page.
BLUE, ORANGE, GREEN, PURPLE, PINK, GREY = "#2f80c8", "#d0701e", "#2a9168", "#9467d4", "#d14d87", "#74808f"
EVENT_COLOURS = {"view": BLUE, "cart": ORANGE, "purchase": GREEN, "remove_from_cart": PURPLE}

_CLEAR = "rgba(0,0,0,0)"
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
# An axis of names: no lines, and some air between a name and its bar.
NAMED_AXIS = {"ticks": "outside", "ticklen": 6, "tickcolor": _CLEAR, "showgrid": False, "zeroline": False}
# A legend above the drawing.
LEGEND = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "traceorder": "normal"}
_BAR_HEIGHT, _FRAME_HEIGHT = 40, 96
_LABEL_LENGTH = 22
_DAY_MILLISECONDS = 24 * 60 * 60 * 1000
# So few dates each get a label.
_FEW_DATES = 5
# A log axis starts below 1, so that a bar of 1 is still seen.
_LOG_START = math.log10(0.5)


def label(text: object, length: int = _LABEL_LENGTH) -> str:
    """Makes text from the data safe and short enough for a chart.

    Plotly reads a small part of HTML in its texts, so they are escaped as in the page.

    Args:
        text: a name, a brand or the like.
        length: characters to keep.

    Returns:
        Escaped text that ends in an ellipsis where it was cut.
    """
    plain = " ".join(str(text).split())
    return escape(plain if len(plain) <= length else plain[: length - 1] + "…", quote=False)


def category_label(code: str) -> str:
    """Names a category by the last two parts of its code, which tell most.

    Args:
        code: a category code such as `appliances.kitchen.washer`.

    Returns:
        Escaped text such as `kitchen washer`.
    """
    return label(" ".join(code.split(".")[-2:]))


def empty_figure(title: str, x_title: str, y_title: str, height: int = 340) -> go.Figure:
    """Makes a chart without data.

    Args:
        title: what the chart shows.
        x_title: what runs to the right, with its unit.
        y_title: what runs upwards, with its unit.
        height: pixels.

    Returns:
        The figure, with axes that cannot be dragged so that a phone scrolls over it.
    """
    axis = {"fixedrange": True, "automargin": True, "separatethousands": True, "exponentformat": "B"}
    return go.Figure(
        layout={
            "template": go.layout.Template(),
            "title": {"text": title},
            "height": height,
            "margin": {"l": 8, "r": 14, "t": 12, "b": 8},
            "paper_bgcolor": _CLEAR,
            "plot_bgcolor": _CLEAR,
            "font": {"family": _FONT, "size": 12},
            "showlegend": False,
            "bargap": 0.25,
            "dragmode": False,
            "xaxis": {**axis, "title": {"text": x_title, "standoff": 8}},
            "yaxis": {**axis, "title": {"text": y_title, "standoff": 8}},
        }
    )


def named_bars(
    figure: go.Figure,
    names: Sequence[str],
    values: Sequence[float],
    *,
    hover: Sequence[str],
    colours: Sequence[str] | str = BLUE,
    log: bool = False,
    bar_height: int = _BAR_HEIGHT,
) -> go.Figure:
    """Draws one horizontal bar for each name, the first on top.

    Bars stand on numbered places, so two names that look the same stay two bars.

    Args:
        figure: the chart to draw on.
        names: escaped label of each bar.
        values: length of each bar.
        hover: escaped text shown over each bar.
        colours: one colour, or one for each bar.
        log: whether lengths are logarithms.
        bar_height: pixels of a bar with the air around it.

    Returns:
        The same figure.
    """
    places = list(range(len(names)))
    figure.add_bar(
        x=list(values),
        y=places,
        orientation="h",
        marker={"color": colours if isinstance(colours, str) else list(colours)},
        hovertext=list(hover),
        hoverinfo="text",
    )
    figure.update_yaxes(tickmode="array", tickvals=places, ticktext=list(names), range=[len(names) - 0.5, -0.5])
    figure.update_yaxes(**NAMED_AXIS)
    figure.update_xaxes(**(log_axis(values) if log else {"rangemode": "tozero", "nticks": 5, "tickangle": 0}))
    figure.update_layout(height=_FRAME_HEIGHT + bar_height * max(1, len(names)))
    return figure


def counted_bars(
    chart: go.Figure,
    counts: Mapping[str, int],
    total: int,
    *,
    colours: Sequence[str] | str,
    log: bool = False,
) -> go.Figure:
    """Draws counts as named bars, the largest on top, each with its count and share written.

    Args:
        chart: the chart to draw on.
        counts: counts per name.
        total: what the shares are of.
        colours: one colour, or one for each bar.
        log: whether lengths are logarithms.

    Returns:
        The same figure.
    """
    ordered = largest_first(counts)
    names = [f"{label(name)}<br>{whole(count)} ({share(count, total)})" for name, count in ordered]
    return named_bars(chart, names, [count for _, count in ordered], hover=names, colours=colours, log=log)


def date_bars(
    chart: go.Figure, dates: Sequence[str], values: Sequence[int], colour: str, what: str, name: str = ""
) -> None:
    """Draws one bar for each date.

    Args:
        chart: the chart to draw on.
        dates: ISO dates, ascending.
        values: count of each date.
        colour: of the bars.
        what: is counted, for the hover text.
        name: in the legend, if there is one.
    """
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
    if len(dates) <= _FEW_DATES:
        chart.update_xaxes(tickvals=list(dates))
    chart.update_yaxes(rangemode="tozero", nticks=7)


def show_dates(chart: go.Figure, counts: Mapping[str, int]) -> None:
    """Lets a chart of dates begin with the first and end with the last, but for a few rows of wrong clocks far away.

    Args:
        chart: from `date_bars`; zoomed out, it shows all its dates.
        counts: rows per ISO date.
    """
    days = {date.fromisoformat(day): count for day, count in sorted(counts.items())}
    if days:
        shown = reference_of(list(days), days)
        before = shown.first - timedelta(days=1) if shown.first > date.min else shown.first
        chart.update_xaxes(range=[f"{before.isoformat()} 12:00", f"{shown.day.isoformat()} 12:00"])


def log_axis(values: Sequence[float]) -> dict[str, object]:
    """Sets an axis to powers of ten.

    Args:
        values: what is drawn along it.

    Returns:
        Axis settings that hold every value.
    """
    end = math.log10(max([*values, 1])) + 0.15
    axis: dict[str, object] = {"type": "log", "range": [_LOG_START, end], "tickangle": 0}
    if end < 2:
        return {**axis, "tickvals": [1, 2, 5, 10, 20, 50]}
    return {**axis, "dtick": 1 if end <= 4 else 2}


def known_pairs(names: Sequence[str], values: Sequence[float | None]) -> list[tuple[str, float]]:
    """Leaves out figures that are not known.

    Args:
        names: what each figure is called.
        values: the figures, None where not known.

    Returns:
        Names with their figures.
    """
    figures = [known(value) for value in values]
    return [(name, value) for name, value in zip(names, figures, strict=True) if value is not None]
