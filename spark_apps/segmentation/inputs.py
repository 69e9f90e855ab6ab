"""What users are clustered by: eight features, their units, and their scale."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

UNITS = {
    "recency": "days",
    "frequency": "active days",
    "monetary": "currency of the log",
    "conversion_rate": "purchases per view",
    "cart_abandonment": "share of carts",
    "unique_products": "products",
    "unique_categories": "categories",
    "avg_price": "currency of the log",
}
FEATURES = tuple(UNITS)
CLUSTER = "cluster"
_USERS_PER_PARTITION = 100_000
# Equal prices added up in another order differ in their last digits: these must not tell users apart.
_OF_PRICES, _PRICE_DIGITS = ("monetary", "avg_price"), 6
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of each feature."""

    mean: Floats
    deviation: Floats

    def standardised(self, points: Floats) -> Floats:
        """Returns points in standard deviations from the mean; a feature without spread is 0, as in Spark."""
        varies = self.deviation > 0
        scaled: Floats = np.where(varies, (points - self.mean) / np.where(varies, self.deviation, 1.0), 0.0)
        return scaled


def clustering_input(features: DataFrame, *kept: str) -> DataFrame:
    """Returns user_id, other columns to keep, and the clustering features as doubles; a missing mean price is 0."""
    return features.select("user_id", *kept, *(_clustered(name).alias(name) for name in FEATURES))


def _clustered(name: str) -> Column:
    value = F.coalesce(F.col(name).cast("double"), F.lit(0.0))
    return F.round(value, _PRICE_DIGITS) if name in _OF_PRICES else value


def in_fixed_order(rows: DataFrame, users: int) -> DataFrame:
    """Lays rows out in an order and in partitions that depend on the users alone; partitions are few.

    Args:
        rows: the result of `clustering_input`.
        users: its number of rows.
    """
    partitions = max(2, math.ceil(users / _USERS_PER_PARTITION))
    return rows.repartition(partitions, "user_id").sortWithinPartitions("user_id")
