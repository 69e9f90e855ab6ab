"""A user's factor from the products it touched: the same half-step as the engines'."""

from __future__ import annotations

import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from pyspark.sql import SparkSession
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from spark_apps.engine import mllib
from spark_apps.recommendation import fold_in as folding
from spark_apps.recommendation.fold_in import FoldIn
from spark_apps.recommendation.histories import Histories
from spark_apps.recommendation.recommenders import AlsRecommender
from spark_apps.recommendation.topn import ItemFactors
from spark_apps.settings import AlsParameters

USERS, PRODUCTS, RANK, ALPHA, LAMBDA = 60, 40, 6, 2.0, 0.3


@pytest.fixture(scope="module")
def scores() -> NDArray[np.float32]:
    """Users x products, some of the scores below 0."""
    drawn = np.random.default_rng(5)
    met = drawn.random((USERS, PRODUCTS)) < 0.2
    met[np.arange(USERS), np.arange(USERS) % PRODUCTS] = True
    return np.where(met, drawn.integers(-2, 9, (USERS, PRODUCTS)), 0).astype(np.float32)


def histories(scores: NDArray[np.float32]) -> Histories:
    matrix = csr_matrix(scores)
    bought = np.zeros(matrix.nnz, np.bool_)
    segments, factors = np.zeros(USERS, np.int32), np.zeros((USERS, RANK), np.float32)
    places = matrix.indices.astype(np.int64)
    return Histories(np.arange(USERS), matrix.indptr.astype(np.int64), places, matrix.data, bought, segments, factors)


def fold_in(items: NDArray[np.float32], scaled: bool) -> FoldIn:
    return FoldIn(AlsRecommender(ItemFactors.sorted(np.arange(PRODUCTS), items), PRODUCTS), LAMBDA, ALPHA, scaled)


def test_it_is_the_half_step_of_implicit(scores: NDArray[np.float32]) -> None:
    confidence = csr_matrix(np.sign(scores) * (scores != 0) * (1 + ALPHA * np.abs(scores)))
    with threadpool_limits(1, "blas"):  # as implicit wants it, or it warns
        model = AlternatingLeastSquares(
            factors=RANK, regularization=LAMBDA, alpha=1.0, iterations=5, use_cg=False, random_state=3, num_threads=1
        )
        model.fit(confidence, show_progress=False)
        expected = model.recalculate_user(np.arange(USERS), confidence)
    found = fold_in(model.item_factors, scaled=False).factors(histories(scores))
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_with_scaled_regularisation_it_is_the_half_step_of_mllib(
    spark: SparkSession, scores: NDArray[np.float32]
) -> None:
    pairs = [(u, p, float(scores[u, p])) for u, p in zip(*np.nonzero(scores), strict=True)]
    ratings = spark.createDataFrame([(int(u), int(p), s) for u, p, s in pairs], "user int, item int, score double")
    parameters = AlsParameters(rank=RANK, iterations=3, regularization=LAMBDA, alpha=ALPHA)
    model = mllib.fit_ratings(ratings, parameters, 3)  # which ends with the half-step of the users
    items = np.zeros((PRODUCTS, RANK), np.float32)
    for row in model.itemFactors.collect():
        items[row["id"]] = row["features"]
    users = {row["id"]: row["features"] for row in model.userFactors.collect()}
    found = fold_in(items, scaled=True).factors(histories(scores))
    assert len(users) == USERS
    np.testing.assert_allclose(found, [users[user] for user in range(USERS)], atol=1e-3)


@pytest.mark.parametrize("products_at_once", [1, 7, 100, 8_192])
def test_users_are_folded_in_alike_whoever_stands_beside_them(
    scores: NDArray[np.float32], products_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folding, "_PRODUCTS_AT_ONCE", products_at_once)
    scores = np.where(np.arange(PRODUCTS) <= np.arange(USERS)[:, None], scores, 0)  # of all lengths, some empty
    items = np.random.default_rng(6).normal(size=(PRODUCTS, RANK)).astype(np.float32)
    found = fold_in(items, scaled=True).factors(histories(scores))
    for user, liked in enumerate(scores):
        told = liked != 0
        y, confidence = items[told].astype(np.float64), 1 + ALPHA * np.abs(liked[told])
        penalty = LAMBDA * max(1, (liked > 0).sum()) * np.eye(RANK)
        matrix = items.T.astype(np.float64) @ items + y.T @ np.diag(confidence - 1) @ y + penalty
        expected = np.linalg.solve(matrix, y.T @ (confidence * (liked[told] > 0)))
        np.testing.assert_allclose(found[user], expected if told.any() else np.zeros(RANK), rtol=1e-5, atol=1e-6)


def test_a_user_of_nothing_known_has_no_factor(scores: NDArray[np.float32]) -> None:
    nothing = fold_in(np.zeros((PRODUCTS, RANK), np.float32), scaled=False)
    assert not nothing.factors(histories(scores)).any()
