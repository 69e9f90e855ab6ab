"""User features of hand-made events, every column of them."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from spark_apps.tables import USER_FEATURES
from tests.comparing import assert_rows
from tests.features.tables import make_tables

LAST_DATE = date(2019, 10, 31)
ONE_VIEW = {
    "recency": 30,
    "frequency": 1,
    "monetary": 0.0,
    "total_events": 1,
    "views": 1,
    "carts": 0,
    "purchases": 0,
    "removals": 0,
    "unique_products": 1,
    "unique_categories": 1,
    "unique_brands": 1,
    "avg_price": 100.5,
    "conversion_rate": 0.0,
    "cart_abandonment": 0.0,
    "sessions": 1,
    "mean_session_minutes": 0.0,
    "first_seen": "2019-10-01 00:00:00",
    "last_seen": "2019-10-01 00:00:00",
    "preferred_hour": 0,
}

# Users by what is peculiar about them: their events, and their features where they differ from those of one view.
USERS: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "one view": ([{}], {}),
    "a busy one": (
        [
            {"event_time": "2019-10-02 10:00:00", "price": 10.0, "product_id": 1, "user_session": "a"},
            {"event_time": "2019-10-02 10:04:00", "price": 10.0, "product_id": 1, "user_session": "a"},
            {"event_time": "2019-10-02 10:06:00", "price": 10.0, "product_id": 1, "user_session": "a"}
            | {"event_type": "cart"},
            {"event_time": "2019-10-02 11:30:00", "price": 30.0, "product_id": 2, "user_session": "b", "brand": "apple"}
            | {"event_type": "cart"},
            {"event_time": "2019-10-02 11:31:00", "price": None, "product_id": 2, "user_session": "b", "brand": "apple"}
            | {"event_type": "remove_from_cart"},
            {"event_time": "2019-10-05 23:59:00", "price": 12.5, "product_id": 1, "user_session": "c"}
            | {"event_type": "purchase"},
            {"event_time": "2019-10-06 00:09:00", "price": 7.5, "product_id": 3, "user_session": "c", "brand": None}
            | {"category_code": None},
        ],
        {
            "recency": 25,
            "frequency": 3,
            "monetary": 12.5,
            "total_events": 7,
            "views": 3,
            "carts": 2,
            "purchases": 1,
            "removals": 1,
            "unique_products": 3,
            "unique_categories": 2,
            "unique_brands": 3,
            "avg_price": 80.0 / 6,
            "conversion_rate": 1 / 3,
            "cart_abandonment": 0.5,
            "sessions": 3,
            "mean_session_minutes": 17 / 3,
            "first_seen": "2019-10-02 10:00:00",
            "last_seen": "2019-10-06 00:09:00",
            "preferred_hour": 10,
        },
    ),
    "as many events at nine as at twenty-one": (
        [{"event_time": f"2019-10-01 {time}:00"} for time in ("21:00", "21:10", "09:00", "09:10", "15:00")],
        {"total_events": 5, "views": 5, "preferred_hour": 9, "mean_session_minutes": 730.0}
        | {"first_seen": "2019-10-01 09:00:00", "last_seen": "2019-10-01 21:10:00"},
    ),
    "the last hour of the day against the first": (
        [{"event_time": f"2019-10-01 {time}:00"} for time in ("23:00", "00:00")],
        {"total_events": 2, "views": 2, "preferred_hour": 0, "mean_session_minutes": 1380.0}
        | {"last_seen": "2019-10-01 23:00:00"},
    ),
    "no views, and more purchases than carts": (
        [{"event_type": "cart"}, {"event_type": "purchase"}, {"event_type": "purchase"}],
        {"total_events": 3, "views": 0, "carts": 1, "purchases": 2, "monetary": 201.0},
    ),
    "purchases without carts": (
        [{}, {"event_type": "purchase"}],
        {"total_events": 2, "purchases": 1, "monetary": 100.5, "conversion_rate": 1.0},
    ),
    "carts without purchases": (
        [{}, {"event_type": "cart"}],
        {"total_events": 2, "carts": 1, "cart_abandonment": 1.0},
    ),
    "removals only": (
        [{"event_type": "remove_from_cart"}],
        {"views": 0, "removals": 1},
    ),
    "no sessions": (
        [{"user_session": None}, {"user_session": None, "event_time": "2019-10-01 00:30:00"}],
        {"total_events": 2, "views": 2, "sessions": 0, "mean_session_minutes": None}
        | {"last_seen": "2019-10-01 00:30:00"},
    ),
    "some events without a session": (
        [{}, {"event_time": "2019-10-01 00:30:00"}, {"user_session": None, "event_time": "2019-10-01 00:50:00"}],
        {"total_events": 3, "views": 3, "mean_session_minutes": 30.0, "last_seen": "2019-10-01 00:50:00"},
    ),
    "no prices": (
        [{"price": None}, {"price": 0.0, "event_type": "purchase"}],
        {"total_events": 2, "purchases": 1, "avg_price": None, "conversion_rate": 1.0},
    ),
    "one product under two descriptions": (
        [{}, {"brand": "apple", "category_code": "electronics.clocks"}, {"brand": None}],
        {"total_events": 3, "views": 3, "unique_categories": 2, "unique_brands": 3},
    ),
    "seen on the last date": (
        [{"event_time": "2019-10-31 23:59:59"}],
        {"recency": 0, "preferred_hour": 23}
        | {"first_seen": "2019-10-31 23:59:59", "last_seen": "2019-10-31 23:59:59"},
    ),
}
NUMBERS = {name: number for number, name in enumerate(USERS, start=1)}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    events = [{**event, "user_id": NUMBERS[name]} for name, (events, _) in USERS.items() for event in events]
    return make_tables(tmp_path_factory.mktemp("users"), events, LAST_DATE)[USER_FEATURES]


@pytest.mark.parametrize("name", USERS)
def test_the_features_of(name: str, rows: list[dict[str, Any]]) -> None:
    expected = {"user_id": NUMBERS[name], **ONE_VIEW, **USERS[name][1]}
    assert_rows([row for row in rows if row["user_id"] == NUMBERS[name]], [expected])


def test_each_user_has_one_row_of_the_table_s_columns(rows: list[dict[str, Any]]) -> None:
    assert [list(row) for row in rows] == [USER_FEATURES.schema.names] * len(NUMBERS)
    assert [row["user_id"] for row in rows] == list(NUMBERS.values())


def test_a_user_seen_after_the_last_date_was_seen_on_it(tmp_path: Path) -> None:
    (row,) = make_tables(tmp_path, [{"event_time": "2019-11-05 00:00:00"}], LAST_DATE)[USER_FEATURES]
    assert row["recency"] == 0


def test_no_events_make_no_rows(tmp_path: Path) -> None:
    assert make_tables(tmp_path, [], LAST_DATE)[USER_FEATURES] == []
