"""Names for clusters, by ordered rules on their means (SPEC G3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from spark_apps.settings import SegmentThresholds

Means = Mapping[str, float]
Rule = tuple[str, Callable[[Means, SegmentThresholds], bool]]

# The first rule that holds names the cluster.
RULES: tuple[Rule, ...] = (
    (
        "VIP_Customers",
        lambda means, t: (
            means["monetary"] > t.vip_monetary
            and means["frequency"] > t.vip_frequency
            and means["recency"] < t.vip_recency
        ),
    ),
    (
        "Loyal_Customers",
        lambda means, t: means["frequency"] > t.loyal_frequency and means["recency"] < t.loyal_recency,
    ),
    (
        "Active_Buyers",
        lambda means, t: means["recency"] < t.active_recency and means["conversion_rate"] > t.active_conversion,
    ),
    (
        "Dormant_Users",
        lambda means, t: means["recency"] > t.dormant_recency and means["frequency"] < t.dormant_frequency,
    ),
)
OTHERWISE = "Casual_Browsers"
NAMES = (*(name for name, _ in RULES), OTHERWISE)


def name_of(means: Means, thresholds: SegmentThresholds) -> str:
    """Returns the first matching rule's name for a cluster's means."""
    return next((name for name, holds in RULES if holds(means, thresholds)), OTHERWISE)


def rule_of(name: str) -> str:
    """Returns the rule behind a name that `name_clusters` gave: Casual_Browsers for Casual_Browsers_2."""
    return next(rule for rule in NAMES if name == rule or name.startswith(f"{rule}_"))


def name_clusters(clusters: Sequence[Means], thresholds: SegmentThresholds) -> list[str]:
    """Names every cluster; of those that match the same rule, all but the one that spends most get a number.

    Args:
        clusters: each cluster's means of the clustering features, at its index.
        thresholds: the rules' thresholds.

    Returns:
        Distinct names, in the clusters' order: Casual_Browsers, Casual_Browsers_2, ...
    """
    names = [name_of(means, thresholds) for means in clusters]
    by_spending = sorted(range(len(clusters)), key=lambda i: (-clusters[i]["monetary"], i))
    seen: dict[str, int] = {}
    distinct = list(names)
    for index in by_spending:
        name = names[index]
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:
            distinct[index] = f"{name}_{seen[name]}"
    return distinct
