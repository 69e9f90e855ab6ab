"""Product features (SPEC F2)."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from pyspark.sql import Column, DataFrame, Window
from pyspark.sql import functions as F

from spark_apps.features.grouping import COUNTED_TYPES, grouped, summed
from spark_apps.features.pairs import ratio
from spark_apps.schemas import PRODUCT_FEATURES, STREAM_PRODUCTS

# A product's popularity counts as if so many users of average enthusiasm had met it as well:
# one user's purchase moves it by a twentieth of the way.
PRIOR_USERS = 20
_SUMS = ("events", *COUNTED_TYPES.values(), "priced", "price_sum")
_DESCRIPTION = ("category_code", "brand")
PRODUCT_SUMS = pa.schema([column for column in STREAM_PRODUCTS if column.name != "batch"])


def product_features(gathered: DataFrame) -> DataFrame:
    """Computes one row of features per product.

    popularity is (3 purchases + 2 carts + views) / unique users. The smoothed score is the Bayesian
    average (points + PRIOR_USERS * m) / (unique users + PRIOR_USERS), where m is the mean of the
    points over all (user, product) that met, so a product with few users stays near the mean.

    Args:
        gathered: the result of `features.gathering.gather`.

    Returns:
        The columns of schemas.PRODUCT_FEATURES.
    """
    return features_of(product_sums(gathered))


def product_sums(gathered: DataFrame) -> DataFrame:
    """Returns the products of `features.gathering.gather`: the columns of PRODUCT_SUMS.

    A product comes once for each of its descriptions and each task. Sums of disjoint events can be put together.
    """
    return gathered.where(F.col("unique_users").isNotNull()).select(*PRODUCT_SUMS.names)


def sum_products(pairs: pa.Table) -> pa.Table:
    """Adds up pairs by product and description.

    Args:
        pairs: the columns of `features.pairs.PAIR_SUMS`, a pair at most once.

    Returns:
        The columns of PRODUCT_SUMS.
    """
    sums = summed(*_SUMS)
    met = {"unique_users": ("user_id", "count", None), "last_time": ("last_time", "max", None)}
    return grouped(pairs, ["product_id", *_DESCRIPTION], sums | met).select(PRODUCT_SUMS.names).cast(PRODUCT_SUMS)


def newest_descriptions(sums: DataFrame) -> DataFrame:
    """Adds up `product_sums` of disjoint events to one row per product, described by its last event."""
    newest = Window.partitionBy("product_id").orderBy(F.desc("last_time"), F.desc("category_code"), F.desc("brand"))
    placed = sums.withColumn("place", F.row_number().over(newest))
    last = {name: F.first(F.when(F.col("place") == 1, F.col(name)), ignorenulls=True) for name in _DESCRIPTION}
    return placed.groupBy("product_id").agg(
        *_summed(*_SUMS, "unique_users"),
        *(column.alias(name) for name, column in last.items()),
        F.max("last_time").alias("last_time"),
    )


def merge_descriptions(sums: pa.Table) -> pa.Table:
    """Does what `newest_descriptions` does with what the driver holds: a catalogue, and what some batches add to it.

    Args:
        sums: `product_sums` of disjoint events.

    Returns:
        One row per product, in the order of their ids; the columns of `sums`.
    """
    # within a product its newest description last
    ordered = sums.sort_by([(name, "ascending") for name in ("product_id", "last_time", *_DESCRIPTION)])
    newest = {
        name: (name, "last", pc.ScalarAggregateOptions(skip_nulls=False)) for name in ("last_time", *_DESCRIPTION)
    }
    added = summed(*_SUMS, "unique_users")
    return grouped(ordered, ["product_id"], added | newest).select(sums.column_names).cast(sums.schema)


def features_of(sums: DataFrame) -> DataFrame:
    """Computes the features of products from `product_sums`, of one month or of several parts of it."""
    totals = newest_descriptions(sums)
    overall = sums.agg((F.sum(_points()) / F.sum("unique_users")).alias("mean_popularity"))
    return totals.crossJoin(F.broadcast(overall)).select(*_columns())


def _summed(*names: str) -> list[Column]:
    return [F.sum(name).alias(name) for name in names]


def _points() -> Column:
    return 3 * F.col("purchases") + 2 * F.col("carts") + F.col("views")


def _columns() -> list[Column]:
    users = F.col("unique_users")
    computed = {
        "avg_price": F.when(F.col("priced") > 0, F.col("price_sum") / F.col("priced")),
        "category": F.substring_index("category_code", ".", 1),
        "conversion": ratio(F.col("purchases"), F.col("views")),
        "popularity": _points() / users,
        "popularity_smoothed": (_points() + PRIOR_USERS * F.col("mean_popularity")) / (users + PRIOR_USERS),
    }
    return [computed.get(name, F.col(name)).alias(name) for name in PRODUCT_FEATURES.names]
