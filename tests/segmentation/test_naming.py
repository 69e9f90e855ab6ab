"""Names of clusters: each rule at its edges, and no name twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_apps.segmentation.naming import OTHERWISE, RULES, name_clusters, name_of
from spark_apps.settings import SegmentThresholds

THRESHOLDS = SegmentThresholds()
# one step inside every rule of each name, and outside the rules before it
VIP = {"monetary": 500.01, "frequency": 10.01, "recency": 29.99, "conversion_rate": 0.0}
LOYAL = {"monetary": 0.0, "frequency": 5.01, "recency": 59.99, "conversion_rate": 0.0}
BUYER = {"monetary": 0.0, "frequency": 1.0, "recency": 29.99, "conversion_rate": 0.11}
DORMANT = {"monetary": 0.0, "frequency": 2.99, "recency": 60.01, "conversion_rate": 0.0}
BROWSER = {"monetary": 0.0, "frequency": 1.0, "recency": 10.0, "conversion_rate": 0.05}

means = st.fixed_dictionaries(
    {
        "monetary": st.floats(0, 2000),
        "frequency": st.floats(1, 31),
        "recency": st.floats(0, 90),
        "conversion_rate": st.floats(0, 2),
    }
)


@pytest.mark.parametrize(
    ("cluster", "name"),
    [
        (VIP, "VIP_Customers"),
        (LOYAL, "Loyal_Customers"),
        (BUYER, "Active_Buyers"),
        (DORMANT, "Dormant_Users"),
        (BROWSER, "Casual_Browsers"),
    ],
)
def test_just_inside_its_thresholds_a_cluster_has_the_rule_s_name(cluster: dict[str, float], name: str) -> None:
    assert name_of(cluster, THRESHOLDS) == name


@pytest.mark.parametrize(
    ("cluster", "at_the_edge", "name"),
    [
        (VIP, {"monetary": 500.0}, "Loyal_Customers"),
        (VIP, {"frequency": 10.0}, "Loyal_Customers"),
        (VIP, {"recency": 30.0}, "Loyal_Customers"),
        (LOYAL, {"frequency": 5.0}, "Casual_Browsers"),
        (LOYAL, {"recency": 60.0}, "Casual_Browsers"),
        (BUYER, {"recency": 30.0}, "Casual_Browsers"),
        (BUYER, {"conversion_rate": 0.1}, "Casual_Browsers"),
        (DORMANT, {"recency": 60.0}, "Casual_Browsers"),
        (DORMANT, {"frequency": 3.0}, "Casual_Browsers"),
    ],
)
def test_at_a_threshold_the_rule_does_not_hold(
    cluster: dict[str, float], at_the_edge: dict[str, float], name: str
) -> None:
    assert name_of({**cluster, **at_the_edge}, THRESHOLDS) == name


def test_the_first_rule_that_holds_names_the_cluster() -> None:
    assert name_of({**VIP, "conversion_rate": 0.5}, THRESHOLDS) == "VIP_Customers"
    assert name_of({**LOYAL, "recency": 5.0, "conversion_rate": 0.5}, THRESHOLDS) == "Loyal_Customers"


@pytest.mark.parametrize(
    ("threshold", "cluster"),
    [
        ("vip_monetary", {**VIP, "monetary": 700.0}),
        ("vip_frequency", {**VIP, "frequency": 20.0}),
        ("loyal_frequency", {**LOYAL, "frequency": 9.0}),
        ("active_conversion", {**BUYER, "conversion_rate": 0.3}),
        ("dormant_recency", {**DORMANT, "recency": 70.0}),
    ],
)
def test_every_threshold_can_be_set(threshold: str, cluster: dict[str, float]) -> None:
    moved = SegmentThresholds(**{threshold: 1e6})
    assert name_of(cluster, moved) != name_of(cluster, THRESHOLDS)


def test_of_clusters_with_one_name_the_best_customers_keep_it_and_the_others_are_numbered() -> None:
    spending = [10.0, 30.0, 20.0]
    names = name_clusters([{**BROWSER, "monetary": amount} for amount in spending], THRESHOLDS)
    assert names == ["Casual_Browsers_3", "Casual_Browsers", "Casual_Browsers_2"]


def test_clusters_that_spend_the_same_are_numbered_in_their_order() -> None:
    assert name_clusters([DORMANT, BROWSER, DORMANT], THRESHOLDS) == [
        "Dormant_Users",
        "Casual_Browsers",
        "Dormant_Users_2",
    ]


@given(st.lists(means, max_size=12))
def test_two_clusters_never_share_a_name(clusters: list[dict[str, float]]) -> None:
    names = name_clusters(clusters, THRESHOLDS)
    assert len(set(names)) == len(names) == len(clusters)
    known = {name for name, _ in RULES} | {OTHERWISE}
    assert all(any(name == base or name.startswith(f"{base}_") for base in known) for name in names)
    for cluster, name in zip(clusters, names, strict=True):
        assert name.startswith(name_of(cluster, THRESHOLDS))
