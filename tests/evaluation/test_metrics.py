"""Measures by hand, by their properties, and by scikit-learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, ndcg_score, recall_score, top_k_accuracy_score
from sklearn.metrics.pairwise import cosine_similarity

from spark_apps.evaluation import metrics
from tests.recommendation.catalogues import catalogue

K = 10
PRODUCTS = 40


def random_lists(seed: int, users: int = 60) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Scores of all products, which are relevant, and the hits of the lists of K."""
    random = np.random.default_rng(seed)
    scores = random.permuted(np.tile(np.arange(PRODUCTS, dtype=float), (users, 1)), axis=1)
    relevant = random.random((users, PRODUCTS)) < random.choice([0.03, 0.2, 0.6], (users, 1))
    relevant[np.arange(users), random.integers(0, PRODUCTS, users)] = True
    order = np.argsort(-scores, axis=1)[:, :K]
    return scores, relevant, np.take_along_axis(relevant, order, axis=1)


@pytest.mark.parametrize("seed", range(3))
def test_whole_catalogue_figures_are_those_of_scikit_learn(seed: int) -> None:
    scores, relevant, hits = random_lists(seed)
    counts = relevant.sum(axis=1)
    ndcg, recall = metrics.ndcg(hits, counts), metrics.recall(hits, counts)
    precision = metrics.average_precision(hits, counts)
    for user in range(len(scores)):
        assert ndcg[user] == pytest.approx(ndcg_score(relevant[user : user + 1], scores[user : user + 1], k=K))
        listed = scores[user] >= PRODUCTS - K
        assert recall[user] == pytest.approx(recall_score(relevant[user], listed))
        found = int(hits[user].sum())
        inside = average_precision_score(hits[user], -np.arange(K)) if found else 0.0
        assert precision[user] == pytest.approx(inside * found / min(K, counts[user]))


@pytest.mark.parametrize("seed", range(3))
def test_sampled_figures_are_those_of_scikit_learn(seed: int) -> None:
    scores = np.random.default_rng(seed).normal(size=(80, 100))
    ranks = metrics.rank_among(scores[:, 0], scores[:, 1:])
    first = np.zeros(scores.shape, int)
    first[:, 0] = 1
    expected = top_k_accuracy_score(np.zeros(80), scores, k=K, labels=np.arange(100))
    assert metrics.hit_rate_of_one(ranks, K).mean() == pytest.approx(expected)
    assert metrics.ndcg_of_one(ranks, K).mean() == pytest.approx(ndcg_score(first, scores, k=K))


def test_by_hand() -> None:
    hits = np.array([[1, 0, 1], [0, 0, 0], [0, 1, 0]], bool)
    relevant = np.array([2, 1, 5])
    np.testing.assert_allclose(metrics.recall(hits, relevant), [1, 0, 0.2])
    best_of_three = 1 + 1 / math.log2(3) + 0.5
    np.testing.assert_allclose(
        metrics.ndcg(hits, relevant), [1.5 / (1 + 1 / math.log2(3)), 0, 1 / math.log2(3) / best_of_three]
    )
    np.testing.assert_allclose(metrics.average_precision(hits, relevant), [(1 + 2 / 3) / 2, 0, 0.5 / 3])


def test_ties_count_against_the_model_and_unknown_products_are_missed() -> None:
    positive = np.array([1.0, 1.0, -np.inf, 0.5])
    negatives = np.array([[1.0, 1, 0], [0, 0, 0], [-np.inf, -np.inf, -np.inf], [np.nan, np.nan, 0.5]])
    ranks = metrics.rank_among(positive, negatives)
    assert ranks.tolist() == [2, 0, metrics.MISSED, 1]
    assert metrics.hit_rate_of_one(ranks, 2).tolist() == [0, 1, 0, 1]
    np.testing.assert_allclose(metrics.ndcg_of_one(ranks, 3), [0.5, 1, 0, 1 / math.log2(3)])


