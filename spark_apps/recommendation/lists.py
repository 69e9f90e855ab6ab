"""The top products of every user, computed in Spark tasks from broadcast product factors (SPEC R4)."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.recommendation.topn import Exclusions, ItemFactors, TopLists, top_products

ALS_SOURCE = "als"
_LISTS = "user_id bigint, rank int, product_id bigint, score float"


def item_factors(frame: DataFrame) -> ItemFactors:
    """Brings product factors to the driver: products x rank x 4 bytes, 33 MB for 167,000 products of rank 50.

    Args:
        frame: product_id bigint, features array<float>.
    """
    table = frame.select("product_id", "features").toArrow().combine_chunks()
    return ItemFactors.sorted(
        table.column("product_id").to_numpy(), factor_matrix(table.column("features"), len(table))
    )


def lists_for_all(
    spark: SparkSession, user_factors: DataFrame, items: ItemFactors, excluded: DataFrame, n: int
) -> DataFrame:
    """Computes each user's n best products.

    Args:
        spark: the session.
        user_factors: user_id bigint, features array<float>.
        items: the product factors; broadcast to the tasks.
        excluded: user_id, excluded array<bigint>: products to leave out, at most one row per user.
        n: length of a list.

    Returns:
        user_id, rank (from 1), product_id, score.
    """
    rows = user_factors.join(excluded, on="user_id", how="left").select("user_id", "features", "excluded")
    # as bytes: with encryption on, PySpark cannot broadcast NumPy arrays (its stream wants a PickleBuffer's length)
    packed = spark.sparkContext.broadcast(pickle.dumps(items))
    return rows.mapInArrow(_list_maker(packed, n), _LISTS)


def products_to_exclude(interactions: DataFrame, purchased: bool, viewed: bool) -> DataFrame:
    """Collects, per user, the products that must not be recommended.

    Args:
        interactions: columns of schemas.INTERACTIONS.
        purchased: leave out what the user has bought.
        viewed: leave out everything the user has touched.

    Returns:
        user_id, excluded array<bigint>; a list is bounded by the products one user touched.
    """
    condition = F.lit(viewed) | (F.lit(purchased) & (F.col("purchases") > 0))
    chosen = interactions.where(condition)
    return chosen.groupBy("user_id").agg(F.collect_list("product_id").alias("excluded"))


def _list_maker(broadcast: object, n: int) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    def make_lists(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        items: ItemFactors = pickle.loads(broadcast.value)  # type: ignore[attr-defined]  # a Broadcast
        for batch in batches:
            yield _lists_of(batch, items, n)

    return make_lists


def _lists_of(batch: pa.RecordBatch, items: ItemFactors, n: int) -> pa.RecordBatch:
    users = batch.column(0).to_numpy()
    lists = top_products(factor_matrix(batch.column(1), len(users)), items, _exclusions(batch.column(2)), n)
    return _list_batch(users, lists)


def _list_batch(users: NDArray[np.int64], lists: TopLists) -> pa.RecordBatch:
    kept = np.isfinite(lists.scores)
    ranks = np.broadcast_to(np.arange(1, lists.ids.shape[1] + 1, dtype=np.int32), lists.ids.shape)
    repeated = np.broadcast_to(users[:, None], lists.ids.shape)
    columns = [pa.array(column[kept]) for column in (repeated, ranks, lists.ids, lists.scores)]
    return pa.RecordBatch.from_arrays(columns, names=["user_id", "rank", "product_id", "score"])


def factor_matrix(column: pa.Array | pa.ChunkedArray, rows: int) -> NDArray[np.float32]:
    """Returns a column of equally long float lists as a matrix of shape (rows, rank)."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    flat: NDArray[np.float32] = array.flatten().to_numpy()
    return flat.reshape(rows, -1) if rows else np.zeros((0, 0), np.float32)


def _exclusions(column: pa.ListArray) -> Exclusions:
    lengths = np.asarray(column.value_lengths().fill_null(0).to_numpy(zero_copy_only=False), np.int64)
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    return Exclusions(offsets, column.flatten().to_numpy().astype(np.int64))
