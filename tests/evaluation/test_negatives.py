"""Drawn negatives: never touched, none twice, all equally likely, and the user's own."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spark_apps.evaluation.negatives import NEGATIVES, sample_negatives
from spark_apps.recommendation.topn import Exclusions


def exclusions(lists: list[list[int]]) -> Exclusions:
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in lists])]).astype(np.int64)
    return Exclusions(offsets, np.array([place for one in lists for place in one], np.int64))


@given(st.lists(st.sets(st.integers(0, 299)), min_size=1, max_size=5), st.integers(-(2**40), 2**40))
def test_only_untouched_products_and_none_twice(touched: list[set[int]], first_user: int) -> None:
    users = np.arange(len(touched)) + first_user
    drawn = sample_negatives(users, exclusions([sorted(one) for one in touched]), 300, seed=3)
    assert drawn.shape == (len(users), NEGATIVES)
    for row, one in zip(drawn, touched, strict=True):
        kept = row[row >= 0]
        assert len(kept) == len(set(kept.tolist())) == min(NEGATIVES, 300 - len(one))
        assert not set(kept.tolist()) & one
        assert kept.max(initial=0) < 300


def test_every_untouched_product_is_equally_likely() -> None:
    users, touched = np.arange(3000), [0, 50, 51, 199]
    drawn = sample_negatives(users, exclusions([touched] * len(users)), 200, seed=0)
    counts = np.bincount(drawn.reshape(-1), minlength=200)
    assert not counts[touched].any()
    expected = len(users) * NEGATIVES / 196
    others = np.delete(counts, touched)
    # a hypergeometric count, 5 standard deviations wide
    assert np.abs(others - expected).max() < 5 * (expected * (1 - NEGATIVES / 196)) ** 0.5


def test_a_user_s_draw_depends_on_the_user_and_the_seed_alone() -> None:
    lists = [[1, 2], [3], [4, 5, 6]]
    together = sample_negatives(np.array([7, 8, 9]), exclusions(lists), 500, seed=1)
    alone = sample_negatives(np.array([8]), exclusions(lists[1:2]), 500, seed=1)
    np.testing.assert_array_equal(together[1], alone[0])
    other = sample_negatives(np.array([8]), exclusions(lists[1:2]), 500, seed=2)
    assert set(other[0]) != set(alone[0])
    assert set(together[0]) != set(together[1])


def test_a_catalogue_that_was_touched_whole_offers_nothing() -> None:
    assert (sample_negatives(np.array([1]), exclusions([[0, 1, 2]]), 3, seed=1) == -1).all()
