"""Every model on the same sampled users, inside Spark tasks (SPEC R5)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from spark_apps.engine.sharing import Shared, share
from spark_apps.evaluation.blocks import RESULT, HeldOut, Judge
from spark_apps.recommendation.catalogue import Catalogue
from spark_apps.recommendation.lists import histories_of, user_histories

# users whose lists are made together; also the unit of work, so that results do not depend on partitions
USERS_PER_BLOCK = 512
_BLOCK, _HELD = "block", "held"


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
        segments: user_id, segment: one row per user.
        factors: user_id, features array<float>: ALS factors.

    Returns:
        The columns of `recommendation.lists.user_histories`, and held (first_time, product_id, score, by first time,
        then product). A row is bounded by what one user touched.
    """
    known = user_histories(_of(users, interactions), _of(users, segments), factors)
    later = F.sort_array(F.collect_list(F.struct("first_time", "product_id", "score")))
    unknown = _of(users, held).groupBy("user_id").agg(later.alias(_HELD))
    return known.join(unknown, on="user_id", how="inner")


def _of(users: DataFrame, table: DataFrame) -> DataFrame:
    return table.join(F.broadcast(users), on="user_id", how="left_semi")


def judge_users(spark: SparkSession, rows: DataFrame, users: int, segments: list[str], judge: Judge) -> pa.Table:
    """Judges every user under every model.

    Args:
        spark: the session.
        rows: from `user_rows`.
        users: about how many rows there are: decides how many blocks they make.
        segments: names of the segments, in the order of the models' tastes.
        judge: catalogue and models; broadcast to the tasks.

    Returns:
        Rows of blocks.RESULT, by user and model, that come back to the driver: some 200 bytes per user and model,
        20 MB for 20,000 users and five models.
    """
    blocks = max(1, math.ceil(users / USERS_PER_BLOCK))
    # a hash of its own: the users were drawn by the lowest of the other one
    block = F.pmod(F.xxhash64("user_id", F.lit(judge.seed), F.lit(_BLOCK)), F.lit(blocks)).alias(_BLOCK)
    spread = rows.select("*", block).repartition(min(blocks, 4 * spark.sparkContext.defaultParallelism), _BLOCK)
    judged = spread.groupBy(_BLOCK).applyInArrow(_block_judge(share(spark, judge), segments), from_arrow_schema(RESULT))
    return judged.toArrow().sort_by([("user_id", "ascending"), ("model", "ascending")]).combine_chunks()


def _block_judge(shared: Shared[Judge], segments: list[str]) -> Callable[[pa.Table], pa.Table]:
    def judge_block(rows: pa.Table) -> pa.Table:
        judge = shared.value()
        (block,) = rows.sort_by("user_id").combine_chunks().to_batches()
        histories = histories_of(block, judge.catalogue, segments, judge.als.rank)
        return judge.judge(histories, held_out_of(block, judge.catalogue))

    return judge_block


def held_out_of(block: pa.RecordBatch, catalogue: Catalogue) -> HeldOut:
    """Returns what the users of a block of `user_rows` touched later."""
    lists = block.column(_HELD)
    later = lists.flatten()
    offsets = np.concatenate([[0], np.cumsum(lists.value_lengths().to_numpy())]).astype(np.int64)
    places, known = catalogue.places(later.field("product_id").to_numpy())
    return HeldOut(offsets, np.where(known, places, -1), later.field("score").to_numpy())
