"""What a hybrid proposes to users of whom one product is held back, ready to be ranked by other weights at once."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_apps.evaluation.batch_evaluation import K
from spark_apps.evaluation.metrics import MISSED, Values, ndcg_of_one
from spark_apps.recommendation.histories import Histories
from spark_apps.recommendation.hybrid import HybridRecommender, Parts
from spark_apps.recommendation.recommenders import allowed_candidates
from spark_apps.settings import BlendWeights

# Users whose candidates are found together: 512 x 200 candidates x rank 128 are 52 MB of factors.
_USERS_PER_BLOCK = 512


@dataclass(frozen=True)
class Candidates:
    """The candidates of a block of users, rising places, and what is blended of each.

    Attributes:
        parts: of the candidates.
        allowed: whether a candidate may be listed: it is none, comes again, or was seen in training where not.
        column: where each user's product held back stands among the candidates, -1 where it does not.
    """

    parts: Parts
    allowed: NDArray[np.bool_]
    column: NDArray[np.int64]

    @staticmethod
    def of(model: HybridRecommender, users: Histories, held: NDArray[np.int64]) -> Candidates:
        """Finds what a model proposes.

        Args:
            model: its weights do not matter.
            users: what they touched in training, which is left out of the lists.
            held: place of each user's product held back, -1 for none.
        """
        seen = users.left_out(purchased=True, viewed=True)
        candidates, parts = model.proposed(users, seen, K)
        order = np.argsort(candidates, axis=1, kind="stable")
        places = np.take_along_axis(candidates, order, axis=1)
        ordered: dict[str, Any] = {
            field.name: np.take_along_axis(getattr(parts, field.name), order, axis=1) for field in fields(parts)
        }
        allowed = allowed_candidates(places, seen)
        held_there = allowed & (places == held[:, None])
        column = np.where(held_there.any(axis=1), held_there.argmax(axis=1), -1)
        return Candidates(Parts(**ordered), allowed, column)

    def ndcg(self, weights: BlendWeights) -> Values:
        """Returns each user's NDCG@10 over the whole catalogue: that of the lists of a hybrid with these weights."""
        blend = np.where(self.allowed, self.parts.blended(weights), -np.inf)
        own = blend[np.arange(len(blend)), self.column][:, None]
        before = np.arange(blend.shape[1]) < self.column[:, None]
        ranks = ((blend > own) | ((blend == own) & before)).sum(axis=1)
        return ndcg_of_one(np.where(self.column >= 0, ranks, MISSED), K)


def candidates(model: HybridRecommender, users: Histories, held: NDArray[np.int64]) -> list[Candidates]:
    """Returns what a model proposes, users in blocks."""
    starts = range(0, len(users), _USERS_PER_BLOCK)
    blocks = [slice(start, min(start + _USERS_PER_BLOCK, len(users))) for start in starts]
    return [Candidates.of(model, users.rows(block.start, block.stop), held[block]) for block in blocks]


def mean_ndcg(blocks: list[Candidates], weights: BlendWeights) -> float:
    """Returns the mean NDCG@10 over the users of all blocks."""
    return float(np.concatenate([block.ndcg(weights) for block in blocks]).mean())
