"""ALS by either library: its factors, its file format, and that neither engine nor the order of rows matters."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from implicit.cpu.als import AlternatingLeastSquares
from numpy.typing import NDArray
from pyspark.ml.recommendation import ALSModel
from pyspark.sql import SparkSession
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from spark_apps.engine import mllib
from spark_apps.engine.base import Engine, Relation
from spark_apps.recommendation import als
from spark_apps.recommendation.als import BYTES_PER_FACTOR, BYTES_PER_PAIR, Size, choose_library, task_bytes
from spark_apps.recommendation.ids import INDEX
from spark_apps.recommendation.topn import Exclusions, ItemFactors, TopLists, factor_matrix, top_products
from spark_apps.registry.spark_ml import write_als_metadata
from spark_apps.settings import AlsLibrary, AlsParameters
from tests.recommendation.tables import (
    ENGINES,
    engine_named,
    files,
    held,
    interactions,
    local_engine,
    nothing_held,
    spark_engine,
)
from tests.recommendation.tables import read as read_files

Rows = list[tuple[int, int, float]]
LIBRARIES = ["implicit", "mllib"]
PARAMETERS = AlsParameters(rank=6, iterations=5, regularization=0.1, alpha=2.0)
SEED = 9


def ratings() -> Rows:
    """Two tastes: even users like even items, odd users odd ones; a few scores are negative or 0."""
    random = np.random.default_rng(1)
    rows: Rows = []
    for user in range(40):
        liked = random.choice(15, 6, replace=False) * 2 + user % 2
        rows += [(user + 100, int(item) + 500, float(random.integers(1, 11))) for item in liked]
        rows.append((user + 100, 500 + (user + 1) % 2, -1.0))
    return [*rows, (7, 500, 0.0), (100, 999, 0.0)]


@dataclass(frozen=True)
class Fitted:
    """Factors of both sides in the order of their ids; the model's folder."""

    users: ItemFactors
    items: ItemFactors
    folder: Path

    def lists(self, n: int) -> TopLists:
        none = Exclusions.none(len(self.users.ids))
        return top_products(self.users.factors, ItemFactors.sorted(self.items.ids, self.items.factors), none, n)


def fit(
    folder: Path, engine: Engine, rows: Rows, seed: int = SEED, kept_back: Relation | None = None, **indexes: Relation
) -> Fitted:
    """Fits by implicit."""
    inputs = {
        "interactions": interactions(folder / "pairs", rows).select(*als.RATED),
        "held": (kept_back or nothing_held()).select(*als.HELD.names),
        **indexes,
    }
    outputs = {"user_factors": folder / "als/userFactors", "item_factors": folder / "als/itemFactors"}
    outputs["factors_by_user"] = folder / "by_user"
    engine.run(
        als.fit_model, inputs, outputs=outputs, shared=als.Fit(PARAMETERS, seed, threads=2, indexes=tuple(indexes))
    )
    write_als_metadata(folder / "als", PARAMETERS.rank)
    found = [factors(outputs[name], als.MODEL_FACTORS) for name in ("user_factors", "item_factors")]
    by_user = factors(outputs["factors_by_user"], als.USER_FACTORS)
    np.testing.assert_array_equal(by_user.factors, found[0].factors)
    return Fitted(by_user, found[1], folder / "als")


def factors(folder: Path, schema: pa.Schema) -> ItemFactors:
    """Factors in the order of their ids."""
    table = read_files(Relation.of(folder, schema), schema.names[0])
    ids: NDArray[np.int64] = table.column(0).to_numpy().astype(np.int64)
    return ItemFactors(ids, factor_matrix(table.column("features"), len(table)))


def fit_by_mllib(folder: Path, spark: SparkSession, rows: Rows) -> Fitted:
    inputs = {"interactions": interactions(folder / "pairs", rows).select(*als.RATED), "held": nothing_held()}
    found = mllib.fit(spark_engine(spark, folder), inputs, PARAMETERS, SEED, folder / "checkpoints")
    found.model.write().overwrite().save(str(folder / "als"))
    users, items = (
        ItemFactors(table.column(0).to_numpy(), factor_matrix(table.column(1), len(table)))
        for table in (frame.toArrow().sort_by(frame.columns[0]) for frame in (found.users, found.products))
    )
    return Fitted(users, items, folder / "als")


@pytest.fixture(scope="module")
def models(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Fitted]:
    folder = tmp_path_factory.mktemp("models")
    return {
        "implicit": fit(folder / "implicit", local_engine(folder), ratings()),
        "mllib": fit_by_mllib(folder / "mllib", spark, ratings()),
    }


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_model_is_loaded_by_spark_with_its_schema(
    models: dict[str, Fitted], library: str, spark: SparkSession
) -> None:
    model, loaded = models[library], ALSModel.load(str(models[library].folder))
    assert loaded.rank == PARAMETERS.rank
    for side in (loaded.userFactors, loaded.itemFactors):
        assert side.schema.simpleString() == "struct<id:int,features:array<float>>"
    users = loaded.userFactors.toArrow().sort_by("id")
    np.testing.assert_array_equal(factor_matrix(users["features"], len(users)), model.users.factors)
    assert (len(model.users.ids), len(model.items.ids)) == (40, 30)
    row = loaded.transform(spark.createDataFrame([(100, 500)], "user int, item int")).collect()[0]
    assert row["prediction"] == pytest.approx(float(model.users.factors[0] @ model.items.factors[0]), rel=1e-4)
    own = {row["user"]: row["recommendations"] for row in loaded.recommendForAllUsers(3).collect()}
    assert [one["item"] for one in own[100]] == model.lists(3).ids[0].tolist()


