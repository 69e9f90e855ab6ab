"""A training's own check: the last product of some users is kept from the models, which then guess it (SPEC M2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from spark_apps.engine.base import Engine, Relation
from spark_apps.evaluation import held_back as holding
from spark_apps.evaluation.batch_evaluation import RESULT, Evaluator
from spark_apps.evaluation.held_back import Draw
from spark_apps.evaluation.protocol import (
    EVALUATED_USERS,
    SharedEvaluator,
    evaluate_users,
    gather_users,
    in_blocks,
    in_order,
)
from spark_apps.evaluation.summary import Summary
from spark_apps.recommendation import als, lists
from spark_apps.recommendation.hybrid import HybridRecommender
from spark_apps.recommendation.popularity import PLACED
from spark_apps.recommendation.recommenders import PopularityRecommender, Recommender
from spark_apps.settings import Settings
from spark_apps.storage import StoragePath, write_parquet
from spark_apps.storage.transaction import Transaction

# Of all users, at most so large a share lends its last product; fewer users than LEAST judge nothing.
SHARE, LEAST = 0.05, 100
_HELD, _JUDGED = "held", "judged"


@dataclass(frozen=True)
class Learned:
    """What models learn from: interactions, less those held back.

    Attributes:
        interactions: columns of schemas.INTERACTIONS.
        held: columns of held_back.HELD; no rows where too few users are there to judge models by.
        users: whose product is held back, at most the setting validation_users.
    """

    interactions: Relation
    held: Relation
    users: pa.Array

    def inputs(self) -> dict[str, Relation]:
        """Inputs of units that learn."""
        return {"interactions": self.interactions.select(*als.RATED), _HELD: self.held.select(*als.HELD.names)}


def wanted(users: int, settings: Settings) -> int:
    """Returns of how many users a product is held back; 0 where that were too few to judge models by.

    Args:
        users: how many users there are.
        settings: validation_users: the most to draw.
    """
    number = min(settings.validation_users, int(users * SHARE))
    return number if number >= LEAST else 0


def hold_back(
    engine: Engine, settings: Settings, transaction: Transaction, interactions: Relation, users: int
) -> Learned:
    """Draws users by a seeded hash and keeps the product each touched last from the models.

    Brings to this process a row of each drawn user from each task: at most validation_users a task.

    Args:
        engine: runs the units.
        settings: seed, and validation_users: the most to draw.
        transaction: holds what is drawn.
        interactions: columns of schemas.INTERACTIONS.
        users: how many users there are.
    """
    draw = Draw(wanted(users, settings), settings.seed)
    if not draw.users:
        return Learned(interactions, Relation((), holding.HELD), pa.array([], pa.int64()))
    inputs = {"interactions": interactions.select(*holding.TIMED)}
    drawn = engine.run(holding.draw_held_back, inputs, by="user_id", shared=draw)
    held = holding.held_back(drawn.results.get("drawn", holding.no_rows()), draw)
    file = transaction.scratch(_HELD) / "part-00000.zstd.parquet"
    write_parquet(file, held)
    return Learned(interactions, Relation((file,), holding.HELD), held["user_id"].combine_chunks())


def gather_evaluated(
    engine: Engine, learned: Learned, segments: Relation, factors: Relation, folder: StoragePath
) -> Relation:
    """Brings together what models know of the users whose product is held back, and that product.

    Args:
        engine: runs the unit.
        learned: from `hold_back`.
        segments: columns of schemas.USER_SEGMENTS.
        factors: als.USER_FACTORS.
        folder: new; for the rows, protocol.EVALUATED_USERS.
    """
    inputs = {
        "interactions": learned.interactions.select(*lists.TOUCHED),
        _HELD: learned.held,
        "segments": segments.select(*PLACED),
        "factors": factors,
    }
    engine.run(
        gather_users,
        inputs,
        by="user_id",
        outputs={"users": folder},
        shared=in_blocks(learned.users.to_numpy()),
    )
    return Relation.of(folder, EVALUATED_USERS)


def validate(
    engine: Engine,
    transaction: Transaction,
    hybrid: HybridRecommender,
    learned: Learned,
    segments: Relation,
    factors: Relation,
    names: list[str],
    known: int,
    seed: int,
) -> dict[str, Any]:
    """Lets popularity, ALS and the hybrid guess the products held back.

    Args:
        engine: runs the units.
        transaction: holds what is made on the way.
        hybrid: made from what was learned.
        learned: from `hold_back`.
        segments: columns of schemas.USER_SEGMENTS.
        factors: als.USER_FACTORS.
        names: of the segments, in the order of the model's tastes.
        known: users in training.
        seed: of negatives and resampling.

    Returns:
        Per model the figures of evaluation.batch_evaluation.FIGURES, each as value, low and high (95 %); and `users`.
    """
    models: list[Recommender] = [PopularityRecommender(hybrid.catalogue), hybrid.als, hybrid]
    evaluator = Evaluator(hybrid.catalogue, models, known, seed, hybrid.als)
    users = gather_evaluated(engine, learned, segments, factors, transaction.scratch(_JUDGED))
    shared = SharedEvaluator(evaluator, names)
    done = engine.run(evaluate_users, {"users": users}, by="block", shared=shared, row_seconds=shared.user_seconds)
    evaluated = in_order(done.result("evaluated", RESULT))
    summary = Summary(evaluated, [model.name for model in models], len(hybrid.catalogue), seed)
    found = {
        model: {measure: figure and figure.figures() for measure, figure in figures.items()}
        for model, figures in summary.models(hybrid.als.name).items()
    }
    return {"users": len(learned.users), **found}
