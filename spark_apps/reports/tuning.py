"""What a tuning tried, and what it found (SPEC R1)."""

from __future__ import annotations

import plotly.graph_objects as go

from spark_apps.evaluation.compared import TrialFigures, TuningFigures
from spark_apps.reports.data import Recommendations
from spark_apps.reports.figures import BLUE, GREY, LEGEND, ORANGE, empty_figure
from spark_apps.reports.formats import counted, figure
from spark_apps.reports.html_table import html_table
from spark_apps.reports.layout import Chart, heading, paragraph

_HEADS = ("Trial", "NDCG@10", "Rank (factors)", "Iterations", "Alpha", "Regularization", "Weights of the blend")


def tuning_parts(found: Recommendations) -> list[Chart | str]:
    """Lays out the trials of `shopstream train --tune`: a sentence, a chart and a table.

    Args:
        found: the model and its lists.

    Returns:
        Nothing where the parameters were not tuned.
    """
    tuned = found.tuning
    if tuned is None:
        return []
    best, given = tuned.best.ndcg, tuned.given_ndcg
    text = (
        f"{counted(len(tuned.trials), 'set of parameters', 'sets of parameters')} were tried on the last product of "
        f"{counted(tuned.users, 'user')}: trial {tuned.best.trial} was taken, with an NDCG@10 of "
        f"{figure(best)}; the parameters given had {figure(given)}."
    )
    rows = [_row(one) for one in sorted(tuned.trials, key=lambda one: -one.ndcg)]
    shown = html_table("Trials, the best first", _HEADS, rows)
    return [heading("What was tried"), paragraph([text]), Chart("chart-trials", trials(tuned), shown)]


def _row(trial: TrialFigures) -> tuple[str, ...]:
    blend = ", ".join(f"{name} {figure(weight)}" for name, weight in trial.blend.items())
    sizes = (str(trial.rank), str(trial.iterations), figure(trial.alpha), figure(trial.regularization))
    return (str(trial.trial), figure(trial.ndcg), *sizes, blend)


def trials(tuned: TuningFigures) -> go.Figure:
    """Draws the NDCG@10 of every trial, the best one marked, beside that of the parameters that were given.

    Args:
        tuned: what was tried.

    Returns:
        A point for each trial, in the order in which they were made.
    """
    chart = empty_figure("NDCG@10 of every trial", "Trial (number)", "NDCG@10 of the hybrid")
    best = tuned.best.trial
    for name, colour, tried in (
        ("tried", BLUE, [one for one in tuned.trials if one.trial != best]),
        ("best, taken", ORANGE, [one for one in tuned.trials if one.trial == best]),
    ):
        chart.add_scatter(
            x=[one.trial for one in tried],
            y=[one.ndcg for one in tried],
            name=name,
            mode="markers",
            marker={"color": colour, "size": 9},
            hovertext=[
                f"Trial {one.trial}: {figure(one.ndcg)}<br>rank {one.rank}, {one.iterations} iterations, "
                f"alpha {figure(one.alpha)}, regularization {figure(one.regularization)}"
                for one in tried
            ],
            hoverinfo="text",
        )
    chart.add_scatter(
        x=[0, max(one.trial for one in tuned.trials)],
        y=[tuned.given_ndcg] * 2,
        name="parameters given",
        mode="lines",
        line={"color": GREY, "dash": "dot"},
        hovertext=[f"Parameters given: {figure(tuned.given_ndcg)}"] * 2,
        hoverinfo="text",
    )
    return chart.update_layout(showlegend=True, legend=LEGEND)
