"""What `shopstream evaluate` still does with Spark's own frames, until it works in units: then this goes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema
from scipy.sparse import csr_matrix

from spark_apps.engine.sharing import Shared, share
from spark_apps.evaluation.blocks import RESULT, Judge
from spark_apps.evaluation.protocol import USERS_PER_BLOCK, held_out_of
from spark_apps.recommendation import mllib
from spark_apps.recommendation.als import MODEL_FACTORS, Ratings, factor_table, factorise
from spark_apps.recommendation.lists import histories_of
from spark_apps.settings import AlsLibrary, AlsParameters

USER, ITEM = 0, 1
_FACTORS = pa.schema([*MODEL_FACTORS, ("side", pa.int32())])
_BLOCK = "block"


def fit_als(
    ratings: DataFrame, parameters: AlsParameters, library: AlsLibrary, seed: int, threads: int
) -> tuple[DataFrame, DataFrame]:
    """Fits ALS on user int, item int, score; returns factors of users and of items: id, features."""
    if library == "mllib":
        model = mllib.fit_ratings(ratings, parameters, seed)
        return model.userFactors, model.itemFactors
    rated = ratings.where(F.col("score") != 0).select("user", "item", "score")
    fitted = rated.coalesce(1).mapInArrow(_fitter(parameters, seed, threads), from_arrow_schema(_FACTORS)).persist()
    users, items = (fitted.where(F.col("side") == side).select("id", "features") for side in (USER, ITEM))
    return users, items


def _fitter(
    parameters: AlsParameters, seed: int, threads: int
) -> Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]:
    def fit(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        held = [batch for batch in batches if batch.num_rows]
        if not held:
            return
        users, items, scores = (column.to_numpy() for column in pa.Table.from_batches(held).columns)
        user_ids, rows = np.unique(users, return_inverse=True)
        item_ids, columns = np.unique(items, return_inverse=True)
        confidence = (np.sign(scores) * (1.0 + parameters.alpha * np.abs(scores))).astype(np.float32)
        matrix = csr_matrix((confidence, (rows, columns)), shape=(len(user_ids), len(item_ids)))
        matrix.sort_indices()  # the same sums in the same order, whatever order the rows came in
        found = factorise(Ratings(user_ids, item_ids, matrix), parameters, seed, threads)
        sides = ((USER, found.users, found.user_factors), (ITEM, found.products, found.product_factors))
        for side, ids, factors in sides:
            rows_of_side = factor_table(MODEL_FACTORS, ids, factors)
            numbers = pa.array(np.full(len(ids), side, np.int32))
            yield from rows_of_side.append_column("side", numbers).to_batches(max_chunksize=8192)

    return fit


def shows_interest(ratings: DataFrame) -> bool:
    """Says whether anybody's score is above 0: from removals alone ALS would make factors that say nothing."""
    return not ratings.where(F.col("score") > 0).isEmpty()


def number_ids(spark: SparkSession, ids: DataFrame) -> DataFrame:
    """Numbers ids, one bigint column, from 0 in their own order: id (int), original (bigint)."""
    ordered = ids.toDF("original").orderBy("original")
    numbered = ordered.rdd.zipWithIndex().map(lambda pair: (pair[1], pair[0][0]))
    return spark.createDataFrame(numbered, "id bigint, original bigint").select(F.col("id").cast("int"), "original")


def segment_scores(interactions: DataFrame, segments: DataFrame) -> DataFrame:
    """Adds up what each segment's users think of each product: segment, product_id, score."""
    placed = interactions.join(segments.select("user_id", "segment"), on="user_id", how="inner")
    return placed.groupBy("segment", "product_id").agg(F.sum("score").alias("score"))


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
        What `lists.histories_of` and `protocol.held_out_of` take. A row is bounded by what one user touched.
    """
    touched = (
        _of(users, interactions)
        .groupBy("user_id")
        .agg(
            F.collect_list("product_id").alias("products"),
            F.collect_list(F.col("score").cast("float")).alias("scores"),
            F.collect_list(F.coalesce(F.col("purchases") > 0, F.lit(False))).alias("bought"),
        )
    )
    known = _of(users, segments).select("user_id", "segment").join(factors, on="user_id", how="left")
    later = F.sort_array(F.collect_list(F.struct("first_time", "product_id", "score")))
    unknown = _of(users, held).groupBy("user_id").agg(later.alias("held"))
    return known.join(touched, on="user_id", how="inner").join(unknown, on="user_id", how="inner")


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
