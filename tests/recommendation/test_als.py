"""ALS by either library: its factors, its file format, and that the order of the rows does not matter."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import numpy as np
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from pyspark.ml.recommendation import ALSModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from spark_apps.recommendation.als import BYTES_PER_FACTOR, BYTES_PER_PAIR, Size, choose_library, fit_als, task_bytes
from spark_apps.recommendation.topn import Exclusions, ItemFactors, TopLists, factor_matrix, top_products
from spark_apps.settings import AlsLibrary, AlsParameters

LIBRARIES = ["implicit", "mllib"]
PARAMETERS = AlsParameters(rank=6, iterations=5, regularization=0.1, alpha=2.0)
SEED = 9


def ratings(spark: SparkSession) -> DataFrame:
    """Two tastes: even users like even items, odd users odd ones; a few scores are negative or 0."""
    random = np.random.default_rng(1)
    rows = []
    for user in range(40):
        liked = random.choice(15, 6, replace=False) * 2 + user % 2
        rows += [(user + 100, int(item) + 500, float(random.integers(1, 11))) for item in liked]
        rows.append((user + 100, 500 + (user + 1) % 2, -1.0))
    rows += [(7, 500, 0.0), (100, 999, 0.0)]
    return spark.createDataFrame(rows, "user int, item int, score double")


@pytest.fixture(scope="module")
def models(spark: SparkSession) -> dict[str, ALSModel]:
    frame = ratings(spark)
    return {library: fit_als(frame, PARAMETERS, cast(AlsLibrary, library), SEED, threads=2) for library in LIBRARIES}


def factors(frame: DataFrame) -> ItemFactors:
    """Factors of either side in the order of their ids."""
    table = frame.select(F.col("id").cast("bigint"), "features").toArrow().sort_by("id")
    return ItemFactors(table.column("id").to_numpy(), factor_matrix(table.column("features"), len(table)))


def lists_of(model: ALSModel, n: int) -> TopLists:
    users, items = factors(model.userFactors), factors(model.itemFactors)
    none = Exclusions.none(len(users.ids))
    return top_products(users.factors, ItemFactors.sorted(items.ids, items.factors), none, n)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_saved_model_is_loaded_by_spark_with_its_schema(
    models: dict[str, ALSModel], library: str, tmp_path: Path
) -> None:
    model = models[library]
    model.write().save(str(tmp_path / "als"))
    loaded = ALSModel.load(str(tmp_path / "als"))
    assert loaded.rank == PARAMETERS.rank
    for side in (loaded.userFactors, loaded.itemFactors):
        assert side.schema.simpleString() == "struct<id:int,features:array<float>>"
    users, items = factors(loaded.userFactors), factors(loaded.itemFactors)
    np.testing.assert_array_equal(users.factors, factors(model.userFactors).factors)
    assert (len(users.ids), len(items.ids)) == (40, 30)
    row = loaded.transform(
        loaded.userFactors.sparkSession.createDataFrame([(100, 500)], "user int, item int")
    ).collect()[0]
    assert row["prediction"] == pytest.approx(float(users.factors[0] @ items.factors[0]), rel=1e-4)
    own = {row["user"]: row["recommendations"] for row in loaded.recommendForAllUsers(3).collect()}
    assert [one["item"] for one in own[100]] == lists_of(model, 3).ids[0].tolist()


@pytest.mark.parametrize("library", LIBRARIES)
def test_pairs_that_score_nothing_make_no_factors(models: dict[str, ALSModel], library: str) -> None:
    assert 7 not in factors(models[library].userFactors).ids
    assert 999 not in factors(models[library].itemFactors).ids


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_a_user_likes_is_recommended(models: dict[str, ALSModel], library: str) -> None:
    parity = lists_of(models[library], 5).ids % 2
    assert (parity == (np.arange(40) % 2)[:, None]).all()


def test_factors_of_implicit_are_those_of_implicit_on_its_own(models: dict[str, ALSModel], spark: SparkSession) -> None:
    rows = [tuple(row) for row in ratings(spark).collect() if row["score"]]
    users, items, scores = (np.array(column) for column in zip(*rows, strict=True))
    confidence = np.where(scores > 0, 1 + PARAMETERS.alpha * scores, -1 + PARAMETERS.alpha * scores)
    matrix = csr_matrix((confidence.astype(np.float32), (users - 100, items - 500)))
    with threadpool_limits(1, "blas"):
        library = AlternatingLeastSquares(
            factors=PARAMETERS.rank,
            iterations=PARAMETERS.iterations,
            regularization=PARAMETERS.regularization,
            alpha=1.0,
            num_threads=1,
            random_state=SEED,
        )
        library.fit(matrix, show_progress=False)
    model = models["implicit"]
    np.testing.assert_allclose(factors(model.userFactors).factors, library.user_factors, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(factors(model.itemFactors).factors, library.item_factors, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_order_of_the_interactions_does_not_matter(
    models: dict[str, ALSModel], library: str, spark: SparkSession
) -> None:
    shuffled = ratings(spark).repartition(7, "item").sortWithinPartitions(F.desc("score"), F.desc("user"))
    again = lists_of(fit_als(shuffled, PARAMETERS, cast(AlsLibrary, library), SEED, threads=1), 10)
    before = lists_of(models[library], 10)
    np.testing.assert_allclose(again.scores, before.scores, atol=1e-5)
    np.testing.assert_array_equal(again.ids, before.ids)


def test_another_seed_starts_elsewhere(models: dict[str, ALSModel], spark: SparkSession) -> None:
    other = fit_als(ratings(spark), PARAMETERS, "implicit", SEED + 1, threads=2)
    assert not np.allclose(factors(other.userFactors).factors, factors(models["implicit"].userFactors).factors)


def test_no_ratings_make_no_factors(spark: SparkSession) -> None:
    model = fit_als(ratings(spark).where(F.lit(False)), PARAMETERS, "implicit", SEED, threads=2)
    assert model.userFactors.isEmpty() and model.itemFactors.isEmpty()


SIZE = Size(users=1000, products=500, pairs=20_000)
NEEDED = 20_000 * BYTES_PER_PAIR + 1500 * 50 * BYTES_PER_FACTOR


def test_the_task_s_memory_is_that_of_the_rule() -> None:
    assert task_bytes(SIZE, rank=50) == NEEDED


@pytest.mark.parametrize(
    ("wanted", "memory", "library"),
    [
        ("auto", NEEDED + 1, "implicit"),
        ("auto", NEEDED, "implicit"),
        ("auto", NEEDED - 1, "mllib"),
        ("auto", 0, "mllib"),
        ("implicit", 0, "implicit"),
        ("mllib", 1 << 60, "mllib"),
    ],
)
def test_the_library_is_the_one_asked_for_or_the_one_that_fits(
    wanted: AlsLibrary, memory: int, library: AlsLibrary
) -> None:
    assert choose_library(wanted, SIZE, 50, memory) == library
