"""What a block of users did: the input of every recommender."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from spark_apps.recommendation.topn import Exclusions

# Rows are spread out for so many numbers at a time: 8 MB, near what a processor caches.
_DENSE_CELLS = 1_000_000


@dataclass(frozen=True)
class Histories:
    """A block of users in compressed rows: user i touched places[offsets[i]:offsets[i + 1]].

    Attributes:
        users: user ids, shape (users,).
        offsets: int64, shape (users + 1,).
        places: products touched, places in the catalogue, rising within a user.
        scores: implicit scores, float32, beside the places.
        bought: whether the user bought the product, beside the places.
        segments: number of the user's segment, -1 where it is not known, int32, shape (users,).
        factors: ALS factors, float32, shape (users, rank); zeros for users without.
    """

    users: NDArray[np.int64]
    offsets: NDArray[np.int64]
    places: NDArray[np.int64]
    scores: NDArray[np.float32]
    bought: NDArray[np.bool_]
    segments: NDArray[np.int32]
    factors: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.users)

    def matrix(self, products: int) -> csr_matrix:
        """Returns users x products: the scores, none below 0."""
        shape = (len(self), products)
        return csr_matrix((np.maximum(self.scores, 0), self.places, self.offsets), shape=shape)

    def left_out(self, purchased: bool, viewed: bool) -> Exclusions:
        """Returns the places not to recommend: bought ones, or all that were touched."""
        keep = np.full(len(self.places), viewed) | (self.bought & purchased)
        kept_before = np.r_[0, np.cumsum(keep)]
        return Exclusions(kept_before[self.offsets], self.places[keep])

    def rows(self, start: int, stop: int) -> Histories:
        """Returns users start to stop."""
        inside = slice(int(self.offsets[start]), int(self.offsets[stop]))
        return Histories(
            self.users[start:stop],
            self.offsets[start : stop + 1] - inside.start,
            self.places[inside],
            self.scores[inside],
            self.bought[inside],
            self.segments[start:stop],
            self.factors[start:stop],
        )


def spread_out(matrix: csr_matrix) -> Iterator[tuple[slice, NDArray[Any]]]:
    """Yields a matrix as dense rows, a block of them at a time.

    Args:
        matrix: in which no cell comes twice.

    Yields:
        Which rows they are, and the rows, until the next ones are asked for: they share the memory, which is not
        zeroed again but where something was.
    """
    rows, columns = matrix.shape
    at_once = min(rows, max(1, _DENSE_CELLS // max(1, columns)))
    dense = np.zeros((at_once, columns), matrix.dtype)
    for start in range(0, rows, max(1, at_once)):
        block = slice(start, min(start + at_once, rows))
        inside = slice(matrix.indptr[start], matrix.indptr[block.stop])
        row = np.repeat(np.arange(block.stop - start), np.diff(matrix.indptr[start : block.stop + 1]))
        cells = row, matrix.indices[inside]
        dense[cells] = matrix.data[inside]
        yield block, dense[: block.stop - start]
        dense[cells] = 0
