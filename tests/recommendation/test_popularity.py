"""What segments think of products, and popular products over everybody, per category and per segment."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from spark_apps.engine.base import Engine, Relation
from spark_apps.engine.published import stored_schema
from spark_apps.jobs.train.hybrid import PRODUCTS, SEGMENT_SCORES, stage_hybrid
from spark_apps.jobs.train.validation import Learned
from spark_apps.recommendation.popularity import HYBRID_PRODUCTS
from spark_apps.recommendation.popularity import SEGMENT_SCORES as SCORES
from spark_apps.schemas import POPULAR_PRODUCTS
from spark_apps.storage.transaction import Transaction
from spark_apps.tables import PRODUCT_FEATURES
from tests.recommendation.tables import (
    files,
    held,
    interactions,
    local_engine,
    nothing_held,
    read,
    segments,
    spark_engine,
)

Rows = list[tuple[int, int, float]]
CATEGORIES = {1: "phones", 2: "phones", 3: "shoes", 4: "shoes"}
SEGMENTS = {10: "VIP_Customers", 11: "VIP_Customers", 12: "Casual_Browsers"}
LISTS = POPULAR_PRODUCTS


class Made:
    """What `stage_hybrid` wrote of some scores."""

    def __init__(
        self,
        folder: Path,
        engine: Engine,
        rows: Rows,
        kept: int = 100,
        kept_back: Relation | None = None,
        of_users: dict[int, str] | None = None,
    ) -> None:
        schema = stored_schema(PRODUCT_FEATURES)
        goods = {product: CATEGORIES.get(product, "other") for product in {*CATEGORIES, *(row[1] for row in rows)}}
        described = {"category": str, "category_code": str, "brand": str}
        products = files(
            folder / "products",
            schema,
            (
                [
                    {"product_id": product, "unique_users": 3, **{name: category for name in described}}.get(name, 1)
                    for name in schema.names
                ]
                for product, category in goods.items()
            ),
        )
        pairs = interactions(folder / "interactions", rows)
        learned = Learned(pairs, kept_back or nothing_held(), pa.array([], pa.int64()))
        placed = segments(folder / "segments", (of_users or SEGMENTS).items())
        with Transaction(folder / "root", []) as transaction:
            self.liked = stage_hybrid(
                engine, transaction, folder / "hybrid", folder / "lists", learned, placed, products, kept
            )
        self.lists = read(Relation.of(folder / "lists", LISTS), "scope", "key", "rank")
        self.scores = read(Relation.of(folder / "hybrid" / SEGMENT_SCORES, SCORES), "segment", "product_id")
        self.products = read(Relation.of(folder / "hybrid" / PRODUCTS, HYBRID_PRODUCTS), "product_id")

    def popular(self) -> list[tuple[object, ...]]:
        return [tuple(row.values()) for row in self.lists.to_pylist()]


Make = Callable[..., Made]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    return lambda rows, **more: Made(tmp_path, local_engine(tmp_path), rows, **more)


def test_scores_are_added_up_per_segment(make: Make) -> None:
    rows = [(1, 10, 2.0), (2, 10, 3.0), (3, 10, -1.0), (1, 11, 1.0), (9, 10, 50.0)]
    made = make(rows, of_users={1: "a", 2: "a", 3: "b"})
    assert [tuple(row.values()) for row in made.scores.to_pylist()] == [
        ("a", 10, 5.0),
        ("a", 11, 1.0),
        ("b", 10, -1.0),
    ]
    assert made.liked == 4


def test_what_is_held_back_does_not_count(make: Make, tmp_path: Path) -> None:
    made = make([(10, 1, 2.0), (11, 1, 3.0), (10, 2, 1.0)], kept_back=held(tmp_path / "held", [(11, 1), (10, 2)]))
    assert [tuple(row.values()) for row in made.scores.to_pylist()] == [("VIP_Customers", 1, 2.0)]
    assert made.liked == 1


def test_each_scope_has_its_own_order(make: Make) -> None:
    scores = [(10, 1, 10.0), (11, 1, 1.0), (12, 1, 2.0), (10, 2, 5.0), (12, 3, 9.0), (11, 4, 5.0)]
    assert make(scores).popular() == [
        ("category", "phones", 1, 1, 13.0),
        ("category", "phones", 2, 2, 5.0),
        ("category", "shoes", 1, 3, 9.0),
        ("category", "shoes", 2, 4, 5.0),
        ("global", "all", 1, 1, 13.0),
        ("global", "all", 2, 3, 9.0),
        ("global", "all", 3, 2, 5.0),
        ("global", "all", 4, 4, 5.0),
        ("segment", "Casual_Browsers", 1, 3, 9.0),
        ("segment", "Casual_Browsers", 2, 1, 2.0),
        ("segment", "VIP_Customers", 1, 1, 11.0),
        ("segment", "VIP_Customers", 2, 2, 5.0),
        ("segment", "VIP_Customers", 3, 4, 5.0),
    ]


def test_each_list_is_kept_to_its_best(make: Make) -> None:
    kept = make([(10, product, float(product)) for product in CATEGORIES], kept=1).popular()
    assert [(scope, key, product) for scope, key, _, product, _ in kept] == [
        ("category", "phones", 2),
        ("category", "shoes", 4),
        ("global", "all", 4),
        ("segment", "VIP_Customers", 4),
    ]


def test_products_that_nobody_likes_are_in_no_list(make: Make) -> None:
    made = make([(10, 1, -1.0), (11, 2, 0.0)])
    assert made.popular() == [] and made.liked == 0
    assert made.products["product_id"].to_pylist() == list(CATEGORIES)


def test_both_engines_make_the_same_whatever_the_scores(spark: SparkSession, tmp_path: Path) -> None:
    """Tenths have no exact double: added up in another order they would differ in the last digits."""
    random = np.random.default_rng(7)
    rows = [
        (int(user), product, float(random.integers(-9, 90)) / 10)
        for product in range(1, 40)
        for user in random.choice(300, 40, replace=False)
    ]
    users = {user: f"segment {user % 3}" for user in range(300)}
    one, other = (
        Made(folder, engine, rows, 7, held(folder / "held", [(row[0], row[1]) for row in rows[::50]]), users)
        for folder, engine in (
            (tmp_path / "local", local_engine(tmp_path)),
            (tmp_path / "spark", spark_engine(spark, tmp_path)),
        )
    )
    assert one.scores.equals(other.scores) and one.lists.equals(other.lists) and one.products.equals(other.products)
    assert one.liked == other.liked
    assert len(one.scores) > 100
