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

# Users whose equations are solved together: some 20 KB each, at the usual length of a factor.
_AT_ONCE = 128
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
        for start in range(0, len(users), _AT_ONCE):
            self._fold_in(users, range(start, min(start + _AT_ONCE, len(users))), found)
        return found

    def _fold_in(self, users: Histories, numbers: range, found: Floats) -> None:
        """Sets the factors of some users: their equations are solved together, which is quicker."""
        equations, known = [], []
        for number in numbers:
            inside = slice(int(users.offsets[number]), int(users.offsets[number + 1]))
            equation = self._equation(users.places[inside], users.scores[inside])
            if equation is not None:
                equations.append(equation)
                known.append(number)
        if not equations:
            return
        matrices, wanted = (np.stack(column) for column in zip(*equations, strict=True))
        if self.regularization > 0:
            found[known] = np.linalg.solve(matrices, wanted[:, :, None])[:, :, 0]
            return
        # without a penalty, products fewer than a factor is long leave many solutions: the shortest is taken
        for number, matrix, one in zip(known, matrices, wanted, strict=True):
            found[number] = np.linalg.lstsq(matrix, one)[0]

    def _equation(self, places: NDArray[np.int64], scores: Floats) -> tuple[Doubles, Doubles] | None:
        """The matrix and the right-hand side of a user's equation; None where ALS knows none of the products."""
        told = scores != 0
        items, scores = self.als.factors_of(places[told]).astype(np.float64), scores[told]
        if not items.any():
            return None
        surplus = self.alpha * np.abs(scores).astype(np.float64)
        weight = self.regularization * (max(1, int((scores > 0).sum())) if self.scaled else 1)
        matrix = self._gram + (items.T * surplus) @ items
        matrix.flat[:: len(matrix) + 1] += weight
        return matrix, items.T @ ((1 + surplus) * (scores > 0))
