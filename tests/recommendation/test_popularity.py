"""Popular products over everybody, per category and per segment, and who gets them."""

from __future__ import annotations

from pyspark.sql import DataFrame, SparkSession

from spark_apps.recommendation.popularity import popular_products, popular_to_users_without_list
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
    return popular_products(interactions, products, segments, keep)


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


def test_users_without_a_list_get_what_their_segment_likes_and_they_may_have(spark: SparkSession) -> None:
    liked = popular_frame(spark, [(10, 1, 4.0), (10, 2, 3.0), (11, 3, 2.0), (12, 4, 8.0)])
    users = spark.createDataFrame(
        [(20, "VIP_Customers"), (21, "VIP_Customers"), (22, "Casual_Browsers")], "user_id bigint, segment string"
    )
    excluded = spark.createDataFrame([(21, [2, 77])], "user_id bigint, excluded array<bigint>")
    found = popular_to_users_without_list(users, liked, excluded, 2)
    assert dict(found.dtypes)["score"] == "float"
    assert [tuple(row) for row in found.orderBy("user_id", "rank").collect()] == [
        (20, 1, 1, 4.0, "popularity"),
        (20, 2, 2, 3.0, "popularity"),
        (21, 1, 1, 4.0, "popularity"),
        (21, 2, 3, 2.0, "popularity"),
        (22, 1, 4, 8.0, "popularity"),
        (22, 2, 1, 4.0, "popularity"),  # too few in the segment: everybody's
    ]
