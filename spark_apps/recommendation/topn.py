"""The best products for a block of users: one matrix product and an exact selection, in NumPy.

The same function serves the list of every user (in Spark tasks) and one user at the command line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]

# Scores of one block take at most this many bytes.
BLOCK_BYTES = 32 << 20
# Items per group in the first selection.
_GROUP = 64


@dataclass(frozen=True)
class ItemFactors:
    """The products' side of a factor model.

    Attributes:
        ids: product ids, rising.
        factors: one row per product, float32, shape (products, rank).
    """

    ids: Ids
    factors: Floats

    @staticmethod
    def sorted(ids: NDArray[np.integer[Any]], factors: Floats) -> ItemFactors:
        """Returns item factors from rows in any order."""
        order = np.argsort(ids)
        return ItemFactors(ids[order].astype(np.int64), factors[order])

    def positions(self, ids: Ids) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Returns where ids stand among the products, and which of them are there at all."""
        if not len(self.ids):
            return np.zeros(len(ids), np.intp), np.zeros(len(ids), np.bool_)
        places = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        return places, self.ids[places] == ids


@dataclass(frozen=True)
class Exclusions:
    """Products to leave out per user, in compressed rows: user i has ids[offsets[i]:offsets[i + 1]]."""

    offsets: NDArray[np.int64]
    ids: Ids

    @staticmethod
    def none(users: int) -> Exclusions:
        """Returns exclusions that leave nothing out."""
        return Exclusions(np.zeros(users + 1, np.int64), np.zeros(0, np.int64))

    def rows(self, start: int, stop: int) -> Exclusions:
        """Returns the exclusions of users start to stop."""
        offsets = self.offsets[start : stop + 1]
        return Exclusions(offsets - offsets[0], self.ids[offsets[0] : offsets[-1]])


@dataclass(frozen=True)
class TopLists:
    """Ranked lists: user i's best product first; a missing place has score -inf.

    Attributes:
        ids: product ids, shape (users, n).
        scores: their scores, shape (users, n).
    """

    ids: Ids
    scores: Floats


def rows_per_block(items: int) -> int:
    """Returns how many users are scored at once, so that their scores fit BLOCK_BYTES."""
    return max(1, BLOCK_BYTES // (4 * max(1, items)))


def top_products(users: Floats, items: ItemFactors, exclusions: Exclusions, n: int) -> TopLists:
    """Finds each user's n products with the highest factor product.

    Args:
        users: user factors, float32, shape (users, rank).
        items: product factors.
        exclusions: products to leave out, per user.
        n: length of a list.
    """
    n = min(n, len(items.ids))
    if not n or not len(users):
        return TopLists(np.zeros((len(users), n), np.int64), np.zeros((len(users), n), np.float32))
    scores = _scores(users, items, exclusions)
    best = _select(scores, n)
    rows = np.arange(len(scores))[:, None]
    order = np.lexsort((best, -scores[rows, best]), axis=1)  # by score, then by product id
    best = np.take_along_axis(best, order, axis=1)
    return TopLists(items.ids[best], scores[rows, best])


def _scores(users: Floats, items: ItemFactors, exclusions: Exclusions) -> Floats:
    scores: Floats = users @ items.factors.T
    places, known = items.positions(exclusions.ids)
    rows = np.repeat(np.arange(len(users)), np.diff(exclusions.offsets))
    scores[rows[known], places[known]] = -np.inf
    return scores


def _select(scores: Floats, n: int) -> NDArray[np.intp]:
    """Returns the columns of each row's n highest scores, in no order.

    The n highest scores lie in the n groups with the highest maxima, so only those groups are searched:
    finding maxima is one vectorised pass, far quicker than partitioning whole rows.
    """
    columns = scores.shape[1]
    groups = columns // _GROUP
    if groups < 2 * n:
        return _highest(scores, n)
    grouped = scores[:, : groups * _GROUP].reshape(len(scores), _GROUP, groups)
    best_groups = _highest(grouped.max(axis=1), n)
    inside = (np.arange(_GROUP) * groups)[None, None, :] + best_groups[:, :, None]
    rest = np.broadcast_to(np.arange(groups * _GROUP, columns), (len(scores), columns - groups * _GROUP))
    candidates = np.concatenate([inside.reshape(len(scores), -1), rest], axis=1)
    chosen = _highest(np.take_along_axis(scores, candidates, axis=1), n)
    columns_chosen: NDArray[np.intp] = np.take_along_axis(candidates, chosen, axis=1)
    return columns_chosen


def _highest(values: Floats, n: int) -> NDArray[np.intp]:
    """Returns the columns of each row's n highest values, in no order."""
    columns = values.shape[1]
    if n >= columns:
        return np.tile(np.arange(columns), (len(values), 1))
    highest: NDArray[np.intp] = np.argpartition(values, columns - n, axis=1)[:, columns - n :]
    return highest
