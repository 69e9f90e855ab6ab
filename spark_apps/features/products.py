"""Product features (SPEC F2)."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from spark_apps.features.pairs import ratio, summed
from spark_apps.schemas import PRODUCT_FEATURES

# A product's popularity counts as if so many users of average enthusiasm had met it as well:
# one user's purchase moves it by a twentieth of the way.
PRIOR_USERS = 20


def product_features(pairs: DataFrame) -> DataFrame:
    """Computes one row of features per product.

    popularity is (3 purchases + 2 carts + views) / unique users. The smoothed score is the Bayesian
    average (points + PRIOR_USERS * m) / (unique users + PRIOR_USERS), where m is the mean of the
    points over all rows of `pairs`, so a product with few users stays near the mean.

    Args:
        pairs: `features.pairs.pair_sums` of the events.

    Returns:
        The columns of schemas.PRODUCT_FEATURES.
    """
    per_user = pairs.groupBy("user_id", "product_id").agg(
        *summed("events", "views", "carts", "purchases", "priced", "price_sum")
    )
    totals = per_user.groupBy("product_id").agg(
        *summed("events", "views", "carts", "purchases", "priced", "price_sum"),
        F.count("*").alias("unique_users"),
    )
    overall = pairs.agg((F.sum(_points()) / F.count("*")).alias("mean_popularity"))
    described = totals.join(_last_description(pairs), on="product_id", how="left").crossJoin(F.broadcast(overall))
    return described.select(*_columns())


def _points() -> Column:
    return 3 * F.col("purchases") + 2 * F.col("carts") + F.col("views")


def _last_description(pairs: DataFrame) -> DataFrame:
    """The category code and brand each product was last seen with; the last in the alphabet of equals."""
    seen = pairs.groupBy("product_id", "category_code", "brand").agg(F.max("last_time").alias("last_time"))
    newest = Window.partitionBy("product_id").orderBy(F.desc("last_time"), F.desc("category_code"), F.desc("brand"))
    first = seen.withColumn("place", F.row_number().over(newest)).where(F.col("place") == 1)
    return first.select("product_id", "category_code", "brand")


def _columns() -> list[Column]:
    users = F.col("unique_users")
    computed = {
        "avg_price": F.when(F.col("priced") > 0, F.col("price_sum") / F.col("priced")),
        "category": F.substring_index("category_code", ".", 1),
        "conversion": ratio(F.col("purchases"), F.col("views")),
        "popularity": _points() / users,
        "popularity_smoothed": (_points() + PRIOR_USERS * F.col("mean_popularity")) / (users + PRIOR_USERS),
    }
    return [computed.get(name, F.col(name)).alias(name) for name in PRODUCT_FEATURES.fieldNames()]
