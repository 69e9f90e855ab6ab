"""Charts of segments and RFM groups (SPEC G1-G4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from spark_apps.reports.data import Cluster, CurvePoint, Profile
from spark_apps.reports.figures import LEGEND, NAMED_AXIS, ORANGE, PURPLE, counted_bars, empty_figure, label, named_bars
from spark_apps.reports.formats import figure, known, share, whole


def users_by_segment(clusters: Sequence[Cluster]) -> go.Figure:
    """Draws the users of each segment (SPEC G3).

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
    """Draws how well separated k segments are (SPEC G2).

    Args:
        curve: silhouette per k.
        chosen: the k in use.

    Returns:
        A line with the chosen k marked.
    """
    points = [(point["k"], point["silhouette"]) for point in curve]
    return _curve("Silhouette by number of segments", "Silhouette (-1 to 1, higher is better)", points, chosen)


def cost_curve(curve: Sequence[CurvePoint], chosen: int) -> go.Figure:
    """Draws how far users are from the centres of k segments (SPEC G2).

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
    """Draws the users of each RFM group (SPEC G1).

    Args:
        rfm: users per RFM name.

    Returns:
        A bar chart, largest group on top.
    """
    chart = empty_figure("Users by RFM group", "Users (count)", "RFM group")
    return counted_bars(chart, rfm, sum(rfm.values()), colours=PURPLE)


def users_by_behaviour(behaviours: Mapping[str, int]) -> go.Figure:
    """Draws the users of each behaviour that segment and RFM group say together (SPEC G4).

    Args:
        behaviours: users per behaviour.

    Returns:
        A bar chart, most frequent behaviour on top.
    """
    chart = empty_figure("Users by behaviour", "Users (count)", "Behaviour")
    return counted_bars(chart, behaviours, sum(behaviours.values()), colours=PURPLE)


def revenue_by_segment(profiles: Sequence[Profile]) -> go.Figure:
    """Draws each segment's part in what was spent beside its part in the users (SPEC G4).

    Args:
        profiles: the segments.

    Returns:
        Two bars for each segment, the segment that spends most on top.
    """
    title = "Share of users and of spend by segment"
    chart = empty_figure(title, "Share of the total (%)", "Segment")
    ordered = sorted(profiles, key=lambda profile: (-profile["revenue_share"], profile["segment"]))
    places = list(range(len(ordered)))
    for name, key, colour in (("users", "share", PURPLE), ("spend", "revenue_share", ORANGE)):
        shares = [100 * float(profile[key]) for profile in ordered]  # type: ignore[literal-required]
        hover = [f"{label(p['segment'])}: {part:.1f}% of {name}" for p, part in zip(ordered, shares, strict=True)]
        chart.add_bar(
            x=shares,
            y=places,
            orientation="h",
            name=name,
            marker={"color": colour},
            hovertext=hover,
            hoverinfo="text",
        )
    names = [
        f"{label(p['segment'])}<br>{share(p['share'], 1)} of users<br>{share(p['revenue_share'], 1)} of spend"
        for p in ordered
    ]
    chart.update_yaxes(tickmode="array", tickvals=places, ticktext=names, range=[len(names) - 0.5, -0.5])
    chart.update_yaxes(**NAMED_AXIS)
    chart.update_xaxes(rangemode="tozero", nticks=5, tickangle=0)
    return chart.update_layout(barmode="group", showlegend=True, legend=LEGEND, height=120 + 62 * len(names))


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
