"""Logs in which something is altogether missing."""

from __future__ import annotations

import json
from pathlib import Path

from spark_apps.analysis.behaviour import describe_behaviour
from tests.analysis.behaviours import behaviour, counts_of, visit

NOTHING = {"viewed": 0, "carted": 0, "purchased": 0, "purchased_without_cart": 0} | dict.fromkeys(
    ("view_to_cart", "cart_to_purchase", "view_to_purchase")
)
NOBODY = {"users": 0, "mean": None, "median": None, "p90": None, "max": None, "distribution": {}}


def test_no_sessions_at_all(tmp_path: Path) -> None:
    found = behaviour(tmp_path, visit(1, None, "view", "cart"), visit(2, None, "view", "purchase"))
    assert found["funnel"]["sessions"] == NOTHING
    assert found["funnel"]["users"]["viewed"] == 2
    assert found["cart_abandonment"]["sessions"] == {"with_cart": 0, "without_purchase": 0, "rate": None}
    assert found["visit_frequency"]["sessions_per_user"] == NOBODY
    assert found["visit_frequency"]["days_per_user"]["users"] == 2
    assert found["sequences"] == {"sessions": 0, "distinct": 0, "top": [], "to_purchase": []}
    assert found["affinities"]["viewed_products"]["baskets"] == 0
    assert found["affinities"]["bought_products"]["baskets"] == 1


def test_no_purchases(tmp_path: Path) -> None:
    found = behaviour(tmp_path, visit(1, "a", "view", "cart", "view 2"))
    assert found["funnel"]["users"]["view_to_purchase"] == found["funnel"]["users"]["cart_to_purchase"] == 0.0
    assert found["cart_abandonment"]["users"]["rate"] == 1.0
    assert found["sequences"]["to_purchase"] == found["top"]["products"]["by_purchases"] == []
    assert [row["product_id"] for row in found["top"]["products"]["by_views"]] == [1, 2]


def test_no_views(tmp_path: Path) -> None:
    found = behaviour(tmp_path, visit(1, "a", "purchase"))
    assert found["funnel"]["users"] == NOTHING
    assert found["cart_abandonment"]["users"]["rate"] is None
    assert found["top"]["products"]["by_views"] == []


def test_one_category_level_and_no_brands(tmp_path: Path) -> None:
    events = [
        {"user_id": user, "user_session": f"s{user}", "brand": None, "category_code": code, "product_id": place}
        for user in range(8)
        for place, code in enumerate(("shoes", "socks") if user < 6 else ("shirts",))
    ]
    found = describe_behaviour(counts_of(tmp_path, events)).figures()
    assert found["top"]["brands"] == {"by_views": [], "by_purchases": []}
    [rule] = found["affinities"]["viewed_categories"]["rules"]
    assert (rule["a"], rule["b"]) == ({"category_code": "shoes"}, {"category_code": "socks"})


def test_ids_beyond_32_bits_and_times_before_1970(tmp_path: Path) -> None:
    events = [
        {"user_id": 2**62 + user, "product_id": 2**62, "event_time": f"1969-12-{30 + user} 23:59:59"} for user in (0, 1)
    ]
    found = describe_behaviour(counts_of(tmp_path, events)).figures()
    assert found["funnel"]["users"]["viewed"] == found["visit_frequency"]["days_per_user"]["users"] == 2
    assert found["visit_frequency"]["days_per_user"]["max"] == 1
    assert found["top"]["products"]["by_views"][0]["product_id"] == 2**62


def test_no_events(tmp_path: Path) -> None:
    found = describe_behaviour(counts_of(tmp_path, [])).figures()
    assert set(found["funnel"]) == {"users", "sessions", "pairs"}
    assert all(steps == NOTHING for steps in found["funnel"].values())
    assert found["visit_frequency"] == {"sessions_per_user": NOBODY, "days_per_user": NOBODY}
    assert all(affinity["rules"] == [] and affinity["baskets"] == 0 for affinity in found["affinities"].values())
    assert all(rows == [] for lists in found["top"].values() for rows in lists.values())
    assert json.loads(json.dumps(found)) == found
