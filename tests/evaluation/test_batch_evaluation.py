"""One block under a model whose scores are known: every figure by hand."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest

from spark_apps.evaluation.batch_evaluation import RESULT, Evaluator, HeldOut
from spark_apps.evaluation.negatives import NEGATIVES
from spark_apps.recommendation.catalogue import Catalogue
from spark_apps.recommendation.histories import Histories
from spark_apps.recommendation.recommenders import AlsRecommender, Places, Scores, best_candidates
from spark_apps.recommendation.topn import Exclusions, ItemFactors, TopLists
from tests.recommendation.catalogues import catalogue

PRODUCTS = 150


@dataclass(frozen=True)
class _ByPlace:
    """The lower the place, the better, for everybody; all of one score where `flat`."""

    flat: bool = False
    name: str = "by-place"

    def lists(self, users: Histories, excluded: Exclusions, n: int) -> TopLists:
        everything = np.broadcast_to(np.arange(PRODUCTS), (len(users), PRODUCTS))
        return best_candidates(everything, self.scores(users, everything), excluded, n)

    def scores(self, users: Histories, candidates: Places) -> Scores:
        return np.zeros(candidates.shape) if self.flat else -candidates.astype(np.float64)


@pytest.fixture(scope="module")
def goods() -> Catalogue:
    return catalogue(PRODUCTS)


@pytest.fixture(scope="module")
def als() -> AlsRecommender:
    places = np.array([10, 11])  # no other product has factors
    return AlsRecommender(ItemFactors.sorted(places, np.array([[1.0, 0], [0, 2]], np.float32)), PRODUCTS)


USERS = Histories(
    users=np.array([7, 8, 9]),
    offsets=np.array([0, 2, 3, 4]),
    places=np.array([0, 3, 0, 149]),
    scores=np.ones(4, np.float32),
    bought=np.zeros(4, np.bool_),
    segments=np.zeros(3, np.int32),
    factors=np.array([[1.0, 1], [0, 0], [0.5, 0.5]], np.float32),
)
# user 7: places 1, 11 and 10, the last of all; user 8: nobody knew the last; user 9: the worst place
HELD = HeldOut(
    offsets=np.array([0, 3, 5, 6]),
    places=np.array([1, 11, 10, 2, -1, 148]),
    scores=np.array([1.0, 3, 4, 1, 5, 1]),
)


@pytest.fixture(scope="module")
def evaluated(goods: Catalogue, als: AlsRecommender) -> pa.Table:
    models = [_ByPlace(), _ByPlace(flat=True, name="flat"), als]
    return Evaluator(goods, models, users=1000, seed=1, als=als).evaluate(USERS, HELD)


def column(evaluated: pa.Table, name: str, model: int) -> list[float]:
    rows = evaluated.filter(pa.array(evaluated.column("model").to_numpy() == model))
    values: list[float] = rows.column(name).to_pylist()
    return values


def test_there_is_a_row_per_user_and_model(evaluated: pa.Table) -> None:
    assert evaluated.schema == RESULT
    assert column(evaluated, "user_id", 1) == [7, 8, 9]
    assert evaluated.num_rows == 9


def test_lists_leave_out_what_was_seen_in_training(evaluated: pa.Table) -> None:
    assert column(evaluated, "listed", 0) == [
        [1, 2, 4, 5, 6, 7, 8, 9, 10, 11],
        [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    ]
    assert column(evaluated, "listed", 2) == [[11, 10], [], [11, 10]]
    assert column(evaluated, "user_coverage", 2) == [1, 0, 1]


def test_whole_catalogue_figures_count_every_held_out_product(evaluated: pa.Table) -> None:
    gained = 1 + 1 / math.log2(10) + 1 / math.log2(11)
    best_of_three = 1 + 1 / math.log2(3) + 0.5
    assert column(evaluated, "recall", 0) == pytest.approx([1, 1 / 2, 0])
    assert column(evaluated, "ndcg", 0) == pytest.approx(
        [gained / best_of_three, 1 / math.log2(3) / (1 + 1 / math.log2(3)), 0]
    )
    assert column(evaluated, "map", 0) == pytest.approx([(1 + 2 / 9 + 3 / 10) / 3, 0.5 / 2, 0])
    assert column(evaluated, "recall", 2) == pytest.approx([2 / 3, 0, 0])


def test_sampled_figures_are_of_the_last_product_among_the_negatives(evaluated: pa.Table) -> None:
    # place 10 among 99 of the 145 places that the user never touched: as many above it as were drawn below 10
    hits = column(evaluated, "hit_rate_sampled", 0)
    assert hits == [1, 0, 0]
    above = round(2 ** (1 / column(evaluated, "ndcg_sampled", 0)[0]) - 2)
    assert 2 <= above <= 7  # seven of them could have been drawn
    assert column(evaluated, "ndcg_sampled", 0)[1:] == [0, 0]


def test_a_model_that_cannot_tell_products_apart_hits_nothing(evaluated: pa.Table) -> None:
    assert column(evaluated, "hit_rate_sampled", 1) == [0, 0, 0]


def test_errors_are_of_pairs_with_factors_on_both_sides(evaluated: pa.Table) -> None:
    assert column(evaluated, "predicted", 2) == [2, 0, 0]
    assert column(evaluated, "squared_error", 2) == pytest.approx([(2 - 3) ** 2 + (1 - 4) ** 2, 0, 0])
    assert column(evaluated, "predicted", 0) == [0, 0, 0]


def test_novelty_and_diversity_are_of_the_lists(evaluated: pa.Table, goods: Catalogue) -> None:
    bits = -np.log2(goods.users[[11, 10]] / 1000).mean()
    cosine = float(goods.weights[10] @ (goods.weights[11] * (goods.terms[10] == goods.terms[11])))
    assert column(evaluated, "novelty", 2) == pytest.approx([bits, float("nan"), bits], nan_ok=True)
    assert column(evaluated, "diversity", 2) == pytest.approx(
        [1 - cosine, float("nan"), 1 - cosine], nan_ok=True, abs=1e-6
    )


def test_a_user_s_row_does_not_depend_on_the_block(evaluated: pa.Table, goods: Catalogue, als: AlsRecommender) -> None:
    evaluator = Evaluator(goods, [_ByPlace(), _ByPlace(flat=True, name="flat"), als], users=1000, seed=1, als=als)
    alone = evaluator.evaluate(USERS.rows(0, 1), HeldOut(HELD.offsets[:2], HELD.places[:3], HELD.scores[:3]))
    first = evaluated.filter(pa.array(evaluated.column("user_id").to_numpy() == 7))
    assert alone.combine_chunks().equals(first.combine_chunks())


def test_a_small_catalogue_offers_fewer_negatives(als: AlsRecommender) -> None:
    goods = catalogue(12)
    users = Histories(
        np.array([1]), np.array([0, 1]), np.array([0]), np.ones(1, np.float32), np.ones(1, np.bool_),
        np.zeros(1, np.int32), np.zeros((1, 2), np.float32),
    )  # fmt: skip
    small = AlsRecommender(als.items, 12)
    held = HeldOut(np.array([0, 1]), np.array([1]), np.ones(1))
    evaluated = Evaluator(goods, [_ByPlace(), small], users=10, seed=1, als=small).evaluate(users, held)
    assert NEGATIVES > 12 - 2
    assert evaluated.column("hit_rate_sampled").to_pylist() == [1, 0]
    assert [len(one) for one in evaluated.column("listed").to_pylist()] == [10, 0]
