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
# Groups of columns, per place of a list, whose highest scores tell which ones a list may hold.
_GROUPS_PER_PLACE = 4
_LOWEST = np.finfo(np.float32).min
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
        users: user factors, float32, shape (users, rank); a user whose factors are all 0 has no list.
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
        reach = lengths * items.lengths[first] * _SLACK
        open_users = np.flatnonzero((lengths > 0) & (reach > scores[:, -1]))
        if not len(open_users):
            break
        found = users[open_users] @ items.factors[first:last].T
        left_out.mask(found, open_users, first, last)
        rows, places, values = _promising(found, scores[open_users, -1], n)
        rows = open_users[rows]
        best[rows], scores[rows] = _merged(
            items.ids,
            np.concatenate([best[rows], places + first], axis=1),
            np.concatenate([scores[rows], values], axis=1),
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


def _promising(scores: Floats, last: Floats, n: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Finds what may come into lists: in a row few more than the n highest scores, or than those above its last one.

    Args:
        scores: of a span, shape (users, products); -inf for products that are left out.
        last: the last score of each user's list so far; -inf where it is not full.
        n: length of a list.

    Returns:
        Rows with such scores, rising; beside each the columns, and their scores, filled up with scores of -inf.
    """
    bounds, no_list = last.copy(), np.flatnonzero(last == -np.inf)
    if len(no_list):
        bounds[no_list] = _reached_by(scores[no_list] if len(no_list) < len(scores) else scores, n)
    cells = np.flatnonzero((scores >= np.maximum(bounds, _LOWEST)[:, None]).ravel())
    rows, columns = np.divmod(cells, scores.shape[1])
    found, starts, counts = np.unique(rows, return_index=True, return_counts=True)
    beside = np.arange(len(cells)) - np.repeat(starts, counts)
    row = np.repeat(np.arange(len(found)), counts)
    places = np.zeros((len(found), int(counts.max(initial=0))), np.intp)
    values = np.full(places.shape, -np.inf, np.float32)
    places[row, beside], values[row, beside] = columns, scores.ravel()[cells]
    return found, places, values


def _reached_by(scores: Floats, n: int) -> Floats:
    """Returns a score of each row that at least n of its scores reach, and few more; -inf where fewer are there.

    Of groups of columns, n have a score that reaches the n-th highest of the groups' own highest scores.
    """
    columns = scores.shape[1]
    if columns < n:
        return np.full(len(scores), -np.inf, np.float32)
    width = max(1, columns // (_GROUPS_PER_PLACE * n))
    groups = columns // width
    highest = scores[:, : groups * width].reshape(len(scores), width, groups).max(axis=1)
    reached: Floats = np.partition(highest, groups - n, axis=1)[:, groups - n]
    return reached


def factor_matrix(column: pa.Array | pa.ChunkedArray, rows: int) -> NDArray[np.float32]:
    """Returns a column of equally long float lists as a matrix of shape (rows, rank)."""
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    flat: NDArray[np.float32] = array.flatten().to_numpy()
    return flat.reshape(rows, -1) if rows else np.zeros((0, 0), np.float32)
