"""Popular products, for users and products without history (SPEC R4)."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from spark_apps.schemas import POPULAR_PRODUCTS

GLOBAL, CATEGORY, SEGMENT = "global", "category", "segment"
ALL = "all"


def segment_scores(interactions: DataFrame, segments: DataFrame) -> DataFrame:
    """Adds up what each segment's users think of each product.

    Each user's score is capped, so no single user can lift a product far.

    Args:
        interactions: columns of schemas.INTERACTIONS.
        segments: user_id, segment.

    Returns:
        segment, product_id, score: at most segments x products rows; a score is below 0 where removals outweigh.
    """
    placed = interactions.join(segments.select("user_id", "segment"), on="user_id", how="inner")
    return placed.groupBy("segment", "product_id").agg(F.sum("score").alias("score"))


def popular_products(scores: DataFrame, products: DataFrame, keep: int) -> DataFrame:
    """Ranks products over everybody, per top category and per segment, by their users' summed scores.

    Args:
        scores: from `segment_scores`.
        products: product_id, category.
        keep: length of each list.

    Returns:
        The columns of schemas.POPULAR_PRODUCTS; products that nobody likes are left out.
    """
    per_segment = scores.join(products.select("product_id", "category"), on="product_id", how="inner")
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
