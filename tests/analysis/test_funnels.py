"""Funnel, abandonment and frequency, on hand-made events."""

from __future__ import annotations

from pathlib import Path

from spark_apps.analysis.funnels import frequency
from tests.analysis.behaviours import behaviour, visit


def test_the_funnel_of_users_sessions_and_pairs(tmp_path: Path) -> None:
    found = behaviour(
        tmp_path,
        visit(1, "a", "view 1", "cart 1", "purchase 1", "view 2"),
        visit(1, "b", "view 2", "cart 2"),
        visit(2, "c", "view 1", "view 2", "purchase 2"),
        visit(3, "d", "view 1"),
        visit(4, "e", "cart 1", "purchase 1"),
        visit(5, None, "view 1", "cart 1"),
    )
    assert found["funnel"] == {
        "users": {
            "viewed": 4,
            "carted": 2,
            "purchased": 1,
            "purchased_without_cart": 1,
            "view_to_cart": 0.5,
            "cart_to_purchase": 0.5,
            "view_to_purchase": 0.5,
        },
        "sessions": {
            "viewed": 4,
            "carted": 2,
            "purchased": 1,
            "purchased_without_cart": 1,
            "view_to_cart": 0.5,
            "cart_to_purchase": 0.5,
            "view_to_purchase": 0.5,
        },
        "pairs": {
            "viewed": 6,
            "carted": 3,
            "purchased": 1,
            "purchased_without_cart": 1,
            "view_to_cart": 0.5,
            "cart_to_purchase": 1 / 3,
            "view_to_purchase": 1 / 3,
        },
    }
    assert found["cart_abandonment"] == {
        "users": {"with_cart": 3, "without_purchase": 1, "rate": 1 / 3},
        "sessions": {"with_cart": 3, "without_purchase": 1, "rate": 1 / 3},
        "pairs": {"with_cart": 4, "without_purchase": 2, "rate": 0.5},
    }


def test_a_session_that_two_users_share_is_a_visit_of_each(tmp_path: Path) -> None:
    found = behaviour(tmp_path, visit(1, "a", "view", "cart"), visit(2, "a", "view", "purchase"))
    assert found["funnel"]["sessions"]["viewed"] == 2
    assert found["funnel"]["sessions"]["purchased"] == 0
    assert found["sequences"]["sessions"] == 2


def test_how_often_users_come(tmp_path: Path) -> None:
    found = behaviour(
        tmp_path,
        visit(1, "a", "view"),
        visit(1, "b", "view", minute=5),
        [{**row, "event_time": "2019-10-03 12:00:00"} for row in visit(1, "c", "view")],
        visit(2, "d", "view", "view"),
        [{**row, "event_time": "2019-10-02 12:00:00"} for row in visit(3, None, "view")],
    )
    empty = {"2": 0, "3": 0, "4": 0, "5": 0, "6-10": 0, "11-20": 0, "21-50": 0, "51+": 0}
    assert found["visit_frequency"] == {
        "sessions_per_user": {
            "users": 2,
            "mean": 2.0,
            "median": 2.0,
            "p90": 2.8,
            "max": 3,
            "distribution": {"1": 1, **empty, "3": 1},
        },
        "days_per_user": {
            "users": 3,
            "mean": 4 / 3,
            "median": 1.0,
            "p90": 1.8,
            "max": 2,
            "distribution": {"1": 2, **empty, "2": 1},
        },
    }


def test_bands_hold_every_user() -> None:
    described = frequency({1: 10, 5: 3, 6: 2, 10: 4, 11: 1, 50: 7, 51: 2, 900: 1})
    assert described.distribution == {
        "1": 10,
        "2": 0,
        "3": 0,
        "4": 0,
        "5": 3,
        "6-10": 6,
        "11-20": 1,
        "21-50": 7,
        "51+": 3,
    }
    assert (described.users, described.median, described.max) == (30, 8.0, 900)
