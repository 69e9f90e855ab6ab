"""Item-kNN: the library's own lists, whatever the order of the rows, and users that fit a task."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from implicit.nearest_neighbours import CosineRecommender
from pyspark.sql import DataFrame, SparkSession

from spark_apps.recommendation.catalogue import Catalogue
from spark_apps.recommendation.histories import Histories
from spark_apps.recommendation.item_knn import (
    BYTES_PER_NEIGHBOUR,
    BYTES_PER_PAIR,
    NEIGHBOURS,
    ItemKnnRecommender,
    fit,
    users_that_fit,
)
from tests.recommendation.shelves import catalogue, histories

PRODUCTS, USERS = 150, 300


@pytest.fixture(scope="module")
def goods() -> Catalogue:
    return catalogue(PRODUCTS)


@pytest.fixture(scope="module")
def users() -> Histories:
    return histories(USERS, PRODUCTS)


def rows_of(users: Histories, goods: Catalogue) -> Iterator[tuple[int, int, float]]:
    owners = np.repeat(users.users, np.diff(users.offsets))
    return zip(owners.tolist(), goods.ids[users.places].tolist(), users.scores.tolist(), strict=True)


@pytest.fixture(scope="module")
def pairs(spark: SparkSession, users: Histories, goods: Catalogue) -> DataFrame:
    return spark.createDataFrame(list(rows_of(users, goods)), "user_id bigint, product_id bigint, score double")


@pytest.fixture(scope="module")
def model(pairs: DataFrame, goods: Catalogue) -> ItemKnnRecommender:
    return ItemKnnRecommender.of(fit(pairs, threads=1).toArrow(), goods)


def test_lists_and_scores_are_the_library_s(model: ItemKnnRecommender, users: Histories) -> None:
    matrix = users.matrix(PRODUCTS)
    library = CosineRecommender(K=NEIGHBOURS, num_threads=1)
    library.fit(matrix, show_progress=False)
    expected = matrix @ library.similarity
    everything = np.broadcast_to(np.arange(PRODUCTS), (USERS, PRODUCTS))
    np.testing.assert_allclose(model.scores(users, everything), expected.toarray(), rtol=1e-5)
    lists = model.lists(users, users.left_out(True, True), 8)
    for row in range(USERS):
        ids, scores = library.recommend(0, matrix[row], N=PRODUCTS, filter_already_liked_items=True)
        touched = users.places[users.offsets[row] : users.offsets[row + 1]]
        kept = ~np.isin(ids, touched) & (scores > 0)
        found = lists.scores[row][np.isfinite(lists.scores[row])]
        np.testing.assert_allclose(found, scores[kept][:8], rtol=1e-5)
        assert not set(lists.ids[row]) & set(touched)


def test_the_order_of_the_rows_does_not_matter(model: ItemKnnRecommender, pairs: DataFrame, goods: Catalogue) -> None:
    again = ItemKnnRecommender.of(fit(pairs.repartition(5).orderBy("score"), threads=2).toArrow(), goods)
    assert (again.similarity != model.similarity).nnz == 0


def test_equal_products_come_in_the_order_of_their_ids_and_a_list_may_be_short(spark: SparkSession) -> None:
    goods = catalogue(4)
    rows = [(user, int(product), 1.0) for user in (1, 2) for product in goods.ids[:3]]
    pairs = spark.createDataFrame(rows, "user_id bigint, product_id bigint, score double")
    model = ItemKnnRecommender.of(fit(pairs, threads=1).toArrow(), goods)
    asking = histories(2, 4)
    asking = Histories(
        asking.users,
        np.array([0, 1, 2]),
        np.array([2, 3]),
        np.ones(2, np.float32),
        np.ones(2, np.bool_),
        asking.segments,
        asking.factors,
    )
    lists = model.lists(asking, asking.left_out(True, True), 3)
    assert lists.ids[0, :2].tolist() == [0, 1]
    assert np.isfinite(lists.scores).tolist() == [[True, True, False], [False, False, False]]
    assert model.scores(asking, np.array([[3], [0]])).tolist() == [[0.0], [0.0]]


def test_all_users_are_kept_where_they_fit_and_a_seeded_share_where_not(pairs: DataFrame) -> None:
    count = pairs.count()
    neighbours = PRODUCTS * NEIGHBOURS * BYTES_PER_NEIGHBOUR
    needed = neighbours + count * BYTES_PER_PAIR
    assert users_that_fit(pairs, count, PRODUCTS, needed, 1) is pairs
    half = users_that_fit(pairs, count, PRODUCTS, neighbours + count * BYTES_PER_PAIR // 2, 1)
    kept = {row["user_id"] for row in half.select("user_id").distinct().collect()}
    assert 0.35 * USERS < len(kept) < 0.65 * USERS
    assert half.count() == pairs.where(pairs.user_id.isin(list(kept))).count()  # whole users
    assert users_that_fit(pairs, count, PRODUCTS, 0, 1).count() == 0
