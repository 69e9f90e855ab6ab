"""Ids for Spark's ALS, which takes 32-bit integers only.

Ids that fit are used as they are. Only where one does not, ids are numbered, and the numbering is
kept with the model.
"""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

LARGEST_INT = 2**31 - 1
INDEX_SCHEMA = "id int, original bigint"


@dataclass(frozen=True)
class IdIndexes:
    """Numberings of ids that do not fit 32 bits; None where they do."""

    users: DataFrame | None
    products: DataFrame | None


def fits_int(smallest: int | None, largest: int | None) -> bool:
    """Says whether ids between two bounds fit a 32-bit integer; no ids at all do."""
    return smallest is None or largest is None or (smallest >= -LARGEST_INT - 1 and largest <= LARGEST_INT)


def number_ids(spark: SparkSession, ids: DataFrame) -> DataFrame:
    """Numbers ids from 0 in their own order.

    Args:
        spark: the session.
        ids: one bigint column of distinct ids.

    Returns:
        id (int), original (bigint).
    """
    ordered = ids.toDF("original").orderBy("original")
    numbered = ordered.rdd.zipWithIndex().map(lambda pair: (pair[1], pair[0][0]))
    return spark.createDataFrame(numbered, "id bigint, original bigint").select(F.col("id").cast("int"), "original")


def to_model_ids(frame: DataFrame, column: str, name: str, index: DataFrame | None) -> DataFrame:
    """Replaces a column of original ids by the model's 32-bit ids, under a new name."""
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
