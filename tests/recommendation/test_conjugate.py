"""Conjugate gradients for blocks of rows, against the library implicit, which goes row by row."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from spark_apps.recommendation import conjugate

RANK, ITERATIONS, SEED = 5, 4, 3
# Equations that are far from singular, and such that are near it, of which 32 bits leave few digits.
FAR, NEAR = 50.0, 0.1
Factors = tuple[np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def confidence() -> csr_matrix:
    """Rows of 1 to 60 pairs, columns of other lengths, some confidences below 0."""
    random = np.random.default_rng(1)
    users, products = 300, 90
    wanted = np.zeros((users, products), np.float32)
    for user in range(users):
        chosen = random.choice(products, 1 + user % 60, replace=False, p=np.arange(1, products + 1) / 4095)
        wanted[user, chosen] = random.integers(2, 12, len(chosen)) * random.choice([1, 1, 1, -1], len(chosen))
    return csr_matrix(wanted)


def fit(confidence: csr_matrix, regularization: float, threads: int = 1) -> Factors:
    with threadpool_limits(1, "blas"):
        users, products, done = conjugate.fit(confidence, RANK, ITERATIONS, regularization, SEED, threads, min_fall=0)
    assert done == ITERATIONS
    return users, products


def by_the_library(confidence: csr_matrix, regularization: float, kind: type[np.floating]) -> Factors:
    """Factors in 32 or 64 bits, from the start in 32 bits."""
    random = np.random.default_rng(SEED)
    users, products = (random.random((size, RANK), dtype=np.float32) * np.float32(0.01) for size in confidence.shape)
    library = AlternatingLeastSquares(
        factors=RANK, iterations=ITERATIONS, regularization=regularization, alpha=1.0, num_threads=1, dtype=kind
    )
    library.user_factors, library.item_factors = users.astype(kind), products.astype(kind)
    library.fit(confidence, show_progress=False)
    return library.user_factors, library.item_factors


@pytest.mark.parametrize("regularization", [FAR, NEAR])
def test_factors_are_as_near_to_exact_ones_as_those_of_the_library(
    confidence: csr_matrix, regularization: float
) -> None:
    with threadpool_limits(1, "blas"):
        exact, library = (by_the_library(confidence, regularization, kind) for kind in (np.float64, np.float32))
    for found, others, wanted in zip(fit(confidence, regularization), library, exact, strict=True):
        assert np.abs(found - wanted).max() < 3 * np.abs(others - wanted).max() + 1e-6


@pytest.mark.parametrize(("name", "value"), [("_LONGEST", 7), ("_BLOCK_FLOATS", 64), ("_PAIRS_WORTH_A_CALL", 1)])
def test_how_rows_are_cut_into_blocks_changes_rounding_alone(
    confidence: csr_matrix, name: str, value: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fit(confidence, FAR)
    monkeypatch.setattr(conjugate, name, value)
    for found, expected in zip(fit(confidence, FAR), whole, strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_threads_change_nothing(confidence: csr_matrix, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conjugate, "_BLOCK_FLOATS", 256)
    for alone, together in zip(fit(confidence, NEAR), fit(confidence, NEAR, threads=3), strict=True):
        np.testing.assert_array_equal(alone, together)


def objective(confidence: csr_matrix, users: np.ndarray, products: np.ndarray) -> float:
    """Hu, Koren and Volinsky's, as it is written down, over all users and products."""
    weights = confidence.toarray().astype(np.float64)
    error = ((weights > 0) - users.astype(np.float64) @ products.T) ** 2
    punished = sum(float((factors.astype(np.float64) ** 2).sum()) for factors in (users, products))
    return float((np.where(weights, np.abs(weights), 1.0) * error).sum()) + NEAR * punished


def test_the_fit_ends_with_the_iteration_that_hardly_lowers_the_objective(confidence: csr_matrix) -> None:
    def fitted(iterations: int, min_fall: float) -> tuple[np.ndarray, np.ndarray, int]:
        return conjugate.fit(confidence, RANK, iterations, NEAR, SEED, 2, min_fall)

    with threadpool_limits(1, "blas"):
        left = [objective(confidence, *fitted(iterations, 0)[:2]) for iterations in range(1, 16)]
        falls = [before / after - 1 for before, after in pairwise(left)]
        for min_fall in (0.1, 0.015, 0.005):
            users, products, done = fitted(30, min_fall)
            assert 2 < done == 2 + next(place for place, fall in enumerate(falls) if fall <= min_fall)
            np.testing.assert_array_equal(users, fitted(done, 0)[0])
            np.testing.assert_array_equal(products, fitted(done, 0)[1])
