"""Implicit scores of (user, product): points per event, the cap, and other points."""

from __future__ import annotations

from pathlib import Path

from spark_apps.settings import EventScores
from spark_apps.tables import INTERACTIONS
from tests.comparing import assert_rows
from tests.features.tables import make_tables

# a user's events on a product, in time order: views, carts, purchases, removals as v c p r
HISTORIES: dict[str, tuple[str, float]] = {
    "a view": ("v", 1.0),
    "a cart": ("c", 3.0),
    "a purchase": ("p", 5.0),
    "a removal": ("r", -1.0),
    "a whole funnel": ("vvcp", 10.0),
    "just below the cap": ("vcp", 9.0),
    "beyond the cap": ("vvvcpp", 10.0),
    "a removal takes a point": ("vcr", 3.0),
    "a removal counts before the cap": ("vvvvvvvvvvvr", 10.0),
    "nothing left": ("vr", 0.0),
}
KINDS = {"v": "view", "c": "cart", "p": "purchase", "r": "remove_from_cart"}


def test_a_score_is_the_sum_of_its_events_up_to_the_cap(tmp_path: Path) -> None:
    events = [
        {"user_id": user, "event_type": KINDS[kind], "event_time": f"2019-10-01 00:00:{second:02}"}
        for user, (kinds, _) in enumerate(HISTORIES.values())
        for second, kind in enumerate(kinds)
    ]
    expected = [
        {
            "user_id": user,
            "product_id": 1001,
            "score": score,
            "interaction_count": len(kinds),
            "purchases": kinds.count("p"),
            "last_time": f"2019-10-01 00:00:{len(kinds) - 1:02}",
        }
        for user, (kinds, score) in enumerate(HISTORIES.values())
    ]
    assert_rows(make_tables(tmp_path, events)[INTERACTIONS], expected)


def test_a_pair_has_one_row_under_whatever_descriptions_it_was_seen(tmp_path: Path) -> None:
    events = [{}, {"brand": "apple"}, {"category_code": None}, {"product_id": 7}, {"user_id": 7}]
    found = make_tables(tmp_path, events)[INTERACTIONS]
    assert [(row["user_id"], row["product_id"], row["score"]) for row in found] == [
        (7, 1001, 1.0),
        (501, 7, 1.0),
        (501, 1001, 3.0),
    ]


def test_points_and_cap_can_be_set(tmp_path: Path) -> None:
    # three views, two carts, one purchase, one removal: 3 + 6 + 5 - 1 = 13 with the usual points
    expected = [
        (EventScores(), 10.0),
        (EventScores(cap=1000), 13.0),
        (EventScores(cap=1000, view=0.5), 11.5),
        (EventScores(cap=1000, cart=1), 9.0),
        (EventScores(cap=1000, purchase=20), 28.0),
        (EventScores(cap=1000, remove_from_cart=-4), 10.0),
        (EventScores(cap=2.5), 2.5),
    ]
    events = [{"event_type": KINDS[kind]} for kind in "vvvccpr"]
    made = [make_tables(tmp_path / str(scores), events, scores=scores)[INTERACTIONS] for scores, _ in expected]
    assert [one["score"] for (one,) in made] == [score for _, score in expected]
