"""The factor of a user from the products it touched, given the products' factors: one exact half-step of ALS.

Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets" (2008), equation 4:

    x = (YᵀY + Yᵀ(C - I)Y + λI)⁻¹ YᵀCp

with the confidence 1 + alpha * |score| of each product touched and the preference 1 where its score is above 0.
The engine implicit adds λ as it is; Spark's multiplies it by the number of the user's positive scores.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spark_apps.recommendation.histories import Histories
from spark_apps.recommendation.recommenders import AlsRecommender

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class FoldIn:
    """What it takes to fold users in.

    Attributes:
        als: the products' factors.
        regularization: λ.
        alpha: of the confidence.
        scaled: whether λ is multiplied by the number of a user's positive scores, as Spark's engine does.
    """

    als: AlsRecommender
    regularization: float
    alpha: float
    scaled: bool

    @cached_property
    def _gram(self) -> Doubles:
        items = self.als.items.factors.astype(np.float64)
        gram: Doubles = items.T @ items
        return gram

    def factors(self, users: Histories) -> Floats:
        """Returns the factors of users, zeros for those who touched nothing that ALS knows, shape (users, rank)."""
        found = np.zeros((len(users), self.als.rank), np.float32)
        for number in range(len(users)):
            inside = slice(int(users.offsets[number]), int(users.offsets[number + 1]))
            found[number] = self._factor(users.places[inside], users.scores[inside])
        return found

    def _factor(self, places: NDArray[np.int64], scores: Floats) -> Doubles:
        told = scores != 0
        items, scores = self.als.factors_of(places[told]).astype(np.float64), scores[told]
        if not items.any():
            return np.zeros(self.als.rank)
        surplus = self.alpha * np.abs(scores).astype(np.float64)
        weight = self.regularization * (max(1, int((scores > 0).sum())) if self.scaled else 1)
        matrix = self._gram + (items.T * surplus) @ items + weight * np.eye(items.shape[1])
        wanted = items.T @ ((1 + surplus) * (scores > 0))
        # without a penalty, products fewer than a factor is long leave many solutions: the shortest is taken
        solved: Doubles = np.linalg.solve(matrix, wanted) if weight > 0 else np.linalg.lstsq(matrix, wanted)[0]
        return solved
