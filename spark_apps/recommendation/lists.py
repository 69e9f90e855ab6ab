"""The top products of every user, computed in Spark tasks from a broadcast model (SPEC R4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.engine.sharing import Shared, share
from spark_apps.recommendation.catalogue import Catalogue
from spark_apps.recommendation.histories import Histories
from spark_apps.recommendation.hybrid import SOURCES, HybridRecommender
from spark_apps.recommendation.topn import Exclusions, factor_matrix
from spark_apps.settings import Settings

_LISTS = "user_id bigint, rank int, product_id bigint, score float, source string"
USERS_PER_BLOCK = 1024
_HISTORY = ("user_id", "segment", "features", "products", "scores", "bought")


def user_histories(interactions: DataFrame, segments: DataFrame, user_factors: DataFrame) -> DataFrame:
    """Gathers what is known of each user in one row.

    Args:
        interactions: columns of schemas.INTERACTIONS.
        segments: user_id, segment: one row per user.
        user_factors: user_id, features array<float>: users without are not in it.

    Returns:
        user_id, segment, features (null without), and side by side products array<bigint>, scores array<float> and
        bought array<boolean>: as long as one user's products are many.
    """
    touched = interactions.groupBy("user_id").agg(
        F.collect_list("product_id").alias("products"),
        F.collect_list(F.col("score").cast("float")).alias("scores"),
        F.collect_list(F.coalesce(F.col("purchases") > 0, F.lit(False))).alias("bought"),
    )
    known = segments.select("user_id", "segment").join(user_factors, on="user_id", how="left")
    return known.join(touched, on="user_id", how="inner").select(*_HISTORY)


def lists_for_all(
    spark: SparkSession, histories: DataFrame, model: HybridRecommender, segments: list[str], settings: Settings
) -> DataFrame:
    """Computes each user's best products.

    Args:
        spark: the session.
        histories: from `user_histories`.
        model: the recommender; broadcast to the tasks.
        segments: names of the segments, in the order of the model's tastes.
        settings: `top`, and which products are left out.

    Returns:
        user_id, rank (from 1), product_id, score, source.
    """
    return histories.mapInArrow(_list_maker(share(spark, model), segments, settings), _LISTS)


def _list_maker(
    shared: Shared[HybridRecommender], segments: list[str], settings: Settings
) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    n, purchased, viewed = settings.top, settings.exclude_purchased, settings.exclude_viewed

    def make_lists(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        model = shared.value()
        for users in blocks(batches, model.catalogue, segments, model.als.rank):
            yield _list_batch(users, model, users.left_out(purchased, viewed), n)

    return make_lists


def blocks(
    batches: Iterable[pa.RecordBatch], catalogue: Catalogue, segments: list[str], rank: int
) -> Iterator[Histories]:
    """Cuts batches of `user_histories` into blocks of users that fit the processor's caches."""
    for batch in batches:
        for start in range(0, batch.num_rows, USERS_PER_BLOCK):
            yield histories_of(batch.slice(start, USERS_PER_BLOCK), catalogue, segments, rank)


def histories_of(batch: pa.RecordBatch, catalogue: Catalogue, segments: list[str], rank: int) -> Histories:
    """Turns rows of `user_histories` into arrays.

    Args:
        batch: the columns of `user_histories`.
        catalogue: products that it does not hold are left out.
        segments: names of the segments; another name, or none, is -1.
        rank: length of a factor.
    """
    column = dict(zip(batch.schema.names, batch.columns, strict=True))
    lengths = np.asarray(column["products"].value_lengths().fill_null(0).to_numpy(zero_copy_only=False), np.int64)
    rows = np.repeat(np.arange(batch.num_rows), lengths)
    places, known = catalogue.places(column["products"].flatten().to_numpy(zero_copy_only=False))
    order = np.lexsort((places, rows))
    order = order[known[order]]  # the same sums in the same order, whatever order the rows came in
    counts = np.bincount(rows[order], minlength=batch.num_rows)
    numbers = {name: number for number, name in enumerate(segments)}
    return Histories(
        users=column["user_id"].to_numpy(),
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        places=places[order].astype(np.int64),
        scores=column["scores"].flatten().to_numpy(zero_copy_only=False).astype(np.float32)[order],
        bought=column["bought"].flatten().to_numpy(zero_copy_only=False).astype(np.bool_)[order],
        segments=np.array([numbers.get(name, -1) for name in column["segment"].to_pylist()], np.int32),
        factors=_factors(column["features"], batch.num_rows, rank),
    )


def _factors(column: pa.ListArray, rows: int, rank: int) -> NDArray[np.float32]:
    found = np.zeros((rows, rank), np.float32)
    there = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), np.bool_)
    if there.any():
        found[there] = factor_matrix(column.drop_null(), int(there.sum()))
    return found


def _list_batch(users: Histories, model: HybridRecommender, excluded: Exclusions, n: int) -> pa.RecordBatch:
    found = model.explained(users, excluded, n)
    lists = found.lists
    kept = np.isfinite(lists.scores)
    ranks = np.broadcast_to(np.arange(1, lists.ids.shape[1] + 1, dtype=np.int32), lists.ids.shape)
    repeated = np.broadcast_to(users.users[:, None], lists.ids.shape)
    products = model.catalogue.ids[lists.ids]
    columns = [pa.array(column[kept]) for column in (repeated, ranks, products, lists.scores)]
    sources = pa.DictionaryArray.from_arrays(pa.array(found.sources[kept]), pa.array(SOURCES)).cast(pa.string())
    return pa.RecordBatch.from_arrays([*columns, sources], names=["user_id", "rank", "product_id", "score", "source"])
