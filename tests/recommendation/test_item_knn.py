"""Item-kNN: the library's own lists, whatever the engine and the order of the rows, and users that fit a task."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from implicit.nearest_neighbours import CosineRecommender
from pyspark.sql import SparkSession

from spark_apps.engine.base import Engine
from spark_apps.recommendation.als import RATED
from spark_apps.recommendation.catalogue import Catalogue
from spark_apps.recommendation.histories import Histories
from spark_apps.recommendation.item_knn import (
    BYTES_PER_NEIGHBOUR,
    BYTES_PER_PAIR,
    NEAR,
    NEIGHBOURS,
    ItemKnnRecommender,
    NeighbourSearch,
    bound_of,
    find_neighbours,
)
from tests.engines import local_engine
from tests.recommendation.catalogues import catalogue, histories
from tests.recommendation.tables import interactions, spark_engine

PRODUCTS, USERS, SEED = 150, 300, 5
Rows = Iterable[tuple[int, int, float]]


@pytest.fixture(scope="module")
def goods() -> Catalogue:
    return catalogue(PRODUCTS)


@pytest.fixture(scope="module")
def users() -> Histories:
    return histories(USERS, PRODUCTS)


def rows_of(users: Histories, goods: Catalogue) -> list[tuple[int, int, float]]:
    owners = np.repeat(users.users, np.diff(users.offsets))
    return list(zip(owners.tolist(), goods.ids[users.places].tolist(), users.scores.tolist(), strict=True))


def near(folder: Path, engine: Engine, rows: Rows, bound: str | None = None) -> pa.Table:
    given = {"interactions": interactions(folder, rows).select(*RATED)}
    done = engine.run(find_neighbours, given, shared=NeighbourSearch(bound, SEED))
    return done.result("neighbours", NEAR)


@pytest.fixture(scope="module")
def model(users: Histories, goods: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> ItemKnnRecommender:
    folder = tmp_path_factory.mktemp("knn") / "pairs"
    return ItemKnnRecommender.of(near(folder, local_engine(), rows_of(users, goods)), goods)


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


def test_neither_the_engine_nor_the_order_of_the_rows_matters(
    model: ItemKnnRecommender, users: Histories, goods: Catalogue, spark: SparkSession, tmp_path: Path
) -> None:
    shuffled = sorted(rows_of(users, goods), key=lambda row: (row[2], -row[0]))
    again = ItemKnnRecommender.of(near(tmp_path / "pairs", spark_engine(spark, tmp_path), shuffled), goods)
    assert (again.similarity != model.similarity).nnz == 0


def test_equal_products_come_in_the_order_of_their_ids_and_a_list_may_be_short(tmp_path: Path) -> None:
    goods = catalogue(4)
    rows = [(user, int(product), 1.0) for user in (1, 2) for product in goods.ids[:3]]
    model = ItemKnnRecommender.of(near(tmp_path / "pairs", local_engine(), rows), goods)
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


def test_all_users_are_looked_at_where_they_fit_and_a_seeded_share_where_not(
    users: Histories, goods: Catalogue, tmp_path: Path
) -> None:
    rows = rows_of(users, goods)
    room = PRODUCTS * NEIGHBOURS * BYTES_PER_NEIGHBOUR
    assert bound_of(len(rows), PRODUCTS, room + len(rows) * BYTES_PER_PAIR) is None
    half = bound_of(len(rows), PRODUCTS, room + len(rows) * BYTES_PER_PAIR // 2)
    assert half is not None
    kept = {u for u, _, _ in rows if hashlib.md5(f"{u} {SEED} 1".encode()).hexdigest() < half}
    assert 0.35 * USERS < len(kept) < 0.65 * USERS
    found, expected = (
        near(tmp_path / name, local_engine(), some, bound)
        for name, some, bound in (("all", rows, half), ("few", [row for row in rows if row[0] in kept], None))
    )
    assert found.equals(expected) and len(found) > 0
    assert len(near(tmp_path / "none", local_engine(), rows, bound_of(len(rows), PRODUCTS, 0))) == 0
