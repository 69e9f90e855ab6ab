"""The best products for a block of users: exact, and without scoring most of the catalogue.

No product can score more than its length times the user's (Cauchy and Schwarz), so products are scored
from the longest factor down, in spans, and a user is done when the list's last score is above what the next
span could reach. ALS gives rarely met products short factors: few users need more than the first span.

The same function serves the list of every user (in Spark tasks) and one user at the command line.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ids = NDArray[np.int64]

# Products of the first span; each next one is twice as wide, up to the widest.
FIRST_SPAN, WIDEST_SPAN = 2048, 8192
# Users scored at once: 32 MiB of scores in the widest span.
USERS_PER_BLOCK = 1024
# Items per group in the first selection.
_GROUP = 64
# Sums of float32 products may exceed the bound by rounding.
_SLACK = 1.0001


@dataclass(frozen=True)
class ItemFactors:
    """The products' side of a factor model, the longest factor first.

    Attributes:
        ids: product ids.
        factors: one row per product, float32, shape (products, rank), of falling length.
    """

    ids: Ids
    factors: Floats

    @staticmethod
    def sorted(ids: NDArray[np.integer[Any]], factors: Floats) -> ItemFactors:
        """Returns item factors from rows in any order; of equal lengths, the lower id comes first."""
        order = np.lexsort((ids, -_lengths(factors)))
        return ItemFactors(ids[order].astype(np.int64), factors[order])

    @cached_property
    def lengths(self) -> Floats:
        """The products' Euclidean lengths."""
        return _lengths(self.factors)

    @cached_property
    def _by_id(self) -> NDArray[np.intp]:
        return np.argsort(self.ids)

    def positions(self, ids: Ids) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
        """Returns where ids stand among the products, and which of them are there at all."""
        if not len(self.ids):
            return np.zeros(len(ids), np.intp), np.zeros(len(ids), np.bool_)
        found = np.minimum(np.searchsorted(self.ids, ids, sorter=self._by_id), len(self.ids) - 1)
        places: NDArray[np.intp] = self._by_id[found]
        return places, self.ids[places] == ids


def _lengths(factors: Floats) -> Floats:
    lengths: Floats = np.linalg.norm(factors, axis=1)
    return lengths


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


def top_products(users: Floats, items: ItemFactors, exclusions: Exclusions, n: int) -> TopLists:
    """Finds each user's n products with the highest factor product.

    Args:
        users: user factors, float32, shape (users, rank).
        items: product factors.
        exclusions: products to leave out, per user.
        n: length of a list.
    """
    n = min(n, len(items.ids))
    lists = TopLists(np.zeros((len(users), n), np.int64), np.full((len(users), n), -np.inf, np.float32))
    for start in range(0, len(users) if n else 0, USERS_PER_BLOCK):
        block = slice(start, min(start + USERS_PER_BLOCK, len(users)))
        best, scores = _best(users[block], items, exclusions.rows(block.start, block.stop), n)
        lists.ids[block], lists.scores[block] = items.ids[best], scores
    return lists


def _best(users: Floats, items: ItemFactors, exclusions: Exclusions, n: int) -> tuple[NDArray[np.intp], Floats]:
    """Returns the n best products' positions and scores of a block of users, in order."""
    best = np.zeros((len(users), n), np.intp)
    scores = np.full((len(users), n), -np.inf, np.float32)
    left_out, lengths = _LeftOut.of(exclusions, items), _lengths(users)
    for first, last in _spans(len(items.ids)):
        open_users = np.flatnonzero(lengths * items.lengths[first] * _SLACK > scores[:, -1])
        if not len(open_users):
            break
        found = users[open_users] @ items.factors[first:last].T
        left_out.mask(found, open_users, first, last)
        chosen = _select(found, min(n, last - first))
        best[open_users], scores[open_users] = _merged(
            items.ids,
            np.concatenate([best[open_users], chosen + first], axis=1),
            np.concatenate([scores[open_users], np.take_along_axis(found, chosen, axis=1)], axis=1),
            n,
        )
    return best, scores


def _spans(items: int) -> Iterator[tuple[int, int]]:
    first, width = 0, FIRST_SPAN
    while first < items:
        yield first, min(first + width, items)
        first, width = first + width, min(2 * width, WIDEST_SPAN)


def _merged(ids: Ids, places: NDArray[np.intp], scores: Floats, n: int) -> tuple[NDArray[np.intp], Floats]:
    """Keeps each row's n highest scores, in order of score, then of product id."""
    order = np.lexsort((ids[places], -scores), axis=1)[:, :n]
    return np.take_along_axis(places, order, axis=1), np.take_along_axis(scores, order, axis=1)


@dataclass(frozen=True)
class _LeftOut:
    """A block's exclusions as pairs of a user's row and a product's position, sorted by position."""

    rows: NDArray[np.intp]
    places: NDArray[np.intp]

    @staticmethod
    def of(exclusions: Exclusions, items: ItemFactors) -> _LeftOut:
        places, known = items.positions(exclusions.ids)
        rows = np.repeat(np.arange(len(exclusions.offsets) - 1), np.diff(exclusions.offsets))[known]
        order = np.argsort(places[known], kind="stable")
        return _LeftOut(rows[order], places[known][order])

    def mask(self, scores: Floats, users: NDArray[np.intp], first: int, last: int) -> None:
        """Takes the excluded products of a span out of the scores of some of the users."""
        inside = slice(*np.searchsorted(self.places, (first, last)))
        rows, places = self.rows[inside], self.places[inside]
        found = np.minimum(np.searchsorted(users, rows), len(users) - 1)
        here = users[found] == rows
        scores[found[here], places[here] - first] = -np.inf


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


def factor_matrix(column: pa.Array | pa.ChunkedArray, rows: int) -> NDArray[np.float32]:
    """Returns a column of equally long float lists as a matrix of shape (rows, rank)."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    flat: NDArray[np.float32] = array.flatten().to_numpy()
    return flat.reshape(rows, -1) if rows else np.zeros((0, 0), np.float32)
