"""The October report's figures, on hand-made events."""

from __future__ import annotations

from pathlib import Path
from statistics import stdev

from spark_apps.analysis.exploration import explore
from tests.analysis.behaviours import counts_of
from tests.comparing import assert_rows

NO_SESSIONS = {
    "count": 0,
    "events_mean": None,
    "events_std": None,
    "events_min": None,
    "events_p25": None,
    "events_p50": None,
    "events_p75": None,
    "events_max": None,
    "minutes_mean": None,
    "minutes_median": None,
}
NOTHING_MISSING = {
    "event_time": 0,
    "event_type": 0,
    "product_id": 0,
    "category_id": 0,
    "category_code": 0,
    "brand": 0,
    "price": 0,
    "user_id": 0,
    "user_session": 0,
}


def test_every_figure_of_a_few_events(tmp_path: Path) -> None:
    events = [
        {"user_session": "a", "price": 10.0},
        {"user_session": "a", "price": 10.0},
        {"user_session": "a", "price": 10.0},
        {"user_session": "a", "price": 30.0, "event_time": "2019-10-01 00:06:00", "event_type": "cart"},
        {"user_session": "a", "price": 30.0, "event_time": "2019-10-01 00:10:00", "event_type": "purchase"},
        {"user_session": "b", "price": None, "event_time": "2019-10-02 09:00:00", "user_id": 2, "product_id": 2},
        {"user_session": "b", "price": 0.0, "event_time": "2019-10-02 09:01:00", "user_id": 2, "product_id": 2},
        {"user_session": "c", "price": 4.5, "event_time": "2019-10-02 23:59:59", "brand": None, "category_code": None},
        {"user_session": None, "price": 5.5, "event_time": "2019-10-03 09:00:00", "category_id": None},
    ]
    expected = {
        "events": 9,
        "event_counts": {"view": 7, "cart": 1, "purchase": 1},
        "missing_values": NOTHING_MISSING
        | {"category_id": 1, "category_code": 1, "brand": 1, "price": 2, "user_session": 1},
        "events_by_day": {"2019-10-01": 5, "2019-10-02": 3, "2019-10-03": 1},
        "events_by_hour": {"0": 5, "9": 3, "23": 1},
        "price_by_event_type": {
            "view": {"mean": 8.0, "min": 4.5, "max": 10.0, "count": 5},
            "cart": {"mean": 30.0, "min": 30.0, "max": 30.0, "count": 1},
            "purchase": {"mean": 30.0, "min": 30.0, "max": 30.0, "count": 1},
        },
        "sessions": {
            "count": 3,
            "events_mean": 8 / 3,
            "events_std": stdev([5, 2, 1]),
            "events_min": 1.0,
            "events_p25": 1.5,
            "events_p50": 2.0,
            "events_p75": 3.5,
            "events_max": 5.0,
            "minutes_mean": 11 / 3,
            "minutes_median": 1.0,
        },
        "duplicates": 2,
        "users": 2,
        "products": 2,
    }
    assert_rows([explore(counts_of(tmp_path, events)).figures()], [expected])


def test_what_is_not_known_is_counted_as_missing_and_makes_no_figures(tmp_path: Path) -> None:
    nothing_known = {"price": None, "category_code": "unknown", "brand": "unknown", "user_session": ""}
    figures = explore(counts_of(tmp_path, [{"event_type": "remove_from_cart", **nothing_known}])).figures()
    assert figures["event_counts"] == {"remove_from_cart": 1}
    assert figures["missing_values"] == NOTHING_MISSING | dict.fromkeys(nothing_known, 1)
    assert figures["price_by_event_type"] == {
        "remove_from_cart": {"mean": None, "min": None, "max": None, "count": 0},
    }
    assert figures["sessions"] == NO_SESSIONS


def test_a_single_session_has_no_spread_though_two_users_share_it(tmp_path: Path) -> None:
    sessions = explore(counts_of(tmp_path, [{"user_id": 1}, {"user_id": 2}])).sessions
    assert (sessions.count, sessions.events_mean, sessions.events_std) == (1, 2.0, None)
    assert (sessions.minutes_mean, sessions.minutes_median) == (0.0, 0.0)


def test_equal_sessions_spread_by_nothing(tmp_path: Path) -> None:
    events = [{"user_session": name} for name in "abcabcabc"]
    assert explore(counts_of(tmp_path, events)).sessions.events_std == 0.0


def test_no_events_make_empty_figures(tmp_path: Path) -> None:
    assert explore(counts_of(tmp_path, [])).figures() == {
        "events": 0,
        "event_counts": {},
        "missing_values": NOTHING_MISSING,
        "events_by_day": {},
        "events_by_hour": {},
        "price_by_event_type": {},
        "sessions": NO_SESSIONS,
        "duplicates": 0,
        "users": 0,
        "products": 0,
    }