@given(st.lists(st.booleans(), min_size=K, max_size=K), st.integers(0, 30))
def test_figures_lie_between_0_and_1_and_a_better_order_is_never_worse(hits: list[bool], missed: int) -> None:
    relevant = np.array([max(1, sum(hits) + missed)] * 2)
    both = np.array([hits, sorted(hits, reverse=True)])
    for figure in (metrics.recall, metrics.ndcg, metrics.average_precision):
        given_order, best_order = figure(both, relevant)
        assert 0 <= given_order <= best_order + 1e-12 <= 1 + 2e-12


@given(st.integers(1, 30))
def test_a_list_full_of_relevant_products_is_perfect(relevant: int) -> None:
    hits = (np.arange(K) < relevant)[None, :]
    assert metrics.ndcg(hits, np.array([relevant]))[0] == pytest.approx(1)
    assert metrics.average_precision(hits, np.array([relevant]))[0] == pytest.approx(1)
    assert metrics.recall(hits, np.array([relevant]))[0] == pytest.approx(min(1, K / relevant))


def test_diversity_is_1_minus_the_mean_cosine_of_all_pairs() -> None:
    goods = catalogue(50)
    lists = np.random.default_rng(0).permuted(np.tile(np.arange(50), (20, 1)), axis=1)[:, :K]
    lists[0, 4:] = -1  # shorter
    found = metrics.diversity(lists, goods.terms, goods.weights)
    for row, places in enumerate(lists):
        cosines = cosine_similarity(goods.matrix[places[places >= 0]])
        assert found[row] == pytest.approx(1 - cosines[np.triu_indices(len(cosines), 1)].mean(), abs=1e-6)


def test_ten_of_a_kind_have_no_diversity_and_one_product_has_none_to_tell() -> None:
    terms, weights = np.array([[0, 1], [0, 1], [2, 3]], np.int32), np.full((3, 2), 0.5**0.5, np.float32)
    found = metrics.diversity(np.array([[0, 1], [0, 2], [2, -1], [-1, -1]]), terms, weights)
    np.testing.assert_allclose(found, [0, 1, np.nan, np.nan], atol=1e-6)


def test_novelty_is_the_mean_self_information() -> None:
    found = metrics.novelty(np.array([[0, 1], [2, -1], [-1, -1]]), np.array([8, 4, 1]), 8)
    np.testing.assert_allclose(found, [0.5, 3, np.nan])


def test_what_everybody_knows_is_no_news() -> None:
    """Also in a shop of one user: 0, which is not written as -0."""
    for found in metrics.novelty(np.array([[0], [1]]), np.array([1, 1]), 1):
        assert found == 0 and not np.signbit(found)


@given(st.integers(1, 12), st.integers(1, 30), st.integers(0, 99))
def test_figures_stay_in_their_range(users: int, number: int, seed: int) -> None:
    """Also for lists of one kind, of nothing, and for users who know nothing else or everything."""
    random = np.random.default_rng(seed)
    goods = catalogue(number, seed)
    places = np.stack([random.permutation(max(number, K))[:K] for _ in range(users)])
    places = np.where((places < number) & (random.random(places.shape) < random.random((users, 1)) * 2), places, -1)
    places[0] = places[0].max()  # ten of a kind
    hits = (random.random(places.shape) < random.choice([0, 0.5, 1], (users, 1))) & (places >= 0)
    relevant = np.maximum(hits.sum(axis=1), 1) + random.choice([0, 0, 100], users)
    for figure in (metrics.recall, metrics.ndcg, metrics.average_precision):
        found = figure(hits, relevant)
        assert (found >= 0).all() and (found <= 1 + 1e-12).all()
    diversity = metrics.diversity(places, goods.terms, goods.weights)
    listed = (places >= 0).sum(axis=1)
    np.testing.assert_array_equal(np.isnan(diversity), listed < 2)
    assert (diversity[listed > 1] >= 0).all() and (diversity[listed > 1] <= 1 + 1e-6).all()
    novelty = metrics.novelty(places, random.integers(0, users + 1, number), users)
    np.testing.assert_array_equal(np.isnan(novelty), listed == 0)
    assert (novelty[listed > 0] >= 0).all() and not np.signbit(novelty[listed > 0]).any()
