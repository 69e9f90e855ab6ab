"""Product features of hand-made events, every column, and the smoothed score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from spark_apps.features import units
from spark_apps.features.products import PRIOR_USERS, merge_descriptions
from spark_apps.storage import read_parquet
from spark_apps.tables import PRODUCT_FEATURES
from tests.comparing import assert_rows
from tests.factory import write_events_table
from tests.features.tables import local_engine, make_tables

SEEN_ONCE = {
    "events": 1,
    "views": 1,
    "carts": 0,
    "purchases": 0,
    "unique_users": 1,
    "avg_price": 100.5,
    "category": "electronics",
    "category_code": "electronics.smartphone",
    "brand": "samsung",
    "conversion": 0.0,
    "popularity": 1.0,
}

# Products by what is peculiar about them: their events, and their features where they differ from one seen once.
PRODUCTS: dict[str, tuple[list[dict[str, Any]], dict[str, Any]]] = {
    "seen once": ([{}], {}),
    "met by two users": (
        [
            {"user_id": 1, "price": 10.0},
            {"user_id": 1, "price": 20.0},
            {"user_id": 1, "price": 20.0, "event_type": "cart"},
            {"user_id": 2, "price": None},
            {"user_id": 2, "price": 30.0, "event_type": "cart"},
            {"user_id": 2, "price": 31.0, "event_type": "remove_from_cart"},
            {"user_id": 2, "price": 31.0, "event_type": "cart"},
            {"user_id": 2, "price": 31.0, "event_type": "purchase"},
        ],
        {"events": 8, "views": 3, "carts": 3, "purchases": 1, "unique_users": 2}
        | {"avg_price": 173.0 / 7, "conversion": 1 / 3, "popularity": 6.0},
    ),
    "described anew, seen out of order": (
        [
            {"event_time": "2019-10-03 00:00:00", "category_code": "apparel.shoes", "brand": "puma"},
            {"event_time": "2019-10-01 00:00:00"},
            {"event_time": "2019-10-02 00:00:00", "category_code": None, "brand": None},
        ],
        {"events": 3, "views": 3, "popularity": 3.0}
        | {"category": "apparel", "category_code": "apparel.shoes", "brand": "puma"},
    ),
    "described anew by another user": (
        [
            {"user_id": 1, "event_time": "2019-10-03 00:00:00", "category_code": "apparel.shoes"},
            {"user_id": 2, "event_time": "2019-10-04 00:00:00", "category_code": None, "brand": None},
        ],
        {"events": 2, "views": 2, "unique_users": 2}
        | {"category": "unknown", "category_code": "unknown", "brand": "unknown"},
    ),
    "described twice in one second": (
        [{"category_code": code, "brand": brand} for code, brand in (("a.z", "y"), ("a.z", "x"), ("a.b", "z"))],
        {"events": 3, "views": 3, "popularity": 3.0} | {"category": "a", "category_code": "a.z", "brand": "y"},
    ),
    "bought but never viewed": (
        [{"event_type": "purchase", "category_code": "medicine"}],
        {"views": 0, "purchases": 1, "popularity": 3.0, "category": "medicine", "category_code": "medicine"},
    ),
    "removed only": ([{"event_type": "remove_from_cart"}], {"views": 0, "popularity": 0.0}),
    "without a price": ([{"price": None}], {"avg_price": None}),
}
NUMBERS = {name: number for number, name in enumerate(PRODUCTS, start=1)}
# of all products above: points, and pairs of a user and a product
MEAN_POINTS = (1 + 12 + 3 + 2 + 3 + 3 + 0 + 1) / (1 + 2 + 1 + 2 + 1 + 1 + 1 + 1)


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> dict[int, dict[str, Any]]:
    events = [{**event, "product_id": NUMBERS[name]} for name, (events, _) in PRODUCTS.items() for event in events]
    found = make_tables(tmp_path_factory.mktemp("products"), events)[PRODUCT_FEATURES]
    assert [list(row) for row in found] == [PRODUCT_FEATURES.schema.names] * len(PRODUCTS)
    return {row["product_id"]: row for row in found}


@pytest.mark.parametrize("name", PRODUCTS)
def test_the_features_of(name: str, rows: dict[int, dict[str, Any]]) -> None:
    expected = {"product_id": NUMBERS[name], **SEEN_ONCE, **PRODUCTS[name][1]}
    users = expected["unique_users"]
    smoothed = (expected["popularity"] * users + PRIOR_USERS * MEAN_POINTS) / (users + PRIOR_USERS)
    assert_rows([rows[NUMBERS[name]]], [{**expected, "popularity_smoothed": smoothed}])


def test_sums_of_parts_of_the_users_merge_to_those_of_all(tmp_path: Path) -> None:
    """Every product above, its users in three parts."""
    events = [{**event, "product_id": NUMBERS[name]} for name, (events, _) in PRODUCTS.items() for event in events]
    parts = [[event for event in events if event.get("user_id", 0) % 3 == part] for part in range(3)]
    sums = [sums_of(tmp_path / str(number), part) for number, part in enumerate(parts)]
    found = merge_descriptions(pa.concat_tables(sums))
    assert found.to_pylist() == merge_descriptions(sums_of(tmp_path / "all", events)).to_pylist()
    assert found["product_id"].to_pylist() == sorted(NUMBERS.values())


def sums_of(folder: Path, events: list[dict[str, Any]]) -> pa.Table:
    files = write_events_table(folder / "events", events).select(*units.EVENT_COLUMNS.names)
    made = folder / "product_sums"
    local_engine(folder).run(units.product_sums, {"events": files}, "user_id", {"product_sums": made})
    return read_parquet(made, units.PRODUCT_SUMS.names)


def test_one_lucky_user_tops_the_popularity_but_not_the_smoothed_score(tmp_path: Path) -> None:
    lucky, liked, dull = 1, 2, 3
    events = [{"product_id": lucky, "user_id": 1, "event_type": kind} for kind in ("view", "cart", "purchase")]
    events += [{"product_id": liked, "user_id": user, "event_type": "cart"} for user in range(100)]
    events += [{"product_id": dull, "user_id": user} for user in range(100)]
    features = {row["product_id"]: row for row in make_tables(tmp_path, events)[PRODUCT_FEATURES]}
    assert max(features, key=lambda product: features[product]["popularity"]) == lucky
    assert max(features, key=lambda product: features[product]["popularity_smoothed"]) == liked
    assert features[dull]["popularity_smoothed"] < features[lucky]["popularity_smoothed"]


def test_no_events_make_no_rows(tmp_path: Path) -> None:
    assert make_tables(tmp_path, [])[PRODUCT_FEATURES] == []
