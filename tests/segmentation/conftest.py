"""Users in planted groups."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from pyspark.sql import DataFrame, SparkSession

from spark_apps.schemas import USER_FEATURES
from tests.factory import clean_event

Planted = tuple[DataFrame, dict[int, int]]

# Groups far apart: recency, frequency, monetary, conversion, abandonment, products, categories, mean price
CENTRES = (
    (2.0, 25.0, 3000.0, 0.30, 0.10, 80.0, 20.0, 300.0),
    (10.0, 8.0, 0.0, 0.00, 0.90, 40.0, 10.0, 900.0),
    (80.0, 1.0, 0.0, 0.00, 0.00, 1.0, 1.0, 50.0),
    (5.0, 2.0, 200.0, 0.90, 0.50, 3.0, 2.0, 1500.0),
)
COLUMNS = (
    "recency",
    "frequency",
    "monetary",
    "conversion_rate",
    "cart_abandonment",
    "unique_products",
    "unique_categories",
    "avg_price",
)
_WHOLE = {"recency", "frequency", "unique_products", "unique_categories"}


def user_row(user_id: int, **features: float | None) -> tuple[object, ...]:
    """One row of schemas.USER_FEATURES; what is not given is that of a single view."""
    seen = clean_event()["event_time"]
    usual: dict[str, object] = dict(zip(COLUMNS, (0, 1, 0.0, 0.0, 0.0, 1, 1, 10.0), strict=True))
    usual |= {"total_events": 1, "views": 1, "carts": 0, "purchases": 0, "removals": 0, "unique_brands": 1}
    usual |= {"sessions": 1, "mean_session_minutes": 0.0}
    usual |= {"first_seen": seen, "last_seen": seen, "preferred_hour": 0}
    row: dict[str, object] = {"user_id": user_id, **usual, **features}
    return tuple(row[name] for name in USER_FEATURES.fieldNames())


def features_frame(spark: SparkSession, rows: list[tuple[object, ...]]) -> DataFrame:
    """User features from `user_row`s."""
    return spark.createDataFrame(rows, USER_FEATURES)


def member(user_id: int, group: int, jitter: float) -> tuple[object, ...]:
    """A user of a planted group, its values off the group's centre by a share."""
    values = {name: value * (1 + jitter) for name, value in zip(COLUMNS, CENTRES[group], strict=True)}
    return user_row(user_id, **{name: round(v) if name in _WHOLE else v for name, v in values.items()})


@pytest.fixture(scope="session")
def plant(spark: SparkSession) -> Callable[[int], Planted]:
    """Makes so many users of each group; returns them and each one's group."""

    def plant_groups(per_group: int) -> Planted:
        random = np.random.default_rng(5)
        groups = {user: user % len(CENTRES) for user in range(per_group * len(CENTRES))}
        rows = [member(user, group, random.uniform(-0.05, 0.05)) for user, group in groups.items()]
        return features_frame(spark, rows).persist(), groups

    return plant_groups
