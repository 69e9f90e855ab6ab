"""What goes together, on hand-made events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from spark_apps.analysis.affinities import MAX_BASKET, least_together
from tests.analysis.behaviours import behaviour, visit

PHONE, CASE, BOOK = 1, 2, 3


def shop() -> list[list[dict[str, Any]]]:
    """Twenty sessions: six view phone and case, four the phone alone, ten a book and nothing else."""
    sessions = [visit(user, f"s{user}", f"view {PHONE}", f"view {CASE}", f"view {PHONE}") for user in range(6)]
    sessions += [visit(user, f"s{user}", f"view {PHONE}") for user in range(6, 10)]
    return sessions + [visit(user, f"s{user}", f"view {BOOK}") for user in range(10, 20)]


def described(product: int) -> dict[str, Any]:
    return {"product_id": product, "category_code": "electronics.smartphone", "brand": "samsung"}


def test_what_was_viewed_in_one_session(tmp_path: Path) -> None:
    found = behaviour(tmp_path, *shop())["affinities"]["viewed_products"]
    assert found == {
        "baskets": 20,
        "too_large": 0,
        "largest_basket": 50,
        "candidates": 3,
        "least_together": 5,
        "rules": [
            {
                "a": described(CASE),
                "b": described(PHONE),
                "together": 6,
                "baskets_a": 6,
                "baskets_b": 10,
                "support": 0.3,
                "confidence": 1.0,
                "lift": 2.0,
            }
        ],
    }


def test_what_was_bought_by_one_user_at_any_time(tmp_path: Path) -> None:
    bought = [
        visit(user, f"{user} {product}", f"purchase {product}", minute=product)
        for user in range(5)
        for product in (7, 8)
    ]
    bought += [visit(user, None, "purchase 9") for user in range(5, 10)]
    found = behaviour(tmp_path, *bought)["affinities"]
    rule = {"together": 5, "baskets_a": 5, "baskets_b": 5, "support": 0.5, "confidence": 1.0, "lift": 2.0}
    assert found["bought_products"]["rules"] == [{"a": described(7), "b": described(8), **rule}]
    assert found["viewed_products"]["baskets"] == found["viewed_products"]["candidates"] == 0


def test_categories_without_the_unknown_one(tmp_path: Path) -> None:
    def viewed(user: int, *codes: str | None) -> list[dict[str, Any]]:
        return [{"user_id": user, "user_session": f"s{user}", "category_code": code} for code in codes]

    found = behaviour(
        tmp_path,
        *(viewed(user, "a.x", "b", None) for user in range(6)),
        *(viewed(user, None) for user in range(6, 9)),
        *(viewed(user, "c") for user in range(9, 15)),
    )["affinities"]["viewed_categories"]
    assert (found["baskets"], found["candidates"]) == (12, 3)
    assert found["rules"] == [
        {
            "a": {"category_code": "a.x"},
            "b": {"category_code": "b"},
            "together": 6,
            "baskets_a": 6,
            "baskets_b": 6,
            "support": 0.5,
            "confidence": 1.0,
            "lift": 2.0,
        }
    ]


def test_large_baskets_are_left_out_whole(tmp_path: Path) -> None:
    robot = visit(99, "robot", *(f"view {product}" for product in range(1, MAX_BASKET + 2)))
    person = visit(98, "person", *(f"view {product}" for product in range(3, MAX_BASKET + 3)))
    found = behaviour(tmp_path, *shop(), robot, person)["affinities"]["viewed_products"]
    assert (found["baskets"], found["too_large"]) == (21, 1)
    [rule] = found["rules"]
    assert (rule["together"], rule["baskets_b"], rule["lift"]) == (6, 10, pytest.approx(6 * 21 / 60))


def test_equal_lifts_stand_by_baskets_and_then_by_rank(tmp_path: Path) -> None:
    def pair(first_user: int, one: int, other: int, users: int) -> list[list[dict[str, Any]]]:
        users_of = range(first_user, first_user + users)
        return [visit(user, f"s{user}", f"view {one}", f"view {other}") for user in users_of]

    found = behaviour(tmp_path, *pair(0, 31, 32, 5), *pair(10, 21, 22, 5), *pair(20, 11, 12, 5))
    rules = found["affinities"]["viewed_products"]["rules"]
    assert [(rule["a"]["product_id"], rule["b"]["product_id"]) for rule in rules] == [(11, 12), (21, 22), (31, 32)]


def test_what_must_be_seen_before_a_pair_is_told() -> None:
    assert [least_together(baskets) for baskets in (0, 50_000, 50_001, 1_000_000)] == [5, 5, 6, 100]
