"""The best products of a block of users, against sorting everything."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_apps.recommendation import topn
from spark_apps.recommendation.topn import Exclusions, ItemFactors, top_products

PROMISING = topn._promising


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, ItemFactors, Exclusions, int]:
    """Whole numbers as factors: products are exact in floats, and ties abound."""
    users, rank, n = draw(st.integers(0, 4)), draw(st.integers(1, 3)), draw(st.integers(0, 5))
    # around the sizes at which a group has one product more, and some are in no group
    edge = 4 * n * draw(st.sampled_from([0, 1, 2, 3, 16]))
    size = max(0, edge + draw(st.sampled_from([-1, 0, 1, 17, 63])))
    n = draw(st.sampled_from([n, n, n, size + 3]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    spread = draw(st.sampled_from([1, 3, 1000]))
    factors = random.integers(-spread, spread + 1, (size, rank + 1)).astype(np.float32)
    # some products at the edges of groups stand out for everybody
    whole = size // (4 * n or 1) * 4 * n
    edges = [place for place in (0, 4 * n, whole - 1, whole, size - 1) if 0 <= place < size]
    factors[:, -1] = 0
    factors[draw(st.lists(st.sampled_from(edges), max_size=3)) if edges else [], -1] = 8 * 10**6
    ids = np.arange(size) * 7 - 100
    unknown = np.array([10**6, 10**6 + 1])
    share = draw(st.sampled_from([0.0, 0.0, 0.1, 0.9]))
    lists = [
        np.concatenate([ids[random.random(size) < share], unknown[: draw(st.integers(0, 2))]]) for _ in range(users)
    ]
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in lists])]).astype(np.int64)
    flat = np.concatenate([np.zeros(0), *lists]).astype(np.int64)
    block = random.integers(-spread, spread + 1, (users, rank + 1)).astype(np.float32)
    block[:, -1] = 1
    return block, ItemFactors.sorted(ids, factors), Exclusions(offsets, flat), n


def fully_sorted(users: np.ndarray, items: ItemFactors, exclusions: Exclusions) -> list[list[tuple[float, int]]]:
    """Each user's products, the best first, and of equals the one with the lower id."""
    ranked = []
    for row, user in enumerate(users):
        left_out = set(exclusions.ids[exclusions.offsets[row] : exclusions.offsets[row + 1]].tolist())
        scores = [
            (float(user @ factor), int(product)) for product, factor in zip(items.ids, items.factors, strict=True)
        ]
        ranked.append(sorted((pair for pair in scores if pair[1] not in left_out), key=lambda p: (-p[0], p[1])))
    return ranked


@settings(max_examples=300, deadline=None)
@given(problems(), st.sampled_from([1, 100, 2048]), st.sampled_from([1, 3, 1024]))
def test_the_lists_are_those_of_a_full_sort(
    problem: tuple[np.ndarray, ItemFactors, Exclusions, int], first_span: int, users_per_block: int
) -> None:
    users, items, exclusions, n = problem
    with patch.multiple(topn, FIRST_SPAN=first_span, WIDEST_SPAN=4 * first_span, USERS_PER_BLOCK=users_per_block):
        lists = top_products(users, items, exclusions, n)
    assert lists.ids.shape == lists.scores.shape == (len(users), min(n, len(items.ids)))
    for row, everything in enumerate(fully_sorted(users, items, exclusions)):
        kept = np.isfinite(lists.scores[row])
        found = list(zip(lists.scores[row][kept].tolist(), lists.ids[row][kept].tolist(), strict=True))
        best = everything[:n]
        assert [score for score, _ in found] == [score for score, _ in best]
        assert len(set(found)) == len(found) and set(found) <= set(everything)
        assert found == sorted(found, key=lambda pair: (-pair[0], pair[1]))
        above_the_last = [pair for pair in best if pair[0] > best[-1][0]]
        assert found[: len(above_the_last)] == above_the_last


def test_equal_scores_are_listed_by_product_id() -> None:
    items = ItemFactors.sorted(np.array([30, 10, 20]), np.ones((3, 1), np.float32))
    lists = top_products(np.ones((1, 1), np.float32), items, Exclusions.none(1), 3)
    assert lists.ids.tolist() == [[10, 20, 30]]


def test_each_user_has_exclusions_of_their_own() -> None:
    items = ItemFactors.sorted(np.array([1, 2, 3]), np.array([[3.0], [2.0], [1.0]], np.float32))
    excluded = Exclusions(np.array([0, 2, 2, 3]), np.array([1, 99, 3]))
    lists = top_products(np.ones((3, 1), np.float32), items, excluded, 2)
    assert lists.ids.tolist() == [[2, 3], [1, 2], [1, 2]]


def test_a_user_with_everything_excluded_has_no_finite_place() -> None:
    items = ItemFactors.sorted(np.array([1, 2]), np.ones((2, 1), np.float32))
    lists = top_products(np.ones((1, 1), np.float32), items, Exclusions(np.array([0, 2]), np.array([1, 2])), 2)
    assert not np.isfinite(lists.scores).any()


def test_factors_are_kept_with_their_products_whatever_order_they_come_in() -> None:
    items = ItemFactors.sorted(np.array([5, 3, 9]), np.array([[5.0], [3.0], [9.0]], np.float32))
    assert items.ids.tolist() == [9, 5, 3]  # the longest first
    assert items.factors[:, 0].tolist() == [9, 5, 3]
    places, known = items.positions(np.array([9, 4, 100, 3]))
    assert known.tolist() == [True, False, False, True]
    assert places[known].tolist() == [0, 2]


def test_products_that_cannot_reach_the_list_are_not_scored() -> None:
    lengths = np.geomspace(1, 1e-6, 10_000)
    random = np.random.default_rng(3)
    directions = random.normal(size=(10_000, 8))
    factors = directions / np.linalg.norm(directions, axis=1)[:, None] * lengths[:, None]
    items = ItemFactors.sorted(np.arange(10_000), factors.astype(np.float32))
    spans: list[int] = []
    users = random.normal(size=(5, 8)).astype(np.float32)
    with patch.object(
        topn, "_promising", lambda scores, *rest: spans.append(scores.shape[1]) or PROMISING(scores, *rest)
    ):
        lists = top_products(users, items, Exclusions.none(5), 10)
    assert spans == [topn.FIRST_SPAN]
    best = np.sort(users @ items.factors.T, axis=1)[:, :-11:-1]
    np.testing.assert_allclose(lists.scores, best, rtol=1e-6)


def test_rounding_does_not_hide_a_product_that_is_parallel_to_the_user() -> None:
    random = np.random.default_rng(4)
    factor = random.normal(size=50).astype(np.float32)
    factors = np.tile(factor, (300, 1)) * (1 - np.arange(300)[:, None] * np.float32(1e-8))
    items = ItemFactors.sorted(np.arange(300), factors.astype(np.float32))
    with patch.multiple(topn, FIRST_SPAN=1, WIDEST_SPAN=1):
        lists = top_products(factor[None, :], items, Exclusions.none(1), 5)
    assert lists.scores.min() >= np.sort(items.factors @ factor)[-5] * (1 - 1e-6)


def test_a_user_without_factors_has_no_list() -> None:
    items = ItemFactors.sorted(np.array([1, 2]), np.ones((2, 1), np.float32))
    lists = top_products(np.array([[0.0], [1.0]], np.float32), items, Exclusions.none(2), 1)
    assert lists.ids[1].tolist() == [1]
    assert np.isfinite(lists.scores).tolist() == [[False], [True]]
