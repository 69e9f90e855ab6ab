"""Paths inside sessions, on hand-made events."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.analysis.behaviours import behaviour, visit


def test_paths_are_counted_the_most_frequent_first_and_equals_by_their_text(tmp_path: Path) -> None:
    found = behaviour(
        tmp_path,
        visit(1, "a", "view", "view", "cart", "purchase"),
        visit(1, "b", "view"),
        visit(2, "c", "view"),
        visit(3, "d", "view", "purchase"),
        visit(4, None, "view", "cart"),
    )
    assert found["sequences"] == {
        "sessions": 4,
        "distinct": 3,
        "top": [
            {"sequence": "view", "sessions": 2, "share": 0.5},
            {"sequence": "view>purchase", "sessions": 1, "share": 0.25},
            {"sequence": "view>view>cart>purchase", "sessions": 1, "share": 0.25},
        ],
        "to_purchase": [
            {"sequence": "view>purchase", "sessions": 1, "share": 0.25},
            {"sequence": "view>view>cart>purchase", "sessions": 1, "share": 0.25},
        ],
    }


@pytest.mark.parametrize(
    ("steps", "written"),
    [
        (["view"] * 9, "view>view"),
        (["view"] * 3 + ["cart"] * 3 + ["view"] * 3, "view>view>cart>cart>view>view"),
        (["cart", "remove_from_cart"], "cart>remove_from_cart"),
        (["view", "cart"] * 4, "view>cart>view>cart>view>cart>view>cart"),
        (["view", "cart"] * 4 + ["purchase"], "view>cart>view>cart>view>cart>view>cart>..."),
        (["view", "cart"] * 20, "view>cart>view>cart>view>cart>view>cart>..."),
    ],
)
def test_runs_are_cut_to_two_and_paths_to_eight_steps(tmp_path: Path, steps: list[str], written: str) -> None:
    assert [row["sequence"] for row in behaviour(tmp_path, visit(1, "a", *steps))["sequences"]["top"]] == [written]


def test_events_of_one_second_are_read_in_the_order_of_a_purchase(tmp_path: Path) -> None:
    rows = visit(1, "a", "purchase", "remove_from_cart", "cart", "view")
    found = behaviour(tmp_path, [{**row, "event_time": "2019-10-01 00:00:00"} for row in rows])
    assert found["sequences"]["top"][0]["sequence"] == "view>cart>remove_from_cart>purchase"
