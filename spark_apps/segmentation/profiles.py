"""What each segment is like, and how segments, RFM names and behaviours meet (SPEC G4): figures for the metadata."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import pyarrow as pa

from spark_apps.results import Result
from spark_apps.segmentation.behaviour import LABELS
from spark_apps.segmentation.distributions import Distribution, Distributions
from spark_apps.segmentation.inputs import FEATURES, UNITS
from spark_apps.segmentation.naming import name_clusters
from spark_apps.segmentation.rfm import NAMES
from spark_apps.settings import SegmentThresholds

Counts = dict[str, int]


class Cluster(Result):
    """A cluster's index, its name, its users and the means of its features."""

    cluster: int
    name: str
    users: int
    means: dict[str, float | None]


class FeatureProfile(Result):
    """A feature's mean (exact) and lower median (within 0.1 %) over the users of a segment."""

    unit: str
    mean: float
    median: float


class Profile(Result):
    """A segment with users.

    Shares are of all users and of all they spent, 0 to 1; revenue is in the currency of the log; features are those
    of the clustering, a missing mean price counted as 0.
    """

    segment: str
    users: int
    share: float
    revenue: float
    revenue_share: float
    features: dict[str, FeatureProfile]


class Crossed(NamedTuple):
    """Users who share an RFM name, a segment and a behaviour: at most 11 x k x 2 of them."""

    rfm_segment: str
    segment: str
    behaviour: str
    users: int


CROSSED = pa.schema([*((name, pa.string()) for name in Crossed._fields[:-1]), ("users", pa.int64())])


def named_clusters(
    centres: Sequence[dict[str, float]], distributions: Distributions, thresholds: SegmentThresholds
) -> list[Cluster]:
    """Names every cluster by its users' means; one without users, where a new user may yet come, by its centre.

    Args:
        centres: from `clusters.Clustering.means`.
        distributions: of the clusters with users.
        thresholds: of the rules.
    """
    means = [
        {name: distributions[place][name].mean for name in FEATURES} if place in distributions else centre
        for place, centre in enumerate(centres)
    ]
    users = [distributions[place]["recency"].size if place in distributions else 0 for place in range(len(means))]
    return [
        Cluster(cluster=place, name=name, users=users[place], means=means[place])
        for place, name in enumerate(name_clusters(means, thresholds))
    ]


def profiles(distributions: Distributions, names: Mapping[int, str]) -> list[Profile]:
    """Describes each segment that has users, in the order of the clusters."""
    users = sum(by_feature["monetary"].size for by_feature in distributions.values())
    revenue = sum(by_feature["monetary"].total for by_feature in distributions.values())
    return [
        Profile(
            segment=names[cluster],
            users=spent.size,
            share=spent.size / users,
            revenue=spent.total,
            revenue_share=spent.total / revenue if revenue > 0 else 0.0,
            features={name: _feature_profile(by_feature[name], UNITS[name]) for name in FEATURES},
        )
        for cluster, by_feature in sorted(distributions.items())
        for spent in (by_feature["monetary"],)
    ]


def _feature_profile(distribution: Distribution, unit: str) -> FeatureProfile:
    return FeatureProfile(unit=unit, mean=distribution.mean, median=distribution.median)


def rfm_counts(crossed: Iterable[Crossed]) -> Counts:
    """Returns the users of each RFM name that has any, most first."""
    return _largest_first((row.rfm_segment, row.users) for row in crossed)


def behaviour_counts(crossed: Iterable[Crossed]) -> Counts:
    """Returns the users of each behaviour that has any, most first."""
    return _largest_first((row.behaviour, row.users) for row in crossed)


def cross_table(crossed: Sequence[Crossed], segments: Iterable[str]) -> dict[str, Counts]:
    """Returns users by RFM name (best first) and segment, with every field, 0 where nobody is."""
    table = {name: dict.fromkeys(segments, 0) for name in NAMES}
    for row in crossed:
        table[row.rfm_segment][row.segment] += row.users
    return table


def _largest_first(counts: Iterable[tuple[str, int]]) -> Counts:
    places = {name: place for place, name in enumerate((*NAMES, *LABELS))}
    summed: Counts = {}
    for name, users in counts:
        summed[name] = summed.get(name, 0) + users
    return dict(sorted(summed.items(), key=lambda item: (-item[1], places[item[0]])))
