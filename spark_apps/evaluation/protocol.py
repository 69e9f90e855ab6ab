"""Every model on the same sampled users, in tasks of either engine (SPEC R5)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from spark_apps.engine.base import Task
from spark_apps.engine.database import sql
from spark_apps.evaluation.batch_evaluation import Evaluator, HeldOut
from spark_apps.recommendation.catalogue import Catalogue
from spark_apps.recommendation.lists import histories_of

# Users whose lists are made together: blocks are cut from all drawn users, so that results depend on no engine.
USERS_PER_BLOCK = 512
# What a user takes under one model, about.
_USER_SECONDS = 1e-4
_HELD = "held"
_DRAWN = pa.schema([("user_id", pa.int64()), ("block", pa.int32())])
EVALUATED_USERS = pa.schema(
    [
        ("block", pa.int32()),
        ("user_id", pa.int64()),
        ("segment", pa.string()),
        ("features", pa.list_(pa.float32())),
        ("products", pa.list_(pa.int64())),
        ("scores", pa.list_(pa.float32())),
        ("bought", pa.list_(pa.bool_())),
        (_HELD, pa.list_(pa.struct([("product_id", pa.int64()), ("score", pa.float64())]))),
    ]
)


def in_blocks(users: NDArray[np.int64]) -> pa.Table:
    """Returns drawn users, rising, with the number of the block that each is evaluated in."""
    blocks = (np.arange(len(users)) // USERS_PER_BLOCK).astype(np.int32)
    return pa.table([np.sort(users), blocks], schema=_DRAWN)


def gather_users(task: Task) -> None:
    """Brings together what models know of drawn users, and what they do not know.

    Inputs: interactions, lists.TOUCHED; held, held_back.HELD; segments, popularity.PLACED; factors, als.USER_FACTORS:
    all of whole users. Shared: from `in_blocks`. Output: users, EVALUATED_USERS; a row is bounded by what one user
    touched.
    """
    task.database.register("drawn", task.shared)
    task.database.view("learned", sql("spark_apps.recommendation", "learned"))
    rows = task.database.batches(sql("spark_apps.evaluation", "evaluated_users"), EVALUATED_USERS)
    task.output("users", EVALUATED_USERS, rows)


@dataclass(frozen=True)
class SharedEvaluator:
    """Who evaluates, and the names of the segments in the order of the models' tastes."""

    evaluator: Evaluator
    segments: list[str]

    @property
    def user_seconds(self) -> float:
        """What a user takes of `evaluate_users`' time, about."""
        return _USER_SECONDS * len(self.evaluator.recommenders)


def evaluate_users(task: Task) -> None:
    """Evaluates every user of whole blocks under every model.

    Inputs: users, EVALUATED_USERS. Shared: SharedEvaluator. Gives `evaluated`, batch_evaluation.RESULT: some 200 bytes
    per user and model, 20 MB for 20,000 users and five models.
    """
    from threadpoolctl import threadpool_limits

    shared: SharedEvaluator = task.shared
    blocks = task.database.rows("select distinct block from users order by block")["block"].to_pylist()
    with threadpool_limits(1, "blas"):
        for number in blocks:
            text = f"select * from users where block = {number} order by user_id"
            (block,) = task.database.rows(text, EVALUATED_USERS).combine_chunks().to_batches()
            catalogue = shared.evaluator.catalogue
            histories = histories_of(block, catalogue, shared.segments, shared.evaluator.als.rank)
            task.give("evaluated", shared.evaluator.evaluate(histories, held_out_of(block, catalogue)))


def in_order(evaluated: pa.Table) -> pa.Table:
    """Puts what tasks of `evaluate_users` gave in the order of users and models."""
    return evaluated.sort_by([("user_id", "ascending"), ("model", "ascending")]).combine_chunks()


def held_out_of(block: pa.RecordBatch, catalogue: Catalogue) -> HeldOut:
    """Returns what users touched later, from their rows' column held: lists of product_id and score, in order."""
    lists = block.column(_HELD)
    later = lists.flatten()
    offsets = np.concatenate([[0], np.cumsum(lists.value_lengths().to_numpy())]).astype(np.int64)
    places, known = catalogue.places(later.field("product_id").to_numpy())
    return HeldOut(offsets, np.where(known, places, -1), later.field("score").to_numpy())
