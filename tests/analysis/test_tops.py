"""Top products, categories and brands, on hand-made events."""

from __future__ import annotations

from pathlib import Path

from spark_apps.analysis.behaviour import describe_behaviour
from tests.analysis.behaviours import counts_of


def test_the_lists_of_a_few_events(tmp_path: Path) -> None:
    apple = {"product_id": 9, "brand": "apple", "category_code": "electronics.smartphone"}
    shoe = {"product_id": 10, "brand": None, "category_code": "apparel.shoes"}
    thing = {"product_id": 2, "brand": None, "category_code": None}
    events = [
        {**apple, "price": 10.25},
        {**apple, "price": 10.25, "event_type": "cart"},
        {**apple, "price": 10.25, "event_type": "purchase"},
        {**apple, "price": 20.5, "event_type": "purchase"},
        {**shoe, "event_type": "purchase", "price": None},
        shoe,
        {**thing, "brand": "noname", "event_time": "2019-10-01"},
        {**thing, "event_time": "2019-10-02"},
    ]
    top = describe_behaviour(counts_of(tmp_path, events)).figures()["top"]
    phone = {"views": 1, "carts": 1, "purchases": 2, "revenue": 30.75}
    pair = {"views": 1, "carts": 0, "purchases": 1, "revenue": 0.0}
    assert top["products"] == {
        "by_views": [
            {"product_id": 2, "category_code": "unknown", "brand": "unknown"}
            | {"views": 2, "carts": 0, "purchases": 0, "revenue": 0.0},
            {**apple, **phone},
            {**shoe, "brand": "unknown", **pair},
        ],
        "by_purchases": [{**apple, **phone}, {**shoe, "brand": "unknown", **pair}],
    }
    assert top["categories"] == {
        "by_views": [
            {"category_code": "apparel.shoes", **pair},
            {"category_code": "electronics.smartphone", **phone},
        ],
        "by_purchases": [
            {"category_code": "electronics.smartphone", **phone},
            {"category_code": "apparel.shoes", **pair},
        ],
    }
    noname = {"brand": "noname", "views": 1, "carts": 0, "purchases": 0, "revenue": 0.0}
    assert top["brands"] == {
        "by_views": [{"brand": "apple", **phone}, noname],
        "by_purchases": [{"brand": "apple", **phone}],
    }


def test_ten_stand_in_a_list_and_equals_by_their_id(tmp_path: Path) -> None:
    events = [{"product_id": product, "brand": f"b{product:02d}"} for product in range(30, 0, -1)]
    top = describe_behaviour(counts_of(tmp_path, events)).figures()["top"]
    assert [row["product_id"] for row in top["products"]["by_views"]] == list(range(1, 11))
    assert [row["brand"] for row in top["brands"]["by_views"]] == [f"b{number:02d}" for number in range(1, 11)]
