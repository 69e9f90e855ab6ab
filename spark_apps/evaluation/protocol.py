"""Every model on the same sampled users, inside Spark tasks (SPEC R5)."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from spark_apps.evaluation.blocks import RESULT, HeldOut, Judge
from spark_apps.recommendation.catalogue import Catalogue
from spark_apps.recommendation.histories import Histories
from spark_apps.recommendation.lists import factor_matrix

# users whose lists are made together; also the unit of work, so that results do not depend on partitions
USERS_PER_BLOCK = 512
_BLOCK = "block"


def sample_users(held: DataFrame, wanted: int, seed: int) -> DataFrame:
    """Draws the users to evaluate: those with the lowest hashes, the same whatever the partitions.

    Args:
        held: from `split.held_out`.
        wanted: most users to draw.
        seed: of the draw.

    Returns:
        user_id, at most `wanted` rows.
    """
    return held.select("user_id").distinct().orderBy(F.xxhash64("user_id", F.lit(seed)), "user_id").limit(wanted)


def user_rows(
    users: DataFrame, interactions: DataFrame, held: DataFrame, segments: DataFrame, factors: DataFrame
) -> DataFrame:
    """Brings together what models know of each user, and what they do not know.

    Args:
        users: from `sample_users`.
        interactions: columns of schemas.INTERACTIONS, of the training events.
        held: from `split.held_out`.
        segments: user_id, segment (int): the number of the user's segment.
        factors: user_id, features array<float>: ALS factors.

    Returns:
        user_id, segment, features, touched (product_id, score, bought, by product), held (first_time, product_id,
        score, by first time, then product). A row is bounded by what one user touched.
    """
    touched = F.struct("product_id", "score", (F.col("purchases") > 0).alias("bought"))
    later = F.struct("first_time", "product_id", "score")
    known = interactions.join(F.broadcast(users), on="user_id", how="left_semi")
    unknown = held.join(F.broadcast(users), on="user_id", how="left_semi")
    return (
        unknown.groupBy("user_id")
        .agg(_sorted_list(later).alias("held"))
        .join(known.groupBy("user_id").agg(_sorted_list(touched).alias("touched")), on="user_id", how="inner")
        .join(segments, on="user_id", how="left")
        .join(factors, on="user_id", how="left")
        .select("user_id", "segment", "features", "touched", "held")
    )


def _sorted_list(struct: Column) -> Column:
    return F.sort_array(F.collect_list(struct))


def judge_users(spark: SparkSession, rows: DataFrame, users: int, rank: int, judge: Judge) -> pa.Table:
    """Judges every user under every model.

    Args:
        spark: the session.
        rows: from `user_rows`.
        users: about how many rows there are: decides how many blocks they make.
        rank: length of the ALS factors.
        judge: catalogue and models; broadcast to the tasks.

    Returns:
        Rows of blocks.RESULT, by user and model, that come back to the driver: some 200 bytes per user and model,
        20 MB for 20,000 users and five models.
    """
    blocks = max(1, math.ceil(users / USERS_PER_BLOCK))
    # a hash of its own: the users were drawn by the lowest of the other one
    block = F.pmod(F.xxhash64("user_id", F.lit(judge.seed), F.lit(_BLOCK)), F.lit(blocks)).alias(_BLOCK)
    spread = rows.select("*", block).repartition(min(blocks, 4 * spark.sparkContext.defaultParallelism), _BLOCK)
    # as bytes: with encryption on, PySpark cannot broadcast NumPy arrays (its stream wants a PickleBuffer's length)
    packed = spark.sparkContext.broadcast(pickle.dumps(judge))
    judged = spread.groupBy(_BLOCK).applyInArrow(_block_judge(packed, rank), from_arrow_schema(RESULT))
    return judged.toArrow().sort_by([("user_id", "ascending"), ("model", "ascending")]).combine_chunks()


def _block_judge(broadcast: object, rank: int) -> Callable[[pa.Table], pa.Table]:
    def judge_block(rows: pa.Table) -> pa.Table:
        judge: Judge = pickle.loads(broadcast.value)  # type: ignore[attr-defined]  # a Broadcast
        block = rows.combine_chunks().sort_by("user_id")
        users, held = histories_of(block, judge.catalogue, rank), held_out_of(block, judge.catalogue)
        return judge.judge(users, held)

    return judge_block


def histories_of(block: pa.Table, catalogue: Catalogue, rank: int) -> Histories:
    """Returns the histories of a block of `user_rows`."""
    offsets, touched = _list_parts(block.column("touched"))
    places, known = catalogue.places(touched.field("product_id").to_numpy())
    if not known.all():
        raise ValueError("a product of the training interactions is not in the training catalogue")
    return Histories(
        users=block.column("user_id").to_numpy(),
        offsets=offsets,
        places=places,
        scores=touched.field("score").to_numpy().astype(np.float32),
        bought=touched.field("bought").to_numpy(zero_copy_only=False),
        segments=block.column("segment").fill_null(-1).to_numpy().astype(np.int32),
        factors=_factors(block.column("features"), rank),
    )


def held_out_of(block: pa.Table, catalogue: Catalogue) -> HeldOut:
    """Returns what the users of a block of `user_rows` touched later."""
    offsets, later = _list_parts(block.column("held"))
    places, known = catalogue.places(later.field("product_id").to_numpy())
    return HeldOut(offsets, np.where(known, places, -1), later.field("score").to_numpy())


def _list_parts(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], pa.StructArray]:
    lists = column.combine_chunks()
    offsets = np.concatenate([[0], np.cumsum(lists.value_lengths().to_numpy())]).astype(np.int64)
    return offsets, lists.flatten()


def _factors(column: pa.ChunkedArray, rank: int) -> NDArray[np.float32]:
    """Rows of zeros for users without factors."""
    there = column.combine_chunks().is_valid().to_numpy(zero_copy_only=False)
    factors = np.zeros((len(there), rank), np.float32)
    factors[there] = factor_matrix(column.drop_null(), int(there.sum())).reshape(-1, rank)
    return factors
