"""Alternating least squares on implicit scores by conjugate gradients, for blocks of users or products at once.

A half-step is that of the library implicit (Takács, Pilászy, Tikk, "Applications of the conjugate gradient method for
implicit feedback collaborative filtering", RecSys 2011): for each row x, whose pairs have the confidence c, from where
it is three steps towards the solution of

    (YᵀY + λI + Yᵀ(C - I)Y) x = Yᵀ c where c is above 0

from the same seeded start, so factors are those of the library to rounding, which nearly singular equations magnify.
Each step tells by how much it lowers what all this minimises, the objective of Hu, Koren and Volinsky ("Collaborative
Filtering for Implicit Feedback Datasets", ICDM 2008): so the end of the fit is known without ever adding it up.

The library works row by row, and a call of BLAS for a row of some ten pairs costs more than its arithmetic. Here rows
with as many pairs lie side by side: their products' factors are gathered once for all steps, and what all rows share,
x YᵀY, is one product of matrices.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

Floats = NDArray[np.float32]
STEPS = 3
# Lists are as good after an iteration that lowers the objective by a thousandth as after fifteen: see
# docs/decisions/0003-als-engines.md.
MIN_FALL = 1e-3
_START = 0.01
# Floats of gathered factors in a block: 1 MB stays in a core's cache through the steps.
_BLOCK_FLOATS = 1 << 18
# Longer rows are summed up in parts to a matrix of rank x rank.
_LONGEST = 4096
# Bits of a block's width: up to 15 pairs it is what rows have, beyond that at most an eighth more, filled with nothing.
_WIDTH_BITS = 4
# Of BLAS, a call for each row pays from so many pairs on.
_PAIRS_WORTH_A_CALL = 4
_SOLVED = 1e-20


@dataclass(frozen=True)
class _Side:
    """Rows of a matrix in the order of their widths: how many pairs each has room for.

    Attributes:
        order: rows of the matrix, in the order that they have here.
        ends: of each width, the first row after those that have it.
        widths: rising.
        places, confidence: of the pairs of row after row, filled up to its width with a confidence of 0.
    """

    order: NDArray[np.intp]
    ends: NDArray[np.intp]
    widths: NDArray[np.int64]
    places: NDArray[np.int32]
    confidence: Floats

    @staticmethod
    def of(matrix: csr_matrix) -> _Side:
        lengths = np.diff(matrix.indptr).astype(np.int64)
        unit = 1 << np.maximum(np.frexp(lengths)[1] - _WIDTH_BITS, 0).astype(np.int64)
        room = np.where(lengths > _LONGEST, lengths, -(-lengths // unit) * unit)
        order = np.argsort(room, kind="stable")
        widths, counts = np.unique(room, return_counts=True)
        starts = np.concatenate([[0], np.cumsum(room[order])])
        places, confidence = np.zeros(starts[-1], np.int32), np.zeros(starts[-1], np.float32)
        # where each pair of the matrix, row after row, comes to stand
        shift = np.empty(len(order), np.int64)
        shift[order] = starts[:-1] - matrix.indptr[order]
        for first in range(0, len(order), _BLOCK_FLOATS):
            last = min(first + _BLOCK_FLOATS, len(order))
            inside = slice(matrix.indptr[first], matrix.indptr[last])
            targets = np.arange(inside.start, inside.stop) + np.repeat(shift[first:last], lengths[first:last])
            places[targets], confidence[targets] = matrix.indices[inside], matrix.data[inside]
        return _Side(order, np.cumsum(counts), widths, places, confidence)

    def blocks(self, rank: int) -> Iterator[tuple[slice, NDArray[np.int32], Floats]]:
        """Yields rows, and of each the places and confidences of its pairs, shape (rows, width)."""
        first = start = 0
        for width, end in zip(self.widths.tolist(), self.ends.tolist(), strict=True):
            at_once = max(1, _BLOCK_FLOATS // (width * rank)) if width <= _LONGEST else 1
            while first < end:
                rows = slice(first, min(first + at_once, end))
                pairs = slice(start, start + (rows.stop - first) * width)
                shape = (rows.stop - first, width)
                yield rows, self.places[pairs].reshape(shape), self.confidence[pairs].reshape(shape)
                first, start = rows.stop, pairs.stop

    def renumbered(self, order: NDArray[np.intp]) -> _Side:
        """Returns the same rows, with places that stand in another order, in the same memory."""
        numbers = np.empty(len(order), np.int32)
        numbers[order] = np.arange(len(order))
        for start in range(0, len(self.places), _BLOCK_FLOATS):
            part = self.places[start : start + _BLOCK_FLOATS]
            part[:] = numbers[part]
        return self


def fit(
    confidence: csr_matrix,
    rank: int,
    iterations: int,
    regularization: float,
    seed: int,
    threads: int,
    min_fall: float = MIN_FALL,
) -> tuple[Floats, Floats, int]:
    """Finds the factors of users and products.

    Args:
        confidence: users x products; each has a pair, and none is 0. Of one below 0 the preference is 0.
        rank: length of a factor.
        iterations: how often first users, then products move, at most.
        regularization: λ.
        seed: of the start.
        threads: that work side by side; results do not depend on them.
        min_fall: the iteration that lowers the objective by no larger share of what is left of it is the last.

    Returns:
        Factors of users and of products, in the order of the matrix; and the number of iterations.
    """
    random = np.random.default_rng(seed)
    start = [random.random((size, rank), dtype=np.float32) * np.float32(_START) for size in confidence.shape]
    users = _Side.of(confidence)
    products = _Side.of(confidence.T.tocsr())
    users, products = users.renumbered(products.order), products.renumbered(users.order)
    of_users, of_products = start[0][users.order], start[1][products.order]
    del start
    objective = _objective_of_start(confidence, of_users, of_products)
    done, fall = 0, np.inf
    with ThreadPoolExecutor(threads) as pool:
        while done < iterations and fall > min_fall * objective:
            fall = _move(users, of_users, of_products, regularization, pool)
            fall += _move(products, of_products, of_users, regularization, pool)
            objective, done = objective - fall, done + 1
    return _in_order_of_matrix(of_users, users.order), _in_order_of_matrix(of_products, products.order), done


def _objective_of_start(confidence: csr_matrix, of_users: Floats, of_products: Floats) -> float:
    """Returns the objective of factors so small that a pair's score and the punishment of factors are next to nothing.

    Scores of all users and products together are not: the sum of their squares is that of the Grams' products.
    """
    preferred = np.maximum(confidence.data, 0).sum(dtype=np.float64)
    return float(preferred + np.vdot(of_users.T @ of_users, of_products.T @ of_products))


def _in_order_of_matrix(factors: Floats, order: NDArray[np.intp]) -> Floats:
    found = np.empty_like(factors)
    found[order] = factors
    return found


def _move(side: _Side, moved: Floats, others: Floats, regularization: float, pool: ThreadPoolExecutor) -> float:
    """Moves the factors of one side, in place; returns by how much the objective falls."""
    rank = others.shape[1]
    gram = others.T @ others + np.float32(regularization) * np.eye(rank, dtype=np.float32)
    # in the order of the blocks, whoever is done first
    return sum(pool.map(partial(_move_block, moved, others, gram), *zip(*side.blocks(rank), strict=True)))


def _move_block(
    moved: Floats, others: Floats, gram: Floats, rows: slice, places: NDArray[np.int32], confidence: Floats
) -> float:
    x = moved[rows]
    if places.shape[1] > _LONGEST:
        return _steps(x, *_summed(others, gram, places[0], confidence[0]), None)
    surplus = np.maximum(np.abs(confidence) - 1, 0)
    found = _Gathered(others.take(places, axis=0), surplus)
    return _steps(x, found.sums(np.maximum(confidence, 0)), gram, found)


def _summed(others: Floats, gram: Floats, places: NDArray[np.int32], confidence: Floats) -> tuple[Floats, Floats]:
    """Returns the right side of a long row's equation and its matrix."""
    wanted, matrix = np.zeros((1, len(gram)), np.float32), gram.copy()
    for start in range(0, len(places), _LONGEST):
        part = confidence[start : start + _LONGEST]
        factors = others.take(places[start : start + _LONGEST], axis=0)
        wanted += np.maximum(part, 0) @ factors
        matrix += (factors.T * (np.abs(part) - 1)) @ factors
    return wanted, matrix


