"""The chart of what a tuning tried (SPEC R1)."""

from __future__ import annotations

import plotly.graph_objects as go

from spark_apps.reports.data import Tuned
from spark_apps.reports.figures import BLUE, GREY, LEGEND, ORANGE, empty_figure
from spark_apps.reports.formats import figure


def trials(tuned: Tuned) -> go.Figure:
    """Draws the NDCG@10 of every trial, the best one marked, beside that of the parameters that were given.

    Args:
        tuned: what was tried.

    Returns:
        A point for each trial, in the order in which they were made.
    """
    chart = empty_figure("NDCG@10 of every trial", "Trial (number)", "NDCG@10 of the hybrid")
    best = tuned["best"]["trial"]
    for name, colour, tried in (
        ("tried", BLUE, [one for one in tuned["trials"] if one["trial"] != best]),
        ("best, taken", ORANGE, [one for one in tuned["trials"] if one["trial"] == best]),
    ):
        chart.add_scatter(
            x=[one["trial"] for one in tried],
            y=[one["ndcg"] for one in tried],
            name=name,
            mode="markers",
            marker={"color": colour, "size": 9},
            hovertext=[
                f"Trial {one['trial']}: {figure(one['ndcg'])}<br>rank {one['rank']}, {one['iterations']} iterations, "
                f"alpha {figure(one['alpha'])}, regularization {figure(one['regularization'])}"
                for one in tried
            ],
            hoverinfo="text",
        )
    chart.add_scatter(
        x=[0, max(one["trial"] for one in tuned["trials"])],
        y=[tuned["given_ndcg"]] * 2,
        name="parameters given",
        mode="lines",
        line={"color": GREY, "dash": "dot"},
        hovertext=[f"Parameters given: {figure(tuned['given_ndcg'])}"] * 2,
        hoverinfo="text",
    )
    return chart.update_layout(showlegend=True, legend=LEGEND)