@pytest.mark.parametrize("library", LIBRARIES)
def test_pairs_that_score_nothing_make_no_factors(models: dict[str, Fitted], library: str) -> None:
    assert 7 not in models[library].users.ids
    assert 999 not in models[library].items.ids


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_a_user_likes_is_recommended(models: dict[str, Fitted], library: str) -> None:
    parity = models[library].lists(5).ids % 2
    assert (parity == (np.arange(40) % 2)[:, None]).all()


def test_factors_of_implicit_are_those_of_implicit_on_its_own(models: dict[str, Fitted]) -> None:
    """But for rounding, which first equations magnify that are nearly singular: see test_conjugate.py."""
    users, items, scores = (np.array(column) for column in zip(*(row for row in ratings() if row[2]), strict=True))
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
    np.testing.assert_allclose(model.users.factors, library.user_factors, atol=0.05)
    np.testing.assert_allclose(model.items.factors, library.item_factors, atol=0.05)


def test_factors_are_the_same_to_the_last_bit_on_both_engines_in_any_order_of_rows(
    models: dict[str, Fitted], spark: SparkSession, tmp_path: Path
) -> None:
    shuffled = sorted(ratings(), key=lambda row: (row[2], -row[0]))
    again = fit(tmp_path, spark_engine(spark, tmp_path), shuffled)
    for one, other in ((again.users, models["implicit"].users), (again.items, models["implicit"].items)):
        np.testing.assert_array_equal(one.ids, other.ids)
        np.testing.assert_array_equal(one.factors, other.factors)


def test_the_order_of_the_rows_does_not_matter_to_mllib(
    models: dict[str, Fitted], spark: SparkSession, tmp_path: Path
) -> None:
    shuffled = sorted(ratings(), key=lambda row: (row[2], -row[0]))
    again, before = fit_by_mllib(tmp_path, spark, shuffled).lists(10), models["mllib"].lists(10)
    np.testing.assert_allclose(again.scores, before.scores, atol=1e-5)
    np.testing.assert_array_equal(again.ids, before.ids)


def test_another_seed_starts_elsewhere(models: dict[str, Fitted], tmp_path: Path) -> None:
    other = fit(tmp_path, local_engine(tmp_path), ratings(), SEED + 1)
    assert not np.allclose(other.users.factors, models["implicit"].users.factors)


def test_what_is_held_back_is_not_learned(models: dict[str, Fitted], tmp_path: Path) -> None:
    pairs = [(user, item) for user, item, _ in ratings() if user == 100]
    without = fit(tmp_path, local_engine(tmp_path), ratings(), kept_back=held(tmp_path / "held", pairs))
    assert set(models["implicit"].users.ids) - set(without.users.ids) == {100}
    fewer = fit(tmp_path / "fewer", local_engine(tmp_path), [row for row in ratings() if row[0] != 100])
    np.testing.assert_array_equal(without.items.factors, fewer.items.factors)


def test_no_ratings_make_no_factors(tmp_path: Path) -> None:
    model = fit(tmp_path, local_engine(tmp_path), [(1, 2, 0.0)])
    assert not len(model.users.ids) and not len(model.items.ids)


def test_numbered_ids_stand_in_the_model_alone(models: dict[str, Fitted], tmp_path: Path) -> None:
    far = 2**40
    index = files(tmp_path / "index", INDEX, ((number, far + user) for number, user in enumerate(range(50, 300))))
    rows = [(far + user, item, score) for user, item, score in ratings() if user != 7]
    model = fit(tmp_path, local_engine(tmp_path), rows, user_index=index)
    np.testing.assert_array_equal(model.users.ids, models["implicit"].users.ids + far)
    np.testing.assert_array_equal(model.users.factors, models["implicit"].users.factors)
    stored = factors(model.folder / "userFactors", als.MODEL_FACTORS)
    np.testing.assert_array_equal(stored.ids, models["implicit"].users.ids - 50)


@pytest.mark.parametrize("name", ENGINES)
def test_a_trial_gives_all_products_and_the_users_that_are_wanted(
    name: str, models: dict[str, Fitted], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    inputs = {"interactions": interactions(tmp_path / "pairs", ratings()).select(*als.RATED), "held": nothing_held()}
    trial = als.TrialFit(als.Fit(PARAMETERS, SEED, threads=2), np.array([7, 100, 139, 5000]))
    done = engine_named(name, request, tmp_path).run(als.fit_trial, inputs, shared=trial)
    users, products = done.result("users", als.USER_FACTORS), done.result("products", als.PRODUCT_FACTORS)
    assert users["user_id"].to_pylist() == [100, 139]
    whole = models["implicit"]
    np.testing.assert_array_equal(factor_matrix(users["features"], 2), whole.users.factors[[0, 39]])
    assert products["product_id"].to_pylist() == whole.items.ids.tolist()
    np.testing.assert_array_equal(factor_matrix(products["features"], 30), whole.items.factors)


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
