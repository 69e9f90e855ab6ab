"""Who the users are: segments, RFM groups, how both meet, how sure they are (SPEC G1-G4)."""

from __future__ import annotations

from spark_apps.reports.charts import segments as charts
from spark_apps.reports.data import ReportData, Segments
from spark_apps.reports.formats import counted, decimal, known, largest_first, share, whole
from spark_apps.reports.layout import Chart, Section, facts, folded, heading, not_yet, paragraph
from spark_apps.reports.tables import segments as tables
from spark_apps.reports.tables.table import counts_table


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
    clusters = segments["clusters"]
    if not clusters:
        return []
    largest = min(clusters, key=lambda cluster: (-cluster["users"], cluster["cluster"]))
    total = sum(cluster["users"] for cluster in clusters)
    sentences = [
        f"{counted(total, 'user')} fall into {counted(len(clusters), 'segment')}; the largest is "
        f"{largest['name']} with {counted(largest['users'], 'user')} ({share(largest['users'], total)})."
    ]
    spenders = [profile for profile in segments.get("profiles", ()) if profile["revenue"] > 0]
    if spenders:
        most = min(spenders, key=lambda profile: (-profile["revenue"], profile["segment"]))
        sentences.append(
            f"{share(most['revenue_share'], 1)} of what was spent comes from {most['segment']}, "
            f"{share(most['share'], 1)} of the users."
        )
    if segments["rfm"]:
        name, users = largest_first(segments["rfm"])[0]
        part = share(users, sum(segments["rfm"].values()))
        sentences.append(f"The largest RFM group is {name} with {counted(users, 'user')} ({part}).")
    return sentences


def stability_sentences(segments: Segments) -> list[str]:
    """Says how far the same segments come out again.

    Args:
        segments: the clustering.

    Returns:
        One sentence, or none where it was not measured.
    """
    found = segments.get("stability")
    if not found:
        return []
    seeds, samples = found["other_seed"], found["bootstrap"]
    return [
        f"Clustered anew {counted(found['repeats'], 'time')} on {counted(found['users'], 'sampled user')}, the groups "
        f"agree with these segments by an adjusted Rand index of {decimal(seeds['mean'])} under other seeds (lowest "
        f"{decimal(seeds['lowest'])}) and {decimal(samples['mean'])} on bootstrap samples (lowest "
        f"{decimal(samples['lowest'])}); 1 means the same groups, 0 no more alike than by chance."
    ]


def _facts(segments: Segments) -> dict[str, str]:
    return {
        "Segments (k)": whole(segments["k"]),
        "Silhouette (-1 to 1)": decimal(segments["silhouette"], 4),
        "Cost (sum of squared distances)": decimal(segments["cost"], 1),
        "Passes over all users": whole(segments["iterations"])
        + ("" if segments.get("converged", True) else ", cut short"),
        "Seed": str(segments["seed"]),
    }


def _sizes(segments: Segments) -> list[Chart | str]:
    parts: list[Chart | str] = []
    sizes = {cluster["name"]: cluster["users"] for cluster in segments["clusters"]}
    if sizes:
        table = counts_table("Users by segment", "Segment", "Users", sizes, sum(sizes.values()))
        parts.append(Chart("chart-users-by-segment", charts.users_by_segment(segments["clusters"]), table))
    if segments["rfm"]:
        users = sum(segments["rfm"].values())
        table = counts_table("Users by RFM group", "RFM group", "Users", segments["rfm"], users)
        parts.append(Chart("chart-rfm", charts.users_by_rfm(segments["rfm"]), table))
    profiles = segments.get("profiles")
    if profiles and any(profile["revenue"] > 0 for profile in profiles):
        table = tables.profiles_table(profiles)
        parts.append(Chart("chart-revenue-by-segment", charts.revenue_by_segment(profiles), table))
    behaviours = segments.get("behaviours")
    if behaviours:
        table = counts_table("Users by behaviour", "Behaviour", "Users", behaviours, sum(behaviours.values()))
        parts.append(Chart("chart-behaviours", charts.users_by_behaviour(behaviours), table))
    return parts


def _what_they_are_like(segments: Segments) -> list[Chart | str]:
    parts: list[Chart | str] = []
    if segments["clusters"]:
        parts.append(tables.segments_table(segments["clusters"]))
    crossed = segments.get("cross_table")
    if crossed and any(any(users.values()) for users in crossed.values()):
        parts.append(tables.cross_table(crossed))
    affinities = segments.get("affinities")
    if affinities and any(found["categories"] or found["brands"] for found in affinities):
        parts.append(folded("Table: categories and brands that each segment likes", tables.likings_table(affinities)))
    return [heading("What they are like"), *parts] if parts else []


def _how_sure(segments: Segments) -> list[Chart | str]:
    parts: list[Chart | str] = []
    if any(known(point["silhouette"]) is not None for point in segments["curve"]):
        table = tables.curve_table(segments["curve"], segments["k"])
        parts.append(Chart("chart-silhouette", charts.silhouette_curve(segments["curve"], segments["k"]), table))
        table = tables.curve_table(segments["curve"], segments["k"], "Cost and silhouette by number of segments")
        parts.append(Chart("chart-cost", charts.cost_curve(segments["curve"], segments["k"]), table))
    elif segments["curve"]:
        parts.append(tables.curve_table(segments["curve"], segments["k"]))
    stable = paragraph(stability_sentences(segments))
    return [heading("How sure they are"), *([stable] if stable else []), *parts] if parts or stable else []
