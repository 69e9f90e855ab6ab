"""A training's own check: the last product of some users is kept from the models, which then guess it (SPEC M2)."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from spark_apps.evaluation.blocks import Judge
from spark_apps.evaluation.protocol import judge_users, user_rows
from spark_apps.evaluation.summary import Summary
from spark_apps.recommendation.hybrid import HybridRecommender
from spark_apps.recommendation.recommenders import PopularityRecommender, Recommender
from spark_apps.settings import Settings

# Of all users, at most so large a share lends its last product; fewer users than LEAST judge nothing.
SHARE, LEAST = 0.05, 100
# A user with fewer products would have hardly anything left to learn from.
_LEAST_PRODUCTS = 3


def wanted(users: int, settings: Settings) -> int:
    """Returns of how many users a product is held back; 0 where that were too few to judge models by.

    Args:
        users: how many users there are.
        settings: validation_users: the most to draw.
    """
    number = min(settings.validation_users, int(users * SHARE))
    return number if number >= LEAST else 0


def held_back(interactions: DataFrame, users: int, settings: Settings) -> DataFrame | None:
    """Draws users by a seeded hash and takes the product each touched last.

    Args:
        interactions: columns of schemas.INTERACTIONS.
        users: how many users there are.
        settings: seed, and validation_users: the most to draw.

    Returns:
        user_id, first_time, product_id, score: one row per drawn user, as `evaluation.split.held_out` has them; None
        where there are too few users to judge models by.
    """
    number = wanted(users, settings)
    if not number:
        return None
    drawn = F.xxhash64("user_id", F.lit(settings.seed))
    able = interactions.groupBy("user_id").agg(F.count("*").alias("products"))
    able = able.where(F.col("products") >= _LEAST_PRODUCTS).orderBy(drawn, "user_id").limit(number)
    last = Window.partitionBy("user_id").orderBy(F.desc("last_time"), F.desc("product_id"))
    theirs = interactions.join(F.broadcast(able.select("user_id")), on="user_id", how="left_semi")
    ranked = theirs.withColumn("place", F.row_number().over(last)).where(F.col("place") == 1)
    return ranked.select("user_id", F.col("last_time").alias("first_time"), "product_id", "score")


def without(interactions: DataFrame, held: DataFrame | None) -> DataFrame:
    """Returns the interactions that models may learn from."""
    if held is None:
        return interactions
    return interactions.join(
        F.broadcast(held.select("user_id", "product_id")), on=["user_id", "product_id"], how="left_anti"
    )


def validate(
    spark: SparkSession,
    hybrid: HybridRecommender,
    learned: DataFrame,
    held: DataFrame,
    segments: DataFrame,
    factors: DataFrame,
    names: list[str],
    known: int,
    seed: int,
) -> dict[str, Any]:
    """Lets popularity, ALS and the hybrid guess the products held back.

    Args:
        spark: the session.
        hybrid: made from what was learned.
        learned: the interactions that it learned from.
        held: from `held_back`.
        segments: user_id, segment.
        factors: user_id, features.
        names: of the segments, in the order of the model's tastes.
        known: users in training.
        seed: of negatives and resampling.

    Returns:
        Per model the figures of evaluation.blocks.FIGURES, each as value, low and high (95 %); and `users`.
    """
    users = held.select("user_id")
    models: list[Recommender] = [PopularityRecommender(hybrid.catalogue), hybrid.als, hybrid]
    judge = Judge(hybrid.catalogue, models, known, seed, hybrid.als)
    count = held.count()
    judged = judge_users(spark, user_rows(users, learned, held, segments, factors), count, names, judge)
    summary = Summary(judged, [model.name for model in models], len(hybrid.catalogue), seed)
    return {"users": count, **summary.models(hybrid.als.name)}
