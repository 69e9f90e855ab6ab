"""Popular products, for users and products without history (SPEC R4)."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from spark_apps.schemas import POPULAR_PRODUCTS

GLOBAL, CATEGORY, SEGMENT = "global", "category", "segment"
ALL = "all"
POPULARITY_SOURCE = "popularity"


def popular_products(interactions: DataFrame, products: DataFrame, segments: DataFrame, keep: int) -> DataFrame:
    """Ranks products over everybody, per top category and per segment.

    A product's score is the sum of its users' implicit scores. Each of them is capped, so no single user
    can lift a product far.

    Args:
        interactions: columns of schemas.INTERACTIONS.
        products: product_id, category.
        segments: user_id, segment.
        keep: length of each list.

    Returns:
        The columns of schemas.POPULAR_PRODUCTS; products that nobody likes are left out.
    """
    per_segment = (
        interactions.join(segments.select("user_id", "segment"), on="user_id", how="inner")
        .groupBy("segment", "product_id")
        .agg(F.sum("score").alias("score"))
        .join(products.select("product_id", "category"), on="product_id", how="inner")
    )
    # the three scopes in one aggregation; the columns that a scope does not group by are null in it
    scopes = per_segment.groupingSets(
        [["product_id"], ["product_id", "category"], ["product_id", "segment"]], "product_id", "category", "segment"
    ).agg(
        F.sum("score").alias("score"),
        F.grouping("category").alias("no_category"),
        F.grouping("segment").alias("no_segment"),
    )
    everything = scopes.select(
        F.when(F.col("no_segment") == 0, SEGMENT)
        .when(F.col("no_category") == 0, CATEGORY)
        .otherwise(GLOBAL)
        .alias("scope"),
        F.coalesce("segment", "category", F.lit(ALL)).alias("key"),
        "product_id",
        "score",
    )
    best = Window.partitionBy("scope", "key").orderBy(F.desc("score"), F.asc("product_id"))
    ranked = (
        everything.where(F.col("score") > 0).withColumn("rank", F.row_number().over(best)).where(F.col("rank") <= keep)
    )
    return ranked.select(*POPULAR_PRODUCTS.fieldNames())


def popular_to_users_without_list(users: DataFrame, popular: DataFrame, excluded: DataFrame, n: int) -> DataFrame:
    """Gives users without factors the most popular products of their segment, then of everybody.

    Args:
        users: user_id, segment: only those without a list of their own.
        popular: columns of schemas.POPULAR_PRODUCTS.
        excluded: user_id, excluded array<bigint>.
        n: length of a list.

    Returns:
        user_id, rank (from 1), product_id, score (float), source.
    """
    lists = F.broadcast(popular.select("scope", "key", "rank", "product_id", "score"))
    in_segment = (F.col("scope") == SEGMENT) & (F.col("key") == F.col("segment"))
    offered = users.select("user_id", "segment").join(lists, on=in_segment | (F.col("scope") == GLOBAL), how="inner")
    nearest = Window.partitionBy("user_id", "product_id").orderBy(F.desc("scope"))  # segment before global
    once = offered.withColumn("_place", F.row_number().over(nearest)).where(F.col("_place") == 1)
    open_to = once.join(excluded, on="user_id", how="left").where(
        ~F.coalesce(F.array_contains("excluded", F.col("product_id")), F.lit(False))
    )
    best = Window.partitionBy("user_id").orderBy(F.desc("scope"), F.asc("popular_rank"))
    ranked = open_to.withColumnRenamed("rank", "popular_rank").withColumn("rank", F.row_number().over(best))
    source = F.lit(POPULARITY_SOURCE).alias("source")
    score = F.col("score").cast("float").alias("score")
    return ranked.where(F.col("rank") <= n).select("user_id", "rank", "product_id", score, source)
