"""Popular products over everybody, per category and per segment."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession

from spark_apps.recommendation.popularity import popular_products, segment_scores
from spark_apps.schemas import INTERACTIONS, POPULAR_PRODUCTS
from tests.factory import clean_event

CATEGORIES = {1: "phones", 2: "phones", 3: "shoes", 4: "shoes"}
SEGMENTS = {10: "VIP_Customers", 11: "VIP_Customers", 12: "Casual_Browsers"}


def popular(spark: SparkSession, scores: list[tuple[int, int, float]], keep: int = 100) -> list[tuple[object, ...]]:
    found = popular_frame(spark, scores, keep)
    assert found.columns == POPULAR_PRODUCTS.fieldNames()
    return [tuple(row) for row in found.orderBy("scope", "key", "rank").collect()]


def popular_frame(spark: SparkSession, scores: list[tuple[int, int, float]], keep: int = 100) -> DataFrame:
    last = clean_event()["event_time"]
    interactions = spark.createDataFrame([(u, p, score, 1, 0, last) for u, p, score in scores], INTERACTIONS)
    products = spark.createDataFrame(list(CATEGORIES.items()), "product_id bigint, category string")
    segments = spark.createDataFrame(list(SEGMENTS.items()), "user_id bigint, segment string")
    return popular_products(segment_scores(interactions, segments), products, keep)


def test_each_scope_has_its_own_order(spark: SparkSession) -> None:
    scores = [(10, 1, 10.0), (11, 1, 1.0), (12, 1, 2.0), (10, 2, 5.0), (12, 3, 9.0), (11, 4, 5.0)]
    assert popular(spark, scores) == [
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


def test_each_list_is_kept_to_its_best(spark: SparkSession) -> None:
    scores = [(10, product, float(product)) for product in CATEGORIES]
    kept = popular(spark, scores, keep=1)
    assert [(scope, key, product) for scope, key, _, product, _ in kept] == [
        ("category", "phones", 2),
        ("category", "shoes", 4),
        ("global", "all", 4),
        ("segment", "VIP_Customers", 4),
    ]
