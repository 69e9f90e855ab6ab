"""How good the recommendations are, beside those of other models (SPEC R5)."""

from __future__ import annotations

from collections.abc import Mapping

import plotly.graph_objects as go
from markupsafe import Markup

from spark_apps.evaluation.bootstrap import Estimate
from spark_apps.evaluation.compared import Comparison
from spark_apps.reports.figures import (
    BLUE,
    NAMED_AXIS,
    ORANGE,
    empty_figure,
    label,
)
from spark_apps.reports.formats import (
    UNKNOWN_FIGURE,
    counted,
    decimal,
    figure,
    is_sampled,
    known,
    measure_name,
    moment,
)
from spark_apps.reports.html_table import html_table, shades
from spark_apps.reports.layout import Chart, heading, not_yet, note, paragraph

# Words of the measures that weigh most, the weightiest first.
_LEADING = ("ndcg", "hit", "hr", "recall", "map")
_NO_BREAK = "\N{NO-BREAK SPACE}"


def comparison_parts(found: Comparison) -> list[Chart | str]:
    """Lays out how models compare: sentences, a chart of the leading measure, a table of all.

    Args:
        found: how models compare.

    Returns:
        A hint where models were not compared.
    """
    comparison, leading = found.comparison, leading_measure(found)
    if not comparison:
        return [heading("How good they are"), not_yet("figures beside those of other models", "evaluate")]
    title = leading_name(found)
    chart = model_comparison(comparison, leading, title)
    names = {measure: _full_name(found, measure) for measure in compared_measures(found)}
    return [
        heading("How good they are"),
        paragraph(comparison_sentences(found)),
        note(_conditions_note(found)),
        Chart("chart-models", chart, intervals_table(comparison, leading, f"Models by {title}")),
        comparison_table(comparison, names),
    ]


def comparison_sentences(found: Comparison) -> list[str]:
    """Says which model does best by the leading measure, and how far it is ahead.

    Args:
        found: how models compare.

    Returns:
        One or two sentences, or none where models were not compared.
    """
    measure, ranked = leading_measure(found), ranked_models(found)
    if not ranked:
        return []
    (model, best), *others = ranked
    text = f"On held-out events {model} does best by {leading_name(found)}: {_with_interval(best)}"
    if not others:
        return [f"{text}."]
    second, next_best = others[0]
    lead = found.differences.get(second, {}).get(measure) if found.judged == model else None
    return [f"{text}; {second} follows with {_with_interval(next_best)}.", *_lead_sentences(model, second, lead)]


def leading_measure(found: Comparison) -> str:
    """Returns the measure of the comparison that is told first, empty where there is none.

    Args:
        found: how models compare.
    """
    return next(iter(compared_measures(found)), "")


def leading_name(found: Comparison) -> str:
    """Returns the name of the leading measure for people.

    Args:
        found: how models compare.
    """
    return measure_name(leading_measure(found), _k(found))


def compared_measures(found: Comparison) -> list[str]:
    """Returns the measures of the comparison, the weightiest first: over the whole catalogue before sampled ones.

    Args:
        found: how models compare.
    """
    measures = dict.fromkeys(name for figures in found.comparison.values() for name in figures)
    return sorted(measures, key=lambda name: (_weight(name) == len(_LEADING), is_sampled(name), _weight(name)))


def ranked_models(found: Comparison) -> list[tuple[str, Estimate]]:
    """Returns the models that have the leading measure, with their figures, best first.

    Args:
        found: how models compare.
    """
    measure = leading_measure(found)
    scored = [
        (model, figures[measure])
        for model, figures in found.comparison.items()
        if measure in figures and known(figures[measure].value) is not None
    ]
    return sorted(scored, key=lambda row: (-(row[1].value or 0.0), row[0]))


def _weight(measure: str) -> int:
    return next((place for place, word in enumerate(_LEADING) if word in measure.lower()), len(_LEADING))


