"""Who the users are: segments, RFM groups, how both meet, how sure they are (SPEC G1-G4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
from markupsafe import Markup

from spark_apps.reports.data import ReportData
from spark_apps.reports.figures import LEGEND, NAMED_AXIS, ORANGE, PURPLE, counted_bars, empty_figure, label, named_bars
from spark_apps.reports.formats import counted, decimal, figure, known, largest_first, share, whole
from spark_apps.reports.html_table import counts_table, html_table, shades
from spark_apps.reports.layout import Chart, Section, facts, folded, heading, not_yet, paragraph
from spark_apps.segmentation.affinities import SegmentAffinities
from spark_apps.segmentation.curve import CurvePoint
from spark_apps.segmentation.description import Segments
from spark_apps.segmentation.profiles import Cluster, Profile

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


def chapter(data: ReportData) -> Section:
    """Lays out the chapter.

    Args:
        data: what the report shows.
    """
    segments = data.segments
    if segments is None:
        return Section("segments", "Segments", (not_yet("segments of users", "segment"),))
    parts: list[Chart | str] = [paragraph(segment_sentences(segments)), facts(_facts(segments)), *_sizes(segments)]
    parts += [*_what_they_are_like(segments), *_how_sure(segments)]
    return Section("segments", "Segments", tuple(parts))


def segment_sentences(segments: Segments) -> list[str]:
    """Says how many segments there are, which is the largest, and which spends most.

    Args:
        segments: the clustering.

    Returns:
        Up to three sentences.
    """
    clusters = segments.clusters
    if not clusters:
        return []
    largest = min(clusters, key=lambda cluster: (-cluster.users, cluster.cluster))
    total = sum(cluster.users for cluster in clusters)
    sentences = [
        f"{counted(total, 'user')} fall into {counted(len(clusters), 'segment')}; the largest is "
        f"{largest.name} with {counted(largest.users, 'user')} ({share(largest.users, total)})."
    ]
    spenders = [profile for profile in segments.profiles if profile.revenue > 0]
    if spenders:
        most = min(spenders, key=lambda profile: (-profile.revenue, profile.segment))
        sentences.append(
            f"{share(most.revenue_share, 1)} of what was spent comes from {most.segment}, "
            f"{share(most.share, 1)} of the users."
        )
    if segments.rfm:
        name, users = largest_first(segments.rfm)[0]
        part = share(users, sum(segments.rfm.values()))
        sentences.append(f"The largest RFM group is {name} with {counted(users, 'user')} ({part}).")
    return sentences


def stability_sentences(segments: Segments) -> list[str]:
    """Says how far the same segments come out again.

    Args:
        segments: the clustering.

    Returns:
        One sentence, or none where it was not measured.
    """
    found = segments.stability
    if not found:
        return []
    seeds, samples = found.other_seed, found.bootstrap
    return [
        f"Clustered anew {counted(found.repeats, 'time')} on {counted(found.users, 'sampled user')}, the groups "
        f"agree with these segments by an adjusted Rand index of {decimal(seeds.mean)} under other seeds (lowest "
        f"{decimal(seeds.lowest)}) and {decimal(samples.mean)} on bootstrap samples (lowest "
        f"{decimal(samples.lowest)}); 1 means the same groups, 0 no more alike than by chance."
    ]


def _facts(segments: Segments) -> dict[str, str]:
    return {
        "Segments (k)": whole(segments.k),
        "Silhouette (-1 to 1)": decimal(segments.silhouette, 4),
        "Cost (sum of squared distances)": decimal(segments.cost, 1),
        "Passes over all users": whole(segments.iterations) + ("" if segments.converged else ", cut short"),
        "Seed": str(segments.seed),
    }


def _sizes(segments: Segments) -> list[Chart | str]:
    parts: list[Chart | str] = []
    sizes = {cluster.name: cluster.users for cluster in segments.clusters}
    if sizes:
        table = counts_table("Users by segment", "Segment", "Users", sizes, sum(sizes.values()))
        parts.append(Chart("chart-users-by-segment", users_by_segment(segments.clusters), table))
    if segments.rfm:
        users = sum(segments.rfm.values())
        table = counts_table("Users by RFM group", "RFM group", "Users", segments.rfm, users)
        parts.append(Chart("chart-rfm", users_by_rfm(segments.rfm), table))
    profiles = segments.profiles
    if profiles and any(profile.revenue > 0 for profile in profiles):
        table = profiles_table(profiles)
        parts.append(Chart("chart-revenue-by-segment", revenue_by_segment(profiles), table))
    behaviours = segments.behaviours
    if behaviours:
        table = counts_table("Users by behaviour", "Behaviour", "Users", behaviours, sum(behaviours.values()))
        parts.append(Chart("chart-behaviours", users_by_behaviour(behaviours), table))
    return parts


def _what_they_are_like(segments: Segments) -> list[Chart | str]:
    parts: list[Chart | str] = []
    if segments.clusters:
        parts.append(segments_table(segments.clusters))
    crossed = segments.cross_table
    if crossed and any(any(users.values()) for users in crossed.values()):
        parts.append(cross_table(crossed))
    affinities = segments.affinities
    if affinities and any(found.categories or found.brands for found in affinities):
        parts.append(folded("Table: categories and brands that each segment likes", likings_table(affinities)))
    return [heading("What they are like"), *parts] if parts else []


def _how_sure(segments: Segments) -> list[Chart | str]:
    parts: list[Chart | str] = []
    if any(known(point.silhouette) is not None for point in segments.curve):
        table = curve_table(segments.curve, segments.k)
        parts.append(Chart("chart-silhouette", silhouette_curve(segments.curve, segments.k), table))
        table = curve_table(segments.curve, segments.k, "Cost and silhouette by number of segments")
        parts.append(Chart("chart-cost", cost_curve(segments.curve, segments.k), table))
    elif segments.curve:
        parts.append(curve_table(segments.curve, segments.k))
    stable = paragraph(stability_sentences(segments))
    return [heading("How sure they are"), *([stable] if stable else []), *parts] if parts or stable else []


def users_by_segment(clusters: Sequence[Cluster]) -> go.Figure:
    """Draws the users of each segment (SPEC G3).

    Args:
        clusters: the segments.

    Returns:
        A bar chart, largest segment on top.
    """
    chart = empty_figure("Users by segment", "Users (count)", "Segment")
    total = sum(cluster.users for cluster in clusters)
    ordered = sorted(clusters, key=lambda cluster: (-cluster.users, cluster.cluster))
    names = [f"{label(c.name)}<br>{whole(c.users)} ({share(c.users, total)})" for c in ordered]
    return named_bars(chart, names, [c.users for c in ordered], hover=names, colours=PURPLE)


def silhouette_curve(curve: Sequence[CurvePoint], chosen: int) -> go.Figure:
    """Draws how well separated k segments are (SPEC G2).

    Args:
        curve: silhouette per k.
        chosen: the k in use.

    Returns:
        A line with the chosen k marked.
    """
    points = [(point.k, point.silhouette) for point in curve]
    return _curve("Silhouette by number of segments", "Silhouette (-1 to 1, higher is better)", points, chosen)


def cost_curve(curve: Sequence[CurvePoint], chosen: int) -> go.Figure:
    """Draws how far users are from the centres of k segments (SPEC G2).

    Args:
        curve: k-means cost per k.
        chosen: the k in use.

    Returns:
        A line with the chosen k marked.
    """
    points = [(point.k, point.cost) for point in curve]
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
    ordered = sorted(profiles, key=lambda profile: (-profile.revenue_share, profile.segment))
    places = list(range(len(ordered)))
    for name, key, colour in (("users", "share", PURPLE), ("spend", "revenue_share", ORANGE)):
        shares = [100 * getattr(profile, key) for profile in ordered]
        hover = [f"{label(p.segment)}: {part:.1f}% of {name}" for p, part in zip(ordered, shares, strict=True)]
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
        f"{label(p.segment)}<br>{share(p.share, 1)} of users<br>{share(p.revenue_share, 1)} of spend" for p in ordered
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


def segments_table(clusters: Sequence[Cluster]) -> Markup:
    """Writes each segment's users and means, one segment a column.

    Args:
        clusters: the segments.

    Returns:
        HTML; in each row of means, the higher the mean the deeper its tint.
    """
    total = sum(cluster.users for cluster in clusters)
    means: list[dict[str, float | None]] = [cluster.means for cluster in clusters]
    rows = [
        ("Users (count)", *(whole(cluster.users) for cluster in clusters)),
        ("Share of users", *(share(cluster.users, total) for cluster in clusters)),
        *((head, *(decimal(mean[key], digits) for mean in means)) for key, (head, digits) in _MEANS.items()),
    ]
    untinted = [0.0] * len(clusters)
    tints = [untinted, untinted, *(shades([mean[key] for mean in means]) for key in _MEANS)]
    heads = ("Figure", *(cluster.name for cluster in clusters))
    return html_table("Means of each segment; deeper tint = higher within the row", heads, rows, shades=tints)


def curve_table(curve: Sequence[CurvePoint], chosen: int, caption: str = "Fit by number of segments") -> Markup:
    """Writes silhouette and cost for each number of segments.

    Args:
        curve: silhouette and cost per k.
        chosen: the k in use.
        caption: what the table shows.

    Returns:
        HTML.
    """
    rows = [
        (
            f"{point.k}, in use" if point.k == chosen else str(point.k),
            decimal(point.silhouette, 4),
            decimal(point.cost, 1),
        )
        for point in curve
    ]
    heads = ("Segments (k)", "Silhouette (-1 to 1)", "Cost (sum of squared distances)")
    return html_table(caption, heads, rows)


def cross_table(crossed: Mapping[str, Mapping[str, int]]) -> Markup:
    """Writes the users who share an RFM group and a segment.

    Args:
        crossed: users by RFM group and segment.

    Returns:
        HTML; within each row, the more users the deeper the tint. Groups without users are left out.
    """
    inhabited = {group: users for group, users in crossed.items() if any(users.values())}
    names = list(dict.fromkeys(name for users in inhabited.values() for name in users))
    counts = {group: [users.get(name, 0) for name in names] for group, users in inhabited.items()}
    rows = [(group, *map(whole, users), whole(sum(users))) for group, users in counts.items()]
    rows.append(("All", *(whole(sum(column)) for column in zip(*counts.values(), strict=True)), whole(_total(counts))))
    tints = [[*shades(users), 0.0] for users in counts.values()]
    heads = ("RFM group", *names, "All")
    caption = "Users by RFM group and segment (count); deeper tint = more within the row"
    return html_table(caption, heads, rows, shades=[*tints, [0.0] * (len(names) + 1)])


def profiles_table(profiles: Sequence[Profile]) -> Markup:
    """Writes each segment's part in users and spend, and the median of each feature, one segment a column.

    Args:
        profiles: the segments.

    Returns:
        HTML; within each row of medians, the higher the deeper the tint.
    """
    units = {name: found.unit for profile in profiles for name, found in profile.features.items()}
    medians = {name: [_median(profile, name) for profile in profiles] for name in units}
    rows = [
        ("Users (count)", *(whole(profile.users) for profile in profiles)),
        ("Share of users", *(share(profile.share, 1) for profile in profiles)),
        ("Spend (currency of the log)", *(decimal(profile.revenue) for profile in profiles)),
        ("Share of spend", *(share(profile.revenue_share, 1) for profile in profiles)),
        *((_median_of(name, units[name]), *(decimal(value) for value in values)) for name, values in medians.items()),
    ]
    untinted = [0.0] * len(profiles)
    heads = ("Figure", *(profile.segment for profile in profiles))
    caption = "Profile of each segment; deeper tint = higher within the row"
    return html_table(caption, heads, rows, shades=[*[untinted] * 4, *map(shades, medians.values())])


def likings_table(affinities: Sequence[SegmentAffinities]) -> Markup:
    """Writes the categories and brands that each segment likes more than all users do.

    Args:
        affinities: of each segment, highest lift first.

    Returns:
        HTML.
    """
    rows = [
        (
            found.segment,
            kind,
            liking.value,
            share(liking.share, 1),
            decimal(liking.lift),
            whole(liking.users),
        )
        for found in affinities
        for kind, likings in (("category", found.categories), ("brand", found.brands))
        for liking in likings
    ]
    heads = ("Segment", "Kind", "Likes", "Share of its interest", "Lift over all users", "Users (count)")
    return html_table("What each segment likes more than all users do", heads, rows, text_columns=(1, 2))


def _median(profile: Profile, name: str) -> float | None:
    found = profile.features.get(name)
    return found.median if found else None


def _median_of(name: str, unit: str) -> str:
    return f"Median {name.replace('_', ' ')} ({unit})"


def _total(counts: Mapping[str, Sequence[int]]) -> int:
    return sum(map(sum, counts.values()))
