"""Profiles and cross tables, from small counts."""

from __future__ import annotations

import numpy as np
import pytest

from spark_apps.segmentation.behaviour import LABELS
from spark_apps.segmentation.distributions import Distribution, Distributions
from spark_apps.segmentation.inputs import FEATURES, UNITS
from spark_apps.segmentation.profiles import (
    Crossed,
    behaviour_counts,
    cross_table,
    named_clusters,
    profiles,
    rfm_counts,
)
from spark_apps.segmentation.rfm import NAMES
from spark_apps.settings import SegmentThresholds

CROSSED = [
    Crossed("Lost", "B", "Past Visitor", 5),
    Crossed("Lost", "A", "Past Customer", 2),
    Crossed("Champions", "A", "Regular Customer", 3),
    Crossed("At Risk", "A", "Customer At Risk", 3),
]


def spread(*values: float) -> Distribution:
    distinct, users = np.unique(np.array(values), return_counts=True)
    return Distribution(distinct, distinct, users, float(sum(values)))


def cluster(*spent: float) -> dict[str, Distribution]:
    return {name: spread(*spent) if name == "monetary" else spread(*([2.0] * len(spent))) for name in FEATURES}


def test_a_profile_holds_size_revenue_means_and_medians_with_units() -> None:
    found: Distributions = {2: cluster(0.0, 0.0, 30.0), 0: cluster(70.0)}
    one, other = profiles(found, {0: "Buyers", 1: "Nobody", 2: "Others"})
    assert (one.segment, one.users, one.share, one.revenue, one.revenue_share) == (
        "Buyers",
        1,
        0.25,
        70.0,
        0.7,
    )
    assert (other.segment, other.share, other.revenue_share) == ("Others", 0.75, 0.3)
    assert list(other.features) == list(FEATURES)
    assert other.features["monetary"].figures() == {"unit": "currency of the log", "mean": 10.0, "median": 0.0}
    assert other.features["recency"].figures() == {"unit": "days", "mean": 2.0, "median": 2.0}


def test_a_cluster_without_users_is_named_by_its_centre() -> None:
    idle, vip = (dict.fromkeys(FEATURES, value) for value in (1.0, 20.0))
    vip |= {"monetary": 900.0}
    named = named_clusters([idle, vip, idle], {0: cluster(0.0, 4.0), 2: cluster(1.0)}, SegmentThresholds())
    assert [(one.cluster, one.name, one.users) for one in named] == [
        (0, "Active_Buyers", 2),
        (1, "VIP_Customers", 0),
        (2, "Active_Buyers_2", 1),
    ]
    assert named[0].means["monetary"] == 2.0 and named[1].means == vip


def test_every_feature_has_a_unit() -> None:
    assert all(UNITS[name].strip() for name in FEATURES)


def test_without_revenue_nobody_has_a_share_of_it() -> None:
    assert [one.revenue_share for one in profiles({0: cluster(0.0), 1: cluster(0.0)}, {0: "A", 1: "B"})] == [
        0.0,
        0.0,
    ]


def test_counts_put_the_largest_first_and_equal_ones_in_the_order_of_the_rules() -> None:
    assert list(rfm_counts(CROSSED).items()) == [("Lost", 7), ("Champions", 3), ("At Risk", 3)]
    assert list(behaviour_counts(CROSSED).items()) == [
        ("Past Visitor", 5),
        ("Regular Customer", 3),
        ("Customer At Risk", 3),
        ("Past Customer", 2),
    ]
    assert set(behaviour_counts(CROSSED)) <= set(LABELS)


def test_the_cross_table_has_every_field() -> None:
    table = cross_table(CROSSED, ["B", "A", "Empty"])
    assert list(table) == list(NAMES)
    assert all(list(row) == ["B", "A", "Empty"] for row in table.values())
    assert table["Lost"] == {"B": 5, "A": 2, "Empty": 0}
    assert sum(users for row in table.values() for users in row.values()) == sum(row.users for row in CROSSED)


@pytest.mark.parametrize("count", [rfm_counts, behaviour_counts])
def test_no_users_make_no_counts(count: object) -> None:
    assert count([]) == {}  # type: ignore[operator]
