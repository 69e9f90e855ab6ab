"""Behaviours: every RFM name, cluster and purchase history has a label, and it is that of the tables."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_apps.segmentation import naming, rfm
from spark_apps.segmentation.behaviour import BUYERS, KINDS, LABELS, STAGES, VISITORS, behaviours, label
from spark_apps.settings import SegmentThresholds

means = st.fixed_dictionaries(
    {
        "monetary": st.floats(0, 2000),
        "frequency": st.floats(1, 31),
        "recency": st.floats(0, 90),
        "conversion_rate": st.floats(0, 2),
    }
)


def test_every_rfm_name_is_in_one_stage_and_every_rule_a_column() -> None:
    staged = [name for names in STAGES.values() for name in names]
    assert len(staged) == len(set(staged)) and set(staged) == set(rfm.NAMES)
    assert set(KINDS) == set(naming.NAMES) and len(set(KINDS)) == len(KINDS)


@pytest.mark.parametrize("table", [BUYERS, VISITORS])
def test_both_tables_are_full(table: dict[str, tuple[str, ...]]) -> None:
    assert list(table) == list(STAGES)
    assert {len(row) for row in table.values()} == {len(KINDS)}


def test_no_label_is_for_buyers_and_visitors_both() -> None:
    of_buyers, of_visitors = ({name for row in table.values() for name in row} for table in (BUYERS, VISITORS))
    assert not of_buyers & of_visitors
    assert set(LABELS) == of_buyers | of_visitors
    assert len(LABELS) == 17


@pytest.mark.parametrize(
    ("rfm_segment", "rule", "bought", "expected"),
    [
        ("Champions", "VIP_Customers", True, "High-Value Customer"),
        ("Potential Loyalists", "Casual_Browsers", False, "Window Shopper"),
        ("Cannot Lose Them", "Active_Buyers", True, "Customer At Risk"),
        ("Lost", "Dormant_Users", False, "Dormant Visitor"),
    ],
)
def test_a_label_is_read_off_its_table(rfm_segment: str, rule: str, bought: bool, expected: str) -> None:
    assert label(rfm_segment, rule, bought) == expected


def test_every_user_gets_the_label_of_the_tables() -> None:
    names = (*KINDS, "Casual_Browsers_2", "VIP_Customers_10")
    users = list(product(range(len(rfm.NAMES)), range(len(names)), (False, True)))
    rfm_names, clusters, bought = (np.array(column) for column in zip(*users, strict=True))
    found = behaviours(rfm_names, clusters, bought, names).to_pylist()
    assert found == [label(rfm.NAMES[name], naming.rule_of(names[kind]), of) for name, kind, of in users]


@given(st.lists(means, max_size=12))
def test_the_rule_behind_every_name_is_known(clusters: list[dict[str, float]]) -> None:
    thresholds = SegmentThresholds()
    for cluster, name in zip(clusters, naming.name_clusters(clusters, thresholds), strict=True):
        assert naming.rule_of(name) == naming.name_of(cluster, thresholds)
