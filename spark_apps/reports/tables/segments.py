"""Tables of segments and RFM groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spark_apps.reports.data import Cluster, CurvePoint, Profile, SegmentAffinities
from spark_apps.reports.formats import decimal, share, whole
from spark_apps.reports.tables.table import shades, table

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


def segments_table(clusters: Sequence[Cluster]) -> str:
    """Writes each segment's users and means, one segment a column.

    Args:
        clusters: the segments.

    Returns:
        HTML; in each row of means, the higher the mean the deeper its tint.
    """
    total = sum(cluster["users"] for cluster in clusters)
    means: list[dict[str, float | None]] = [dict(cluster["means"]) for cluster in clusters]  # type: ignore[arg-type]
    rows = [
        ("Users (count)", *(whole(cluster["users"]) for cluster in clusters)),
        ("Share of users", *(share(cluster["users"], total) for cluster in clusters)),
        *((head, *(decimal(mean[key], digits) for mean in means)) for key, (head, digits) in _MEANS.items()),
    ]
    untinted = [0.0] * len(clusters)
    tints = [untinted, untinted, *(shades([mean[key] for mean in means]) for key in _MEANS)]
    heads = ("Figure", *(cluster["name"] for cluster in clusters))
    return table("Means of each segment; deeper tint = higher within the row", heads, rows, shades=tints)


def curve_table(curve: Sequence[CurvePoint], chosen: int, caption: str = "Fit by number of segments") -> str:
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
            f"{point['k']}, in use" if point["k"] == chosen else str(point["k"]),
            decimal(point["silhouette"], 4),
            decimal(point["cost"], 1),
        )
        for point in curve
    ]
    heads = ("Segments (k)", "Silhouette (-1 to 1)", "Cost (sum of squared distances)")
    return table(caption, heads, rows)


def cross_table(crossed: Mapping[str, Mapping[str, int]]) -> str:
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
    return table(caption, heads, rows, shades=[*tints, [0.0] * (len(names) + 1)])


def profiles_table(profiles: Sequence[Profile]) -> str:
    """Writes each segment's part in users and spend, and the median of each feature, one segment a column.

    Args:
        profiles: the segments.

    Returns:
        HTML; within each row of medians, the higher the deeper the tint.
    """
    units = {name: found["unit"] for profile in profiles for name, found in profile["features"].items()}
    medians = {name: [_median(profile, name) for profile in profiles] for name in units}
    rows = [
        ("Users (count)", *(whole(profile["users"]) for profile in profiles)),
        ("Share of users", *(share(profile["share"], 1) for profile in profiles)),
        ("Spend (currency of the log)", *(decimal(profile["revenue"]) for profile in profiles)),
        ("Share of spend", *(share(profile["revenue_share"], 1) for profile in profiles)),
        *((_median_of(name, units[name]), *(decimal(value) for value in values)) for name, values in medians.items()),
    ]
    untinted = [0.0] * len(profiles)
    heads = ("Figure", *(profile["segment"] for profile in profiles))
    caption = "Profile of each segment; deeper tint = higher within the row"
    return table(caption, heads, rows, shades=[*[untinted] * 4, *map(shades, medians.values())])


def likings_table(affinities: Sequence[SegmentAffinities]) -> str:
    """Writes the categories and brands that each segment likes more than all users do.

    Args:
        affinities: of each segment, highest lift first.

    Returns:
        HTML.
    """
    rows = [
        (
            found["segment"],
            kind,
            liking["value"],
            share(liking["share"], 1),
            decimal(liking["lift"]),
            whole(liking["users"]),
        )
        for found in affinities
        for kind, likings in (("category", found["categories"]), ("brand", found["brands"]))
        for liking in likings
    ]
    heads = ("Segment", "Kind", "Likes", "Share of its interest", "Lift over all users", "Users (count)")
    return table("What each segment likes more than all users do", heads, rows, text_columns=(1, 2))


def _median(profile: Profile, name: str) -> float | None:
    found = profile["features"].get(name)
    return found["median"] if found else None


def _median_of(name: str, unit: str) -> str:
    return f"Median {name.replace('_', ' ')} ({unit})"


def _total(counts: Mapping[str, Sequence[int]]) -> int:
    return sum(map(sum, counts.values()))