def _with_interval(measure: Estimate) -> str:
    if known(measure.low) is None or known(measure.high) is None:
        return figure(measure.value)
    return f"{figure(measure.value)} (95 % interval {figure(measure.low)} to {figure(measure.high)})"


def _lead_sentences(model: str, second: str, lead: Estimate | None) -> list[str]:
    if lead is None or (low := known(lead.low)) is None or known(lead.high) is None:
        return []
    chance = "more than chance explains" if low > 0 else "which may be chance"
    return [f"User by user {model} is ahead of {second} by {_with_interval(lead)}, {chance}."]


def _k(found: Comparison) -> int | None:
    return found.conditions.k


def _full_name(found: Comparison, measure: str) -> str:
    whole = _weight(measure) < len(_LEADING) and not is_sampled(measure)
    return f"{measure_name(measure, _k(found))}{', whole catalogue' if whole else ''}"


def _conditions_note(found: Comparison) -> str:
    told = found.conditions
    sentences = []
    if told.users_evaluated is not None:
        users = counted(told.users_evaluated, "user")
        sentences.append(
            f"Measured on {users}: models learned from the events before {moment(told.cutoff)}, and were judged by "
            "the products that these users touched for the first time afterwards."
            if told.cutoff is not None
            else f"Measured at training on {users}, by the last product of each, which was kept from the models; "
            "shopstream evaluate compares more models on more users."
        )
    if told.negatives is not None:
        others = counted(told.negatives, "product")
        sentences.append(
            f"Sampled: a product is looked for among {others} drawn by chance only. That is much easier than in the "
            "whole catalogue, so sampled figures say little by themselves."
        )
    return " ".join(sentences)


def model_comparison(comparison: Mapping[str, Mapping[str, Estimate]], measure: str, name: str) -> go.Figure:
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
        if measure in found and (value := known(found[measure].value)) is not None
    ]
    rows.sort(key=lambda row: (-row[1], row[0]))
    for place, (model, value, figures) in enumerate(rows):
        low, high = (end if known(end) is not None else value for end in (figures.low, figures.high))
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


def intervals_table(comparison: Mapping[str, Mapping[str, Estimate]], measure: str, caption: str) -> Markup:
    """Writes one measure of every model with its interval.

    Args:
        comparison: the figures of each model.
        measure: which.
        caption: what the table shows.

    Returns:
        HTML.
    """
    rows = [
        (model, *(figure(getattr(figures[measure], end)) for end in ("value", "low", "high")))
        for model, figures in comparison.items()
        if measure in figures
    ]
    return html_table(caption, ("Model", "Value", "95 % interval from", "to"), rows)


def comparison_table(comparison: Mapping[str, Mapping[str, Estimate]], names: Mapping[str, str]) -> Markup:
    """Writes every measure of every model, one model a column.

    Args:
        comparison: the figures of each model.
        names: the measures in the order wanted, with their names for people.

    Returns:
        HTML; a cell holds the figure and, in brackets, its 95 % interval. The higher within a row, the deeper the tint.
    """
    found = {name: [figures.get(measure) for figures in comparison.values()] for measure, name in names.items()}
    rows = [(name, *map(_measured, measures)) for name, measures in found.items()]
    tints = [shades([one.value if one else None for one in measures]) for measures in found.values()]
    caption = "Models by all measures (in brackets: 95 % interval); deeper tint = higher within the row"
    return html_table(caption, ("Measure", *comparison), rows, shades=tints, wrapped=True)


def _measured(measure: Estimate | None) -> str:
    value = known(measure.value) if measure is not None else None
    if measure is None or value is None:
        return UNKNOWN_FIGURE
    low, high = known(measure.low), known(measure.high)
    if low is None or high is None or low == high:
        return figure(value)
    digits = 3 if abs(value) < 1 else 2
    interval = f"({decimal(low, digits)} to {decimal(high, digits)})".replace(" ", _NO_BREAK)
    return f"{decimal(value, digits + 1)} {interval}"
