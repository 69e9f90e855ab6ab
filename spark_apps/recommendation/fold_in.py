"""The factor of a user from the products it touched, given the products' factors: one exact half-step of ALS.

Hu, Koren and Volinsky, "Collaborative Filtering for Implicit Feedback Datasets" (2008), equation 4:

    x = (YᵀY + Yᵀ(C - I)Y + λI)⁻¹ YᵀCp

with the confidence 1 + alpha * |score| of each product touched and the preference 1 where its score is above 0.
The engine implicit adds λ as it is; Spark's multiplies it by the number of the user's positive scores.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from spark_apps.recommendation.histories import Histories
from spark_apps.recommendation.recommenders import AlsRecommender

# Users whose equations are solved together, and products of theirs: some 10 MB at the usual length of a factor.
_USERS_AT_ONCE, _PRODUCTS_AT_ONCE = 256, 8_192
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
        counts = np.diff(users.offsets)
        for some in _blocks(counts):
            touched = np.arange(counts[some].max())[None, :] < counts[some][:, None]
            inside = (users.offsets[some][:, None] + np.arange(touched.shape[1]))[touched]
            items = np.zeros((*touched.shape, self.als.rank))
            scores = np.zeros(touched.shape)
            items[touched], scores[touched] = self.als.factors_of(users.places[inside]), users.scores[inside]
            found[some] = self._solved(items, scores)
        return found

    def _solved(self, items: Doubles, scores: Doubles) -> Doubles:
        """Solves the equations of some users.

        Args:
            items: factors of what each touched, shape (users, products, rank); zeros behind the last of a user's.
            scores: beside them, shape (users, products).
        """
        surplus, liked = self.alpha * np.abs(scores), scores > 0
        turned = items.transpose(0, 2, 1)
        matrices = self._gram + np.matmul(turned * surplus[:, None, :], items)
        weights = self.regularization * (np.maximum(1, liked.sum(axis=1)) if self.scaled else np.ones(len(items)))
        diagonal = np.arange(items.shape[2])
        matrices[:, diagonal, diagonal] += weights[:, None]
        wanted = np.matmul(turned, ((1 + surplus) * liked)[:, :, None])
        known = (items.any(axis=2) & (scores != 0)).any(axis=1)
        solved = np.zeros((len(items), items.shape[2]))
        if self.regularization > 0:
            solved[known] = np.linalg.solve(matrices[known], wanted[known])[:, :, 0]
            return solved
        # without a penalty, products fewer than a factor is long leave many solutions: the shortest is taken
        for user in np.flatnonzero(known):
            solved[user] = np.linalg.lstsq(matrices[user], wanted[user, :, 0])[0]
        return solved


def _blocks(counts: NDArray[np.int64]) -> Iterator[NDArray[np.intp]]:
    """Yields blocks of users who touched about as many products, so that little is filled with zeros."""
    order = np.argsort(counts, kind="stable")
    start = int(np.searchsorted(counts[order], 1))  # the others have no equation
    while start < len(order):
        ends = np.arange(start + 1, min(start + _USERS_AT_ONCE, len(order)) + 1)
        fitting = (ends - start) * counts[order[ends - 1]] <= _PRODUCTS_AT_ONCE
        end = int(ends[max(0, int(fitting.sum()) - 1)])
        yield order[start:end]
        start = end
