"""Sums of scores below 0, of nothing, and of very much: what is made of them is finite, and no product gets lost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from spark_apps.recommendation.affinity import Affinity
from spark_apps.recommendation.catalogue import Catalogue
from spark_apps.recommendation.fold_in import FoldIn
from spark_apps.recommendation.histories import Histories
from spark_apps.recommendation.hybrid import HybridRecommender, SegmentTastes
from spark_apps.recommendation.recommenders import AlsRecommender, ContentRecommender
from spark_apps.recommendation.topn import Exclusions, ItemFactors
from spark_apps.settings import BlendWeights
from tests.recommendation.catalogues import catalogue, histories, products

USERS, RANK = 5, 4
# removals of many users, of one, nothing, a view, a purchase, and a shop of a whole year
ODD_SCORES = (-1e6, -1001.0, -1000.0, -1.0, 0.0, 1.0, 5.0, 1e12)
odd_scores = st.sampled_from(ODD_SCORES) | st.floats(-1e9, 1e9)


@st.composite
def odd_shops(draw: st.DrawFn) -> tuple[Catalogue, NDArray[np.float64]]:
    """A catalogue of 1 to 12 products, and odd sums of scores by segment and place."""
    number, segments = draw(st.integers(1, 12)), draw(st.integers(1, 3))
    sums = np.array(draw(st.lists(odd_scores, min_size=number * segments, max_size=number * segments)))
    sums = sums.reshape(segments, number)
    goods = Catalogue.of(products(number, draw(st.integers(0, 20))))
    return replace(goods, popularity=sums.sum(axis=0)), sums


def odd_users(number: int, segments: int, scores: float | None) -> Histories:
    """Users of a shop; the same score for everything that they touched, where one is given."""
    users = histories(USERS, max(2, number), RANK, segments=segments)
    users = replace(users, places=np.minimum(users.places, number - 1))
    return users if scores is None else replace(users, scores=np.full(len(users.places), scores, np.float32))


def hybrid_of_shop(goods: Catalogue, sums: NDArray[np.float64], weights: BlendWeights) -> HybridRecommender:
    factors = np.random.default_rng(3).normal(size=(len(goods), RANK)).astype(np.float32)
    als = AlsRecommender(ItemFactors.sorted(np.arange(len(goods)), factors), len(goods))
    return HybridRecommender(goods, als, SegmentTastes.of(goods, sums, kept=20), weights)


@given(odd_shops())
def test_lifts_are_finite_whatever_scores_add_up_to(shop: tuple[Catalogue, NDArray[np.float64]]) -> None:
    goods, sums = shop
    tastes = SegmentTastes.of(goods, sums, kept=5)
    assert np.isfinite(tastes.category_lift).all() and np.isfinite(tastes.band_lift).all()
    np.testing.assert_allclose(tastes.category_lift[-1], 0, atol=1e-9)


@pytest.mark.parametrize("removed", [1001.0, 1e9])
def test_removals_of_one_product_leave_the_lift_of_its_category_to_the_others(removed: float) -> None:
    """What people took back is no interest, and takes none of the interest in other products away."""
    goods = catalogue(20)
    here = np.flatnonzero(goods.category == goods.category[0])
    assert len(here) > 1
    liked = np.full((1, len(goods)), 10.0)
    liked[0, here[0]] = 0
    with_removals = liked.copy()
    with_removals[0, here[0]] = -removed
    expected, found = (
        SegmentTastes.of(replace(goods, popularity=sums.sum(axis=0)), sums, kept=5) for sums in (liked, with_removals)
    )
    np.testing.assert_allclose(found.category_lift, expected.category_lift)
    np.testing.assert_allclose(found.band_lift, expected.band_lift)
    np.testing.assert_array_equal(found.popular, expected.popular)


@given(odd_shops(), st.none() | st.sampled_from((-1e6, -1.0, 0.0, 1.0, 10.0)), st.sampled_from((0.0, 1.0, 50.0)))
def test_every_list_holds_every_product_of_a_small_shop(
    shop: tuple[Catalogue, NDArray[np.float64]], score: float | None, weight: float
) -> None:
    goods, sums = shop
    model = hybrid_of_shop(goods, sums, BlendWeights(affinity=weight, content=1, popularity=weight, segment=weight))
    found = model.explained(odd_users(len(goods), len(sums), score), Exclusions.none(USERS), len(goods))
    for listed, scores in zip(found.lists.ids, found.lists.scores, strict=True):
        assert sorted(listed) == list(range(len(goods)))
        assert np.isfinite(scores).all() and (scores > 0).all() and (np.diff(scores) <= 0).all()


@given(odd_shops(), st.none() | st.sampled_from((-1e6, -1.0, 0.0, 1.0, 10.0)))
def test_affinities_and_cosines_stay_in_their_range(
    shop: tuple[Catalogue, NDArray[np.float64]], score: float | None
) -> None:
    goods, sums = shop
    users = odd_users(len(goods), len(sums), score)
    everything = np.broadcast_to(np.arange(len(goods)), (USERS, len(goods)))
    affinity = Affinity.of(goods)
    affinities = affinity.affinities(affinity.shares_of(users), everything)
    assert (affinities > 0).all() and (affinities <= 1 + 1e-9).all()
    cosines = ContentRecommender(goods).cosines(users, everything)
    assert (cosines >= 0).all() and (cosines <= 1 + 1e-6).all()
    assert np.isfinite(ContentRecommender(goods).scores(users, everything)).all()


@given(
    st.integers(1, 6),
    st.sampled_from((-1e6, -1.0, 0.0, 1.0, 10.0)),
    st.sampled_from((0.0, 1e-9, 0.1)),
    st.booleans(),
    st.booleans(),
)
def test_folded_in_factors_are_finite(
    number: int, score: float, regularization: float, scaled: bool, alike: bool
) -> None:
    """Also without a penalty, where products are fewer than factors are long, or are all the same."""
    factors = np.random.default_rng(5).normal(size=(number, RANK)).astype(np.float32)
    factors = np.repeat(factors[:1], number, axis=0) if alike else factors
    als = AlsRecommender(ItemFactors.sorted(np.arange(number), factors), number)
    found = FoldIn(als, regularization, 1.0, scaled).factors(odd_users(number, 1, score))
    assert np.isfinite(found).all()
