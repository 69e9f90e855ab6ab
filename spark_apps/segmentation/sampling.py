"""Samples of users for the driver, whose size does not grow with the users."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_apps.segmentation.inputs import FEATURES, Floats, Scale

_STEPS = 2**40


@dataclass(frozen=True)
class Coreset:
    """Users who stand for all users in k-means.

    Attributes:
        points: their features in standard deviations, shape (users drawn, features).
        weights: how many users each stands for.
    """

    points: Floats
    weights: Floats


def sample_users(rows: DataFrame, users: int, wanted: int, seed: int) -> Floats:
    """Brings a seeded sample to the driver: about `wanted` users x 8 doubles, the same whatever the partitions.

    Args:
        rows: the result of `inputs.clustering_input`.
        users: its number of rows.
        wanted: users to sample; all of them where there are fewer.
        seed: of the sample.

    Returns:
        The clustering features, shape (users drawn, features), in the order of the users.
    """
    return _matrix(rows.where(_draw(seed) < F.lit(wanted / max(users, 1))).toArrow().sort_by("user_id"))


def coreset(rows: DataFrame, users: int, scale: Scale, wanted: int, seed: int) -> Coreset:
    """Brings a lightweight coreset to the driver: about twice `wanted` users, or all where they are fewer than that.

    Half of the chance to be drawn is the same for all users, half grows with the squared distance to the mean. So the
    few who are far from all others, and decide where centres lie, are in it (Bachem, Lucic, Krause, "Scalable k-means
    clustering via lightweight coresets", KDD 2018).

    Args:
        rows: the result of `inputs.clustering_input`.
        users: its number of rows.
        scale: of the features.
        wanted: users to draw by the one half, and by the other.
        seed: of the draw.
    """
    # standardised features have a mean squared distance of 1 each
    varying = max(1, int((scale.deviation > 0).sum()))
    chance = F.least(F.lit(1.0), F.lit(wanted / max(users, 1)) * (1 + _squared_distance(scale) / varying))
    drawn = rows.withColumn("chance", chance).where(_draw(seed) < F.col("chance")).toArrow().sort_by("user_id")
    return Coreset(scale.standardised(_matrix(drawn)), 1 / drawn.column("chance").to_numpy())


def _matrix(users: pa.Table) -> Floats:
    return np.column_stack([users.column(name).to_numpy() for name in FEATURES])


def _draw(seed: int) -> Column:
    """A number from 0 to below 1, by user and seed."""
    return F.pmod(F.xxhash64("user_id", F.lit(seed)), F.lit(_STEPS)) / F.lit(_STEPS)


def _squared_distance(scale: Scale) -> Column:
    distances = [
        F.pow((F.col(name) - F.lit(float(mean))) / F.lit(float(deviation)), F.lit(2.0))
        for name, mean, deviation in zip(FEATURES, scale.mean, scale.deviation, strict=True)
        if deviation > 0
    ]
    return sum(distances, F.lit(0.0))
