"""Every recommender's lists are those of scoring the whole catalogue, and the blend is the formula's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from spark_apps.recommendation import histories as histories_module
from spark_apps.recommendation import hybrid as hybrid_module
from spark_apps.recommendation import recommenders
from spark_apps.recommendation.histories import Histories
from spark_apps.recommendation.hybrid import ALS_FLOOR, SOURCES, HybridRecommender
from spark_apps.recommendation.recommenders import (
    ContentRecommender,
    PopularityRecommender,
    Recommender,
    best_candidates,
)
from spark_apps.recommendation.topn import Exclusions, TopLists
from spark_apps.settings import BlendWeights
from tests.recommendation.catalogues import catalogue, histories, hybrid
from tests.recommendation.kinds import affinity_by_hand

N = 5


def everything(users: Histories, products: int) -> NDArray[np.int64]:
    return np.broadcast_to(np.arange(products), (len(users), products))


def by_full_sort(scores: NDArray[np.float64], excluded: Exclusions, n: int) -> TopLists:
    """The definition: all products, without the excluded, by score and then by place."""
    scores = scores.copy()
    for user in range(len(scores)):
        scores[user, excluded.ids[excluded.offsets[user] : excluded.offsets[user + 1]]] = -np.inf
    order = np.argsort(-scores, axis=1, kind="stable")[:, :n]
    return TopLists(order, np.take_along_axis(scores, order, axis=1).astype(np.float32))


def assert_same(found: TopLists, expected: TopLists) -> None:
    there = np.isfinite(expected.scores)
    np.testing.assert_array_equal(np.isfinite(found.scores), there)
    np.testing.assert_array_equal(found.ids[there], expected.ids[there])
    np.testing.assert_allclose(found.scores[there], expected.scores[there], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("viewed", [False, True])
def test_lists_are_those_of_the_whole_catalogue(viewed: bool) -> None:
    goods = catalogue(14)  # so few that the hybrid scores them all
    users = histories(30, len(goods))
    excluded = users.left_out(True, viewed)
    for model in (PopularityRecommender(goods), ContentRecommender(goods), hybrid(goods)):
        scores = model.scores(users, everything(users, len(goods)))
        assert_same(model.lists(users, excluded, N), by_full_sort(scores, excluded, N))


def test_users_without_factors_have_no_list_by_als() -> None:
    goods = catalogue(14)
    users, model = histories(6, len(goods)), hybrid(goods).als
    lists = model.lists(users, Exclusions.none(6), N)
    assert np.isfinite(lists.scores[:-1]).all() and not np.isfinite(lists.scores[-1]).any()


@given(st.integers(1, 8), st.integers(1, 6), st.integers(0, 50))
def test_candidates_count_once_and_never_when_excluded(columns: int, n: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    candidates = random.integers(-1, 6, (4, columns))
    scores = random.integers(0, 3, (4, 7)).astype(float)[np.arange(4)[:, None], candidates]
    excluded = Exclusions(np.array([0, 2, 2, 3, 3]), np.array([1, 4, 0]))
    found = best_candidates(candidates, scores, excluded, n)
    for user in range(4):
        out = set(excluded.ids[excluded.offsets[user] : excluded.offsets[user + 1]].tolist())
        offered = {int(p): s for p, s in zip(candidates[user], scores[user], strict=True) if p >= 0 and p not in out}
        expected = sorted(offered, key=lambda place: (-offered[place], place))[:n]
        assert found.ids[user][np.isfinite(found.scores[user])].tolist() == expected


def blend_by_hand(model: HybridRecommender, users: Histories, user: int, place: int) -> float:
    """One score straight from the formula in hybrid.py."""
    goods, weights = model.catalogue, model.weights
    inside = slice(users.offsets[user], users.offsets[user + 1])
    row = dict(zip(users.places[inside].tolist(), users.scores[inside].tolist(), strict=True))
    matrix = goods.matrix.toarray()
    profile = sum((max(score, 0.0) * matrix[p] for p, score in row.items()), np.zeros(matrix.shape[1]))
    length = np.linalg.norm(profile)
    cosine = float(profile @ matrix[place] / length) if length else 0.0
    where = np.flatnonzero(model.als.items.ids == place)
    als = float(users.factors[user] @ model.als.items.factors[where[0]]) if len(where) else 0.0
    liked = affinity_by_hand(goods, row, place)
    segment, band = users.segments[user], goods.price_band[place]
    lift = model.tastes.category_lift[segment, goods.category[place]]
    lift += model.tastes.band_lift[segment, band] if band >= 0 else 0.0
    return float(
        np.log(max(als, 0.0) + ALS_FLOOR)
        + weights.affinity * np.log(liked)
        + weights.content * cosine
        + weights.popularity * np.log1p(goods.popularity[place])
        + weights.segment * lift
    )


@pytest.mark.parametrize("content", [0.0, 1.3])
def test_the_blend_is_the_formula_s(content: float) -> None:
    goods = catalogue(40)
    users = histories(8, len(goods))
    model = hybrid(goods, weights=BlendWeights(affinity=0.6, content=content, popularity=0.2, segment=0.7))
    scores = model.scores(users, everything(users, len(goods)))
    expected = [[blend_by_hand(model, users, user, place) for place in range(len(goods))] for user in range(len(users))]
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-5)


def test_with_weights_of_nothing_the_order_is_that_of_als() -> None:
    goods = catalogue(600)
    users = histories(20, len(goods))
    model = hybrid(goods, weights=BlendWeights(affinity=0, content=0, popularity=0, segment=0))
    excluded = users.left_out(True, False)
    by_als = model.als.lists(users, excluded, N)
    known = by_als.scores > ALS_FLOOR
    np.testing.assert_array_equal(model.lists(users, excluded, N).ids[known], by_als.ids[known])


def test_candidates_lose_little_of_the_whole_catalogue() -> None:
    goods = catalogue(600)
    users, model = histories(100, len(goods)), hybrid(goods)
    excluded = users.left_out(True, False)
    found = model.lists(users, excluded, N)
    best = by_full_sort(model.scores(users, everything(users, len(goods))), excluded, N)
    shared = [len({*one.tolist()} & {*other.tolist()}) for one, other in zip(found.ids, best.ids, strict=True)]
    assert np.mean(shared) >= 0.9 * N


def test_every_recommendation_says_what_speaks_for_it() -> None:
    goods = catalogue(600)
    users, model = histories(40, len(goods)), hybrid(goods)
    found = model.explained(users, Exclusions.none(len(users)), N)
    als = model.als.scores(users, found.lists.ids)
    cosine = model.content.cosines(users, found.lists.ids)
    for user, rank in np.ndindex(found.lists.ids.shape):
        source = SOURCES[found.sources[user, rank]]
        expected = "als" if als[user, rank] > ALS_FLOOR else "content" if cosine[user, rank] >= 0.2 else "popularity"
        assert source == expected
    assert {SOURCES[source] for source in found.sources[-1]} <= {"content", "popularity"}


def test_a_product_that_nobody_bought_is_recommended_by_its_looks() -> None:
    goods = catalogue(600)
    users, model = histories(40, len(goods)), ContentRecommender(goods)
    lists = model.lists(users, users.left_out(True, True), 50)
    assert (goods.popularity[lists.ids[np.isfinite(lists.scores)]] == 0).any()


def test_large_vocabularies_are_spread_out_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    goods = catalogue(200)
    users = histories(50, len(goods))
    models: list[Recommender] = [ContentRecommender(goods), hybrid(goods, weights=BlendWeights(content=1))]
    at_once = [model.lists(users, users.left_out(True, False), N) for model in models]
    for module in (recommenders, histories_module):
        monkeypatch.setattr(module, "_DENSE_CELLS", 200)
    for model, expected in zip(models, at_once, strict=True):
        assert_same(model.lists(users, users.left_out(True, False), N), expected)


def test_a_block_of_users_does_not_show() -> None:
    goods = catalogue(300)
    users, model = histories(60, len(goods)), hybrid(goods)
    whole = model.lists(users, users.left_out(True, False), N)
    parts = [users.rows(user, user + 1) for user in range(len(users))]
    lists = [model.lists(part, part.left_out(True, False), N) for part in parts]
    assert_same(TopLists(np.vstack([one.ids for one in lists]), np.vstack([one.scores for one in lists])), whole)


def test_what_others_in_the_block_have_touched_does_not_show() -> None:
    goods = catalogue(300)
    users = replace(histories(20, len(goods)), factors=np.zeros((20, 4), np.float32))
    model = hybrid(goods, weights=BlendWeights(affinity=0, content=0, popularity=5, segment=0))
    none = Exclusions(np.r_[np.zeros(20, np.int64), 60], np.arange(60))  # the last may have none of sixty
    alone = model.lists(users.rows(0, 1), Exclusions.none(1), 4)
    np.testing.assert_array_equal(model.lists(users, none, 4).ids[:1], alone.ids)
    np.testing.assert_array_equal(model._candidates(users, model.affinity.shares_of(users), none, 4)[0][0, -1:], [-1])


def test_lifts_say_how_much_more_a_segment_cares() -> None:
    goods = catalogue(30)
    sums = np.vstack([np.where(goods.category == 0, 1e9, 1.0), goods.popularity])
    tastes = hybrid_module.SegmentTastes.of(goods, sums, kept=3)
    assert tastes.category_lift[0, 0] > 0 > tastes.category_lift[0, 1]
    np.testing.assert_allclose(tastes.category_lift[-1], 0, atol=1e-9)
    assert tastes.popular[1].tolist() == goods.most_popular[:3].tolist()
