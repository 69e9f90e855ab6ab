"""The same input gives the same tables in the cluster as on one machine."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from spark_apps.tables import (
    EVENTS,
    INTERACTIONS,
    PRODUCT_FEATURES,
    QUARANTINE,
    RECOMMENDATIONS,
    USER_FEATURES,
    USER_SEGMENTS,
    Table,
)
from tests.cluster.conftest import RunningCluster, local_rows
from tests.comparing import assert_rows

EXACT = {
    EVENTS: ("event_time", "user_id", "product_id", "event_type", "user_session", "price"),
    QUARANTINE: ("raw_line",),
    USER_FEATURES: ("user_id",),
    PRODUCT_FEATURES: ("product_id",),
    INTERACTIONS: ("user_id", "product_id"),
}


@pytest.mark.parametrize("table", EXACT, ids=lambda table: table.name)
def test_exact_tables_are_equal(trained: RunningCluster, local_root: Path, table: Table) -> None:
    found, expected = trained.rows(table, *EXACT[table]), local_rows(local_root, table, *EXACT[table])
    for row in (*found, *expected):
        row |= {name: value.isoformat() for name, value in row.items() if isinstance(value, date)}
    assert_rows(found, expected, rel=1e-9)


def test_segments_and_lists_are_those_of_one_machine(trained: RunningCluster, local_root: Path) -> None:
    order = ("user_id", "rank")
    found, expected = trained.rows(USER_SEGMENTS, "user_id"), local_rows(local_root, USER_SEGMENTS, "user_id")
    assert_rows(found, expected)
    found, expected = trained.rows(RECOMMENDATIONS, *order), local_rows(local_root, RECOMMENDATIONS, *order)
    assert [row["user_id"] for row in found] == [row["user_id"] for row in expected]
    same = sum(a["product_id"] == b["product_id"] for a, b in zip(found, expected, strict=True))
    # factors of equal products differ in their last digits with the order of sums: ties may fall either way
    assert same >= 0.98 * len(expected)


def test_a_run_is_in_the_history(trained: RunningCluster) -> None:
    listed = trained.run_in("client", "python", "-c", _HISTORY)
    assert "shopstream train" in listed and "shopstream clean" in listed


_HISTORY = """
import json, time, urllib.request
for _ in range(60):
    url = "http://history-server:18080/api/v1/applications?status=completed"
    names = {a["name"] for a in json.load(urllib.request.urlopen(url))}
    if "shopstream train" in names:
        break
    time.sleep(1)
print(*sorted(names), sep="\\n")
"""


def test_recommendations_answer_from_the_cluster(trained: RunningCluster) -> None:
    user = trained.rows(RECOMMENDATIONS, "user_id", "rank")[0]["user_id"]
    listed = trained.shopstream("submit", "recommend", "--user", str(user), "--json")
    assert len(json.loads(listed)) == 10


def test_the_layout_is_as_it_should_be(trained: RunningCluster) -> None:
    trained.shopstream("submit", "hdfs", "check")
