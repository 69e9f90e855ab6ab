"""ALS by Spark's MLlib, for interactions that do not fit one task (SPEC R1); saved as what it is, an ALSModel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
from pyspark.ml.recommendation import ALS, ALSModel
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_apps.engine.base import Engine, Relation
from spark_apps.engine.spark import SparkEngine
from spark_apps.settings import AlsParameters
from spark_apps.storage import StoragePath


@dataclass(frozen=True)
class Found:
    """What MLlib found.

    Attributes:
        model: with the ids of the model.
        users: user_id, features.
        products: product_id, features.
    """

    model: ALSModel
    users: DataFrame
    products: DataFrame

    def save(self, folder: StoragePath, by_user: StoragePath) -> None:
        """Writes the model, and the factors of all users."""
        self.model.write().overwrite().save(str(folder))
        self.users.write.parquet(str(by_user))

    def users_of(self, ids: pa.Array) -> pa.Table:
        """Returns the factors of users, at most as many as are asked for: user_id, features."""
        wanted = self.users.sparkSession.createDataFrame(pa.table({"user_id": ids}))
        return self.users.join(F.broadcast(wanted), on="user_id", how="left_semi").toArrow()


def fit(
    engine: Engine, inputs: Mapping[str, Relation], parameters: AlsParameters, seed: int, checkpoints: StoragePath
) -> Found:
    """Fits ALS on the inputs of `als.fit_model`.

    Args:
        engine: Spark's.
        inputs: interactions, held, and of user_index and product_index those whose ids need them.
        parameters: rank, iterations, regularisation, alpha.
        seed: of the starting factors.
        checkpoints: folder for what keeps the lineage short.
    """
    assert isinstance(engine, SparkEngine)
    frames = {name: engine.frame(relation) for name, relation in inputs.items()}
    users, products = frames.get("user_index"), frames.get("product_index")
    held = F.broadcast(frames["held"])
    learned = frames["interactions"].join(held, on=["user_id", "product_id"], how="left_anti")
    ratings = to_model_ids(to_model_ids(learned, "user_id", "user", users), "product_id", "item", products)
    ratings.sparkSession.sparkContext.setCheckpointDir(str(checkpoints))
    model = fit_ratings(ratings, parameters, seed)
    return Found(
        model,
        to_original_ids(model.userFactors, "id", "user_id", users).select("user_id", "features"),
        to_original_ids(model.itemFactors, "id", "product_id", products).select("product_id", "features"),
    )


def fit_ratings(ratings: DataFrame, parameters: AlsParameters, seed: int) -> ALSModel:
    """Fits ALS on implicit scores.

    Args:
        ratings: user int, item int, score double; a pair at most once; scores of 0 are ignored.
        parameters: rank, iterations, regularisation, alpha.
        seed: of the starting factors.
    """
    als = ALS(
        userCol="user",
        itemCol="item",
        ratingCol="score",
        implicitPrefs=True,
        rank=parameters.rank,
        maxIter=parameters.iterations,
        regParam=parameters.regularization,
        alpha=parameters.alpha,
        coldStartStrategy="drop",
        checkpointInterval=5,  # with the session's checkpoint folder: keeps the lineage short
        seed=seed,
    )
    return als.fit(ratings.where(F.col("score") != 0))


def to_model_ids(frame: DataFrame, column: str, name: str, index: DataFrame | None) -> DataFrame:
    """Replaces a column of original ids by the model's 32-bit ids, under a new name.

    Args:
        frame: with the column.
        column: original ids.
        name: of the model's.
        index: id, original; None where ids fit.
    """
    if index is None:
        return frame.withColumn(name, F.col(column).cast("int")).drop(column)
    joined = frame.join(index.withColumnRenamed("original", column), on=column, how="inner")
    return joined.withColumnRenamed("id", name).drop(column)


def to_original_ids(frame: DataFrame, name: str, column: str, index: DataFrame | None) -> DataFrame:
    """The inverse of `to_model_ids`."""
    if index is None:
        return frame.withColumn(column, F.col(name).cast("bigint")).drop(name)
    joined = frame.join(index.withColumnRenamed("id", name), on=name, how="inner")
    return joined.withColumnRenamed("original", column).drop(name)
