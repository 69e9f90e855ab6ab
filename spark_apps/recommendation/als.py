"""Alternating least squares on implicit scores (SPEC R1), by one of two libraries, saved as Spark's ALSModel.

The rule behind `--als auto`: `implicit` is taken while the estimate

    pairs * BYTES_PER_PAIR + (users + products) * rank * BYTES_PER_FACTOR

stays below the setting als_task_memory, because it needs all interactions in one task; beyond that, `mllib`,
which spreads them. BYTES_PER_PAIR is what one pair takes in the task: 16 bytes of Arrow columns, 16 of
indices, and 8 in each of the two sparse matrices. BYTES_PER_FACTOR is a float kept twice (fitted, and as Arrow).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyspark.ml.recommendation import ALS, ALSModel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_apps.recommendation import implicit_engine
from spark_apps.settings import AlsLibrary, AlsParameters

BYTES_PER_PAIR = 48
BYTES_PER_FACTOR = 8
_USER, _ITEM, _COLD_START = "user", "item", "drop"


@dataclass(frozen=True)
class Size:
    """How much there is to factorise."""

    users: int
    products: int
    pairs: int


def task_bytes(size: Size, rank: int) -> int:
    """Returns the memory that implicit's task is estimated to take, in bytes."""
    return size.pairs * BYTES_PER_PAIR + (size.users + size.products) * rank * BYTES_PER_FACTOR


def choose_library(wanted: AlsLibrary, size: Size, rank: int, task_memory: int) -> AlsLibrary:
    """Returns the library to use: the one asked for, or by the rule above."""
    if wanted != "auto":
        return wanted
    return "implicit" if task_bytes(size, rank) <= task_memory else "mllib"


def fit_als(ratings: DataFrame, parameters: AlsParameters, library: AlsLibrary, seed: int, threads: int) -> ALSModel:
    """Fits ALS on implicit scores.

    Args:
        ratings: user int, item int, score double; a pair at most once.
        parameters: rank, iterations, regularisation, alpha.
        library: implicit or mllib.
        seed: of the starting factors.
        threads: threads of implicit's one task.

    Returns:
        Spark's ALSModel. Its factors are cached where implicit fitted them.
    """
    if library == "mllib":
        return _mllib(parameters, seed).fit(_scored(ratings))
    factors = implicit_engine.fit(_scored(ratings), parameters, seed, threads).persist()
    return als_model(
        factors.where(F.col("side") == implicit_engine.USER).select("id", "features"),
        factors.where(F.col("side") == implicit_engine.ITEM).select("id", "features"),
        parameters.rank,
    )


def fit_factors(
    ratings: DataFrame, parameters: AlsParameters, library: AlsLibrary, seed: int, threads: int
) -> DataFrame:
    """Fits ALS for somebody who needs no model and uses the factors once; nothing is cached.

    Args:
        ratings: as for `fit_als`, and so on.
        parameters: rank, iterations, regularisation, alpha.
        library: implicit or mllib.
        seed: of the starting factors.
        threads: threads of implicit's one task.

    Returns:
        side (implicit_engine.USER or ITEM), id, features; with implicit each use fits anew.
    """
    if library == "implicit":
        return implicit_engine.fit(_scored(ratings), parameters, seed, threads)
    model = _mllib(parameters, seed).fit(_scored(ratings))
    users = model.userFactors.select(F.lit(implicit_engine.USER).alias("side"), "id", "features")
    return users.unionByName(model.itemFactors.select(F.lit(implicit_engine.ITEM).alias("side"), "id", "features"))


def shows_interest(ratings: DataFrame) -> bool:
    """Says whether anybody's score is above 0: from removals alone ALS would make factors that say nothing.

    Args:
        ratings: with the column score.
    """
    return not ratings.where(F.col("score") > 0).isEmpty()


def _scored(ratings: DataFrame) -> DataFrame:
    return ratings.where(F.col("score") != 0)


def als_model(user_factors: DataFrame, item_factors: DataFrame, rank: int) -> ALSModel:
    """Makes Spark's ALSModel from factors.

    Args:
        user_factors: id int, features array<float> of length rank.
        item_factors: the same for items.
        rank: length of a factor.
    """
    jvm: Any = user_factors.sparkSession._jvm
    uid = f"ALS_{rank}"
    java = jvm.org.apache.spark.ml.recommendation.ALSModel(uid, rank, user_factors._jdf, item_factors._jdf)
    model = ALSModel(java)
    model._resetUid(uid)
    # what a model fitted by Spark carries, and without which the loaded one predicts nothing
    return model.setUserCol(_USER).setItemCol(_ITEM).setColdStartStrategy(_COLD_START)


def _mllib(parameters: AlsParameters, seed: int) -> ALS:
    return ALS(
        userCol=_USER,
        itemCol=_ITEM,
        ratingCol="score",
        implicitPrefs=True,
        rank=parameters.rank,
        maxIter=parameters.iterations,
        regParam=parameters.regularization,
        alpha=parameters.alpha,
        coldStartStrategy=_COLD_START,
        checkpointInterval=5,  # with the session's checkpoint folder: keeps the lineage short
        seed=seed,
    )
