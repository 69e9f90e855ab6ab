"""Training and recommending in a small shop whose ids need more than 32 bits, with some peculiar users."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pytest
from pyspark.ml.recommendation import ALSModel
from pyspark.sql import SparkSession

from spark_apps.engine.base import Engine
from spark_apps.engine.published import table_relation
from spark_apps.engine.spark import engine_of
from spark_apps.errors import UserError
from spark_apps.jobs import recommend, train
from spark_apps.jobs.recommend import Recommendation
from spark_apps.jobs.train import Training
from spark_apps.jobs.train.factors import Fitted, Fitting, number_ids, stage_als, trial_factors
from spark_apps.jobs.train.hybrid import PRODUCT_INDEX, USER_INDEX
from spark_apps.jobs.train.validation import hold_back
from spark_apps.recommendation.als import USER_FACTORS, Size
from spark_apps.registry.versions import ALS, HYBRID, POPULARITY, newest
from spark_apps.settings import AlsParameters, Settings
from spark_apps.storage.transaction import Transaction
from spark_apps.tables import (
    EVENTS,
    INTERACTIONS,
    PRODUCT_FEATURES,
    RECOMMENDATIONS,
    USER_FEATURES,
    USER_SEGMENTS,
    DateRange,
    Table,
)
from tests.engines import local_engine
from tests.factory import write_events_table
from tests.terminal import REPOSITORY, WARNINGS_ARE_ERRORS, strange_lines

PRODUCTS = [2**40 + 7 * number for number in range(16)]
USUAL = [2**33 + number for number in range(14)]
UNDECIDED, GREEDY = 2**33 + 50, 2**33 + 51  # one who took back what was viewed, one who bought nearly everything
UNKNOWN_USERS = [1, 0, -5, 2**33 + 49, 2**62, -(2**63) - 1, 2**63, 10**30]


def shop_events() -> list[dict[str, Any]]:
    random = np.random.default_rng(4)
    kinds = ["view", "view", "view", "cart", "purchase"]
    events: list[dict[str, Any]] = [
        {"user_id": user, "product_id": PRODUCTS[product], "event_type": kinds[random.integers(len(kinds))]}
        for user in USUAL
        for product in random.choice(len(PRODUCTS), 6)
    ]
    events += [{"user_id": GREEDY, "product_id": product, "event_type": "purchase"} for product in PRODUCTS[2:]]
    events += [
        {"user_id": UNDECIDED, "product_id": PRODUCTS[0], "event_type": kind} for kind in ("view", "remove_from_cart")
    ]
    return [
        {**event, "user_session": f"{event['user_id']}", "event_time": f"2019-10-0{number % 4 + 1} 10:00:00"}
        for number, event in enumerate(events)
    ]


@dataclass(frozen=True)
class Shop:
    root: Path
    settings: Settings
    training: Training

    def rows(self, table: Table) -> list[dict[str, Any]]:
        return ds.dataset(self.root / table.path, format="parquet").to_table().to_pylist()

    def listed(self, user: int) -> list[Recommendation]:
        rows = sorted(
            (row for row in self.rows(RECOMMENDATIONS) if row["user_id"] == user), key=lambda row: row["rank"]
        )
        return [Recommendation(row["product_id"], row["score"], row["source"]) for row in rows]

    def touched(self, user: int, least_purchases: int = 0) -> set[int]:
        pairs = (row for row in self.rows(INTERACTIONS) if row["user_id"] == user)
        return {row["product_id"] for row in pairs if row["purchases"] >= least_purchases}

    def ask(self, user: int, n: int = 10, **changed: Any) -> list[Recommendation]:
        return recommend.run(self.settings.model_copy(update=changed), self.root, user, n)


@pytest.fixture(scope="module")
def shop(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return trained(local_engine(), settings, tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def shop_on_spark(spark: SparkSession, settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return trained(engine_of(spark), settings, tmp_path_factory.mktemp("shop-on-spark"))


def trained(engine: Engine, settings: Settings, root: Path) -> Shop:
    write_events_table(root / EVENTS.path, shop_events())
    small = settings.model_copy(update={"als": AlsParameters(rank=4, iterations=3), "als_library": "implicit"})
    return Shop(root, small, train.run(engine, small, root, DateRange(), "3"))


def assert_same_lists(found: list[Recommendation], expected: list[Recommendation]) -> None:
    assert [(one.product_id, one.source) for one in found] == [(one.product_id, one.source) for one in expected]
    assert [one.score for one in found] == pytest.approx([one.score for one in expected], abs=1e-5)


def test_both_indexes_are_kept_with_the_model(shop: Shop) -> None:
    folder = newest(shop.root, ALS)[0]
    for index, ids in ((USER_INDEX, [*USUAL, UNDECIDED, GREEDY]), (PRODUCT_INDEX, PRODUCTS)):
        table = ds.dataset(folder / index, format="parquet").to_table()
        assert table.sort_by("id").to_pydict() == {"id": list(range(len(ids))), "original": sorted(ids)}


def test_the_model_is_one_that_spark_loads(shop: Shop, spark: SparkSession) -> None:
    model = ALSModel.load(str(newest(shop.root, ALS)[0]))
    assert model.rank == 4
    assert model.userFactors.count() == len(USUAL) + 1  # the undecided one has none
    assert shop.training.als.parameters["als"] == "implicit"


def test_both_engines_train_the_same(shop: Shop, shop_on_spark: Shop) -> None:
    """Equal to the last bit: scores of lists too, for so few users stand in one block."""
    for table in (USER_FEATURES, PRODUCT_FEATURES, INTERACTIONS, USER_SEGMENTS, RECOMMENDATIONS):
        one, other = (sorted(made.rows(table), key=str) for made in (shop, shop_on_spark))
        assert one == other, table.name
    for name in (ALS, HYBRID, POPULARITY):
        one, other = (newest(made.root, name)[1].model_dump() for made in (shop, shop_on_spark))
        own = ("version", "trained_at", "files", "gate")
        assert {key: one[key] for key in one if key not in own} == {key: other[key] for key in other if key not in own}


def test_mllib_makes_the_same_files(shop: Shop, spark: SparkSession, tmp_path: Path) -> None:
    settings = shop.settings.model_copy(update={"als_library": "mllib"})
    engine, tables = engine_of(spark), [table_relation(shop.root, one) for one in (USER_FEATURES, PRODUCT_FEATURES)]
    with Transaction(tmp_path / "root", []) as transaction:
        learned = hold_back(engine, settings, transaction, table_relation(shop.root, INTERACTIONS), 16)
        indexes = number_ids(engine, transaction, *tables)
        fitting = Fitting(engine, transaction, learned, indexes, Size(16, 16, 100))
        trial, users, products = trial_factors(fitting, settings, settings.als, pa.array([UNDECIDED, GREEDY]))
        fitted, by_user = stage_als(fitting, settings, tmp_path / "als")
        assert fitted == trial == Fitted("mllib", 3) and by_user.files
        found = ds.dataset([str(file) for file in by_user.files], format="parquet").to_table().sort_by("user_id")
    assert found["user_id"].to_pylist() == [*USUAL, GREEDY] and found.schema.names == USER_FACTORS.names
    assert users["user_id"].to_pylist() == [GREEDY] and sorted(products["product_id"].to_pylist()) == PRODUCTS
    assert ALSModel.load(str(tmp_path / "als")).userFactors.count() == len(USUAL) + 1
    ours = newest(shop.root, ALS)[0]
    for index in (USER_INDEX, PRODUCT_INDEX):
        one, other = (ds.dataset(folder / index, format="parquet").to_table() for folder in (ours, tmp_path / "als"))
        assert one.sort_by("id").equals(other.sort_by("id"))


def test_mllib_is_refused_where_spark_is_not_used(shop: Shop, tmp_path: Path) -> None:
    root = tmp_path / "root"
    with pytest.raises(UserError, match="choose --als implicit, or --engine spark"):
        train.run(local_engine(), shop.settings.model_copy(update={"als_library": "mllib"}), root, DateRange(), "3")
    assert not root.exists()


def test_a_machine_without_java_trains_and_recommends(tmp_path: Path) -> None:
    """The commands themselves, warnings being errors; --als mllib is one sentence."""
    write_events_table(tmp_path / "root" / EVENTS.path, shop_events())
    bare = {name: value for name, value in os.environ.items() if name not in ("JAVA_HOME", "SPARK_HOME")}
    bare = {**bare, **WARNINGS_ARE_ERRORS, "PATH": str(tmp_path)}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "spark_apps", *arguments, "--root", str(tmp_path / "root")]
        return subprocess.run(
            command, cwd=REPOSITORY, env=bare, capture_output=True, text=True, check=False, timeout=300
        )

    small = ["--k", "3", "--rank", "4", "--iterations", "3"]
    done = run("train", *small, "--als", "mllib")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1) and "--engine spark" in done.stderr
    done = run("train", *small)
    assert done.returncode == 0, done.stderr
    assert strange_lines(done.stderr) == []
    done = run("recommend", "--user", str(GREEDY), "--json")
    assert {one["product_id"] for one in json.loads(done.stdout)} == set(PRODUCTS[:2])
    done = run("recommend", "--all")
    assert done.returncode == 0, done.stderr


def test_lists_carry_the_original_ids(shop: Shop) -> None:
    rows = shop.rows(RECOMMENDATIONS)
    assert {row["user_id"] for row in rows} == {*USUAL, UNDECIDED, GREEDY}
    assert {row["product_id"] for row in rows} <= set(PRODUCTS)
    assert {row["user_id"] for row in shop.rows(USER_FEATURES)} == {*USUAL, UNDECIDED, GREEDY}
    assert {row["product_id"] for row in shop.rows(PRODUCT_FEATURES)} == set(PRODUCTS)


@pytest.mark.parametrize("user", [*USUAL[:3], UNDECIDED, GREEDY])
def test_one_user_is_recommended_what_stands_in_the_table(shop: Shop, user: int) -> None:
    assert_same_lists(shop.ask(user), shop.listed(user))


def test_a_list_holds_no_purchased_product_and_is_as_long_as_the_others_allow(shop: Shop) -> None:
    for user in (*USUAL, GREEDY):
        bought, found = shop.touched(user, least_purchases=1), shop.listed(user)
        assert not bought & {one.product_id for one in found}
        assert len(found) == min(10, len(PRODUCTS) - len(bought))
        assert {one.source for one in found} <= {"als", "content", "popularity"} and found[0].source == "als"
    assert {one.product_id for one in shop.listed(GREEDY)} == set(PRODUCTS[:2])


def test_a_list_may_hold_what_was_only_viewed(shop: Shop) -> None:
    assert any(shop.touched(user) & {one.product_id for one in shop.listed(user)} for user in USUAL)


def test_settings_leave_out_what_was_viewed_or_keep_what_was_bought(shop: Shop) -> None:
    for user in USUAL:
        unseen = shop.ask(user, n=16, exclude_viewed=True)
        assert {one.product_id for one in unseen} == set(PRODUCTS) - shop.touched(user)
        everything = shop.ask(user, n=16, exclude_purchased=False)
        assert {one.product_id for one in everything} == set(PRODUCTS)


def popular(rows: list[dict[str, Any]]) -> dict[int, float]:
    """Products with their summed scores, the best first, without those that nobody likes."""
    scores: dict[int, float] = dict.fromkeys(PRODUCTS, 0.0)
    for row in rows:
        scores[row["product_id"]] += row["score"]
    liked = sorted(PRODUCTS, key=lambda product: (-scores[product], product))
    return {product: scores[product] for product in liked if scores[product] > 0}


def test_a_user_without_factors_gets_what_the_segment_likes_then_what_everybody_likes(shop: Shop) -> None:
    segments = {row["user_id"]: row["segment"] for row in shop.rows(USER_SEGMENTS)}
    everybody = shop.rows(INTERACTIONS)
    alike = popular([row for row in everybody if segments[row["user_id"]] == segments[UNDECIDED]])
    offered = {**alike, **{product: score for product, score in popular(everybody).items() if product not in alike}}
    found = shop.listed(UNDECIDED)
    assert [one.product_id for one in found] == list(offered)[:10] and len(found) == 10
    assert {one.source for one in found} == {"popularity"}
    metrics = shop.training.als.metrics
    assert metrics["users_with_als"] < metrics["users_with_list"]


@pytest.mark.parametrize("user", UNKNOWN_USERS)
def test_an_unknown_user_gets_what_everybody_likes(shop: Shop, user: int) -> None:
    liked = list(popular(shop.rows(INTERACTIONS)).items())[:10]
    assert shop.ask(user) == [Recommendation(product, score, "popularity") for product, score in liked]


@pytest.mark.parametrize("n", [1, 3, 16, 1000])
def test_any_number_of_products_can_be_asked_for(shop: Shop, n: int) -> None:
    found = shop.ask(USUAL[0], n)
    allowed = len(PRODUCTS) - len(shop.touched(USUAL[0], least_purchases=1))
    assert len(found) == len({one.product_id for one in found}) == min(n, allowed)
    assert_same_lists(found[:10], shop.listed(USUAL[0])[: len(found)])