@dataclass(frozen=True)
class _Gathered:
    """Factors of the pairs of some rows, shape (rows, width, rank), and what each pair's confidence has above 1."""

    factors: Floats
    surplus: Floats

    def scores(self, x: Floats) -> Floats:
        """Returns the product of each row's x with each of its pairs' factors."""
        if self.factors.shape[1] < _PAIRS_WORTH_A_CALL:
            found: Floats = np.einsum("ijk,ik->ij", self.factors, x)
            return found
        scores: Floats = np.matmul(self.factors, x[:, :, None])[:, :, 0]
        return scores

    def sums(self, weights: Floats) -> Floats:
        """Returns the sum of each row's pairs' factors, each with its weight."""
        if self.factors.shape[1] < _PAIRS_WORTH_A_CALL:
            found: Floats = np.einsum("ijk,ij->ik", self.factors, weights)
            return found
        sums: Floats = np.matmul(self.factors.transpose(0, 2, 1), weights[:, :, None])[:, :, 0]
        return sums

    def times(self, x: Floats) -> Floats:
        """Returns what the pairs add to the product of the equations' matrices and x."""
        return self.sums(self.surplus * self.scores(x))


def _steps(x: Floats, wanted: Floats, matrix: Floats, pairs: _Gathered | None) -> float:
    """Takes STEPS of conjugate gradients from x, in place; to the matrix that rows share, each may add its pairs.

    Returns by how much the objective falls: with each step by its size times the square of what is left of the
    right side (Hestenes and Stiefel, "Methods of conjugate gradients for solving linear systems", 1952, theorem 6:1).
    """

    def times(vectors: Floats) -> Floats:
        product: Floats = vectors @ matrix
        return product if pairs is None else product + pairs.times(vectors)

    rest, fall = wanted - times(x), 0.0
    direction, length = rest.copy(), _squares(rest, rest)
    for number in range(1, STEPS + 1):
        product = times(direction)
        step = _ratio(length, _squares(direction, product))
        x += step * direction
        fall += float(np.vdot(step, length))
        if number == STEPS:
            break
        rest -= step * product
        before, length = length, _squares(rest, rest)
        direction = rest + _ratio(length, before) * direction
    return fall


def _squares(left: Floats, right: Floats) -> Floats:
    found: Floats = np.einsum("ij,ij->i", left, right)[:, None]
    return found


def _ratio(above: Floats, below: Floats) -> Floats:
    """Returns quotients, 0 where a row is solved."""
    return np.divide(above, below, out=np.zeros_like(above), where=(above > _SOLVED) & (below > 0))
