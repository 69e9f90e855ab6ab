"""What stands in the lists of all users, on hand-made lists."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from spark_apps.analysis.recommended import LISTS, PRODUCTS, SCORE_BINS, describe_recommendations
from spark_apps.engine.base import Engine, Relation
from spark_apps.engine.local import LocalEngine
from spark_apps.engine.spark import engine_of
from tests.comparing import assert_rows

Row = tuple[int, int, int, float, str]


def described(
    folder: Path, rows: list[Row], shop: list[dict[str, Any]], engine: Engine | None = None
) -> dict[str, Any]:
    """What is found in these lists of these products, on this machine by default."""
    lists = [dict(zip(LISTS.names, row, strict=True)) for row in rows]
    tables = {"lists": pa.Table.from_pylist(lists, LISTS), "products": pa.Table.from_pylist(shop, PRODUCTS)}
    own = folder / uuid4().hex
    for name, table in tables.items():
        (own / name).mkdir(parents=True)
        pq.write_table(table, own / name / "part-0.parquet")
    relations = (Relation.of(own / name, table.schema) for name, table in tables.items())
    return describe_recommendations(
        engine or LocalEngine(2, 64 << 20, own / "spill"), *relations, own / "sums"
    ).figures()


def product(number: int, code: str, brand: str, price: float | None) -> dict[str, Any]:
    return {"product_id": number, "category_code": code, "brand": brand, "avg_price": price}


SHOP = [
    product(1, "a.phone", "apple", 100.0),
    product(2, "a.phone", "samsung", 99.5),
    product(3, "b", "unknown", 7.0),
    product(4, "unknown", "noname", None),
    product(5, "c", "rare", 4000.0),
]
ROWS = [
    (1, 1, 1, 1.0, "als"),
    (1, 2, 2, 0.5, "als"),
    (1, 3, 3, 0.0, "content"),
    (2, 1, 1, 0.75, "als"),
    (2, 2, 4, 0.25, "als"),
    (3, 1, 2, 900.0, "popularity"),
]


def test_every_figure_of_a_few_lists(tmp_path: Path) -> None:
    found = described(tmp_path, ROWS, SHOP)
    assert found["recommendations"] == 6
    assert found["sources"] == [
        {"source": "als", "recommendations": 4, "lowest": 0.25, "mean": 0.625, "highest": 1.0, "compared": True},
        {"source": "content", "recommendations": 1, "lowest": 0.0, "mean": 0.0, "highest": 0.0, "compared": True},
        {"source": "popularity", "recommendations": 1, "lowest": 900.0, "mean": 900.0, "highest": 900.0}
        | {"compared": False},
    ]
    assert (found["unpriced"], found["unknown_categories"], found["unknown_brands"]) == (1, 1, 1)
    assert found["categories"] == [
        {"name": "a.phone", "recommendations": 4, "mean_score": 0.75},
        {"name": "b", "recommendations": 1, "mean_score": 0.0},
    ]
    assert found["brands"] == [
        {"name": "apple", "recommendations": 2, "mean_score": 0.875},
        {"name": "samsung", "recommendations": 2, "mean_score": 0.5},
        {"name": "noname", "recommendations": 1, "mean_score": 0.25},
    ]
    assert found["top_products"][:2] == [
        {"product_id": 1, "users": 2, "category_code": "a.phone", "brand": "apple"},
        {"product_id": 2, "users": 2, "category_code": "a.phone", "brand": "samsung"},
    ]


def test_scores_and_users_fall_into_bins_between_lowest_and_highest(tmp_path: Path) -> None:
    found = described(tmp_path, ROWS, SHOP)
    edges = found["scores"]["bins"]
    assert (len(edges), edges[0], edges[-1]) == (SCORE_BINS + 1, 0.0, pytest.approx(1.0))
    counts = found["scores"]["counts"]
    assert {place: count for place, count in enumerate(counts) if count} == {0: 1, 7: 1, 15: 1, 22: 1, 29: 1}
    users = found["user_scores"]["counts"]
    assert {place: count for place, count in enumerate(users) if count} == {15: 2}


def test_prices_have_round_bins_with_the_scores_in_them(tmp_path: Path) -> None:
    prices = described(tmp_path, ROWS, SHOP)["prices"]
    assert prices["bins"][:2] == [7.0, 10.0] and prices["bins"][-2:] == [100.0, 150.0]
    assert dict(zip(prices["bins"], prices["counts"], strict=False)) == {
        7.0: 1,
        10.0: 0,
        15.0: 0,
        20.0: 0,
        30.0: 0,
        50.0: 0,
        70.0: 2,
        100.0: 2,
    }
    assert prices["score_mean"] == [0.0] + [None] * 5 + [0.5, 0.875]
    width = 1 / SCORE_BINS
    assert prices["score_p10"][-1] == pytest.approx(0.75, abs=width)
    assert prices["score_p90"][-1] == pytest.approx(1.0, abs=width)


def test_sources_on_one_scale_are_compared_whatever_they_are_called(tmp_path: Path) -> None:
    scores = {"x": (0.2, 0.3, 0.4), "above": (0.59, 0.59), "beyond": (0.61,), "below": (0.05,)}
    rows = [(user, 1, 1, score, source) for source, its in scores.items() for user, score in enumerate(its)]
    found = described(tmp_path, rows, SHOP)
    compared = {source["source"]: source["compared"] for source in found["sources"]}
    assert compared == {"x": True, "above": True, "beyond": False, "below": True}
    assert sum(found["scores"]["counts"]) == 6
    assert (found["scores"]["bins"][0], found["scores"]["bins"][-1]) == (pytest.approx(0.05), pytest.approx(0.59))


def test_equal_scores_and_products_that_are_not_known(tmp_path: Path) -> None:
    rows = [(1, 1, 77, 0.5, "als"), (2, 1, 77, 0.5, "als")]
    found = described(tmp_path, rows, SHOP)
    assert sum(found["scores"]["counts"]) == sum(found["user_scores"]["counts"]) == 2
    assert (found["unpriced"], found["unknown_brands"], found["categories"]) == (2, 2, [])
    assert found["prices"]["counts"] == found["prices"]["bins"] == []
    assert found["top_products"] == [{"product_id": 77, "users": 2, "category_code": None, "brand": None}]


def test_no_lists(tmp_path: Path) -> None:
    found = described(tmp_path, [], [])
    assert found["recommendations"] == found["unpriced"] == 0
    assert found["sources"] == found["categories"] == found["brands"] == found["top_products"] == []
    assert not any(found["scores"]["counts"])


@pytest.mark.parametrize(
    ("prices", "edges"),
    [
        ([None], []),
        ([100.0], [100.0, 150.0]),
        ([0.77, 1.2], [0.7, 1.0, 1.5]),
        ([0.01, 0.02], [0.01, 0.015, 0.02, 0.03]),
        ([999.0, 1000.0], [700.0, 1000.0, 1500.0]),
    ],
)
def test_bins_of_prices_hold_every_price(tmp_path: Path, prices: list[float | None], edges: list[float]) -> None:
    shop = [product(number, "a", "b", price) for number, price in enumerate(prices)]
    lists = [(1, number, number, 0.5, "als") for number in range(len(shop))]
    found = described(tmp_path, lists, shop)
    assert found["prices"]["bins"] == edges
    assert sum(found["prices"]["counts"]) + found["unpriced"] == len(shop)


def test_spark_s_tasks_find_the_same(spark: SparkSession, tmp_path: Path) -> None:
    dice = random.Random(6)
    rows = [
        (user, rank, dice.choice((77, 1, 2, 3, 4, 5)), dice.random(), dice.choice(("als", "content", "new")))
        for user in range(200)
        for rank in range(1, 11)
    ]
    rows += [(user, 1, 3, 1e6 * dice.random(), "popularity") for user in range(200, 220)]
    found = described(tmp_path, rows, SHOP, engine_of(spark))
    assert_rows([found], [described(tmp_path, rows, SHOP)], rel=0)
    assert_rows([found], [described(tmp_path, rows[::-1], SHOP[::-1])], rel=0)
    assert [row["compared"] for row in found["sources"]] == [True, True, True, False]
