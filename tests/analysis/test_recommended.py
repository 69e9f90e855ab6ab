"""What stands in the lists of all users, on hand-made lists."""

from __future__ import annotations

from typing import Any

import pytest
from pyspark.sql import DataFrame, SparkSession

from spark_apps.analysis.recommended import SCORE_BINS, describe_recommendations, price_edges
from spark_apps.schemas import PRODUCT_FEATURES, RECOMMENDATIONS

Row = tuple[int, int, int, float, str]


def lists_frame(spark: SparkSession, rows: list[Row]) -> DataFrame:
    return spark.createDataFrame(rows, RECOMMENDATIONS)


def products_frame(spark: SparkSession, rows: list[dict[str, Any]]) -> DataFrame:
    names = PRODUCT_FEATURES.fieldNames()
    return spark.createDataFrame([tuple(row.get(name) for name in names) for row in rows], PRODUCT_FEATURES)


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


def test_every_figure_of_a_few_lists(spark: SparkSession) -> None:
    found = describe_recommendations(lists_frame(spark, ROWS), products_frame(spark, SHOP))
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


def test_scores_and_users_fall_into_bins_between_lowest_and_highest(spark: SparkSession) -> None:
    found = describe_recommendations(lists_frame(spark, ROWS), products_frame(spark, SHOP))
    edges = found["scores"]["bins"]
    assert (len(edges), edges[0], edges[-1]) == (SCORE_BINS + 1, 0.0, pytest.approx(1.0))
    counts = found["scores"]["counts"]
    assert {place: count for place, count in enumerate(counts) if count} == {0: 1, 7: 1, 15: 1, 22: 1, 29: 1}
    users = found["user_scores"]["counts"]
    assert {place: count for place, count in enumerate(users) if count} == {15: 2}


def test_prices_have_round_bins_with_the_scores_in_them(spark: SparkSession) -> None:
    prices = describe_recommendations(lists_frame(spark, ROWS), products_frame(spark, SHOP))["prices"]
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


def test_sources_on_one_scale_are_compared_whatever_they_are_called(spark: SparkSession) -> None:
    scores = {"x": (0.2, 0.3, 0.4), "above": (0.59, 0.59), "beyond": (0.61,), "below": (0.05,)}
    rows = [(user, 1, 1, score, source) for source, its in scores.items() for user, score in enumerate(its)]
    found = describe_recommendations(lists_frame(spark, rows), products_frame(spark, SHOP))
    compared = {source["source"]: source["compared"] for source in found["sources"]}
    assert compared == {"x": True, "above": True, "beyond": False, "below": True}
    assert sum(found["scores"]["counts"]) == 6
    assert (found["scores"]["bins"][0], found["scores"]["bins"][-1]) == (pytest.approx(0.05), pytest.approx(0.59))


def test_equal_scores_and_products_that_are_not_known(spark: SparkSession) -> None:
    rows = [(1, 1, 77, 0.5, "als"), (2, 1, 77, 0.5, "als")]
    found = describe_recommendations(lists_frame(spark, rows), products_frame(spark, SHOP))
    assert sum(found["scores"]["counts"]) == sum(found["user_scores"]["counts"]) == 2
    assert (found["unpriced"], found["unknown_brands"], found["categories"]) == (2, 2, [])
    assert found["prices"]["counts"] == found["prices"]["bins"] == []
    assert found["top_products"] == [{"product_id": 77, "users": 2, "category_code": None, "brand": None}]


def test_no_lists(spark: SparkSession) -> None:
    found = describe_recommendations(lists_frame(spark, []), products_frame(spark, []))
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
def test_bins_of_prices_hold_every_price(spark: SparkSession, prices: list[float | None], edges: list[float]) -> None:
    shop = [product(number, "a", "b", price) for number, price in enumerate(prices)]
    assert price_edges(products_frame(spark, shop)) == edges
