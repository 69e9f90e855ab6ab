"""Event logs that lack what most logs have: the whole path works on each, and its lists make sense."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from spark_apps.generator import GeneratorSpec, write_events
from spark_apps.jobs import evaluate, recommend
from spark_apps.settings import Settings
from spark_apps.tables import EVENTS, INTERACTIONS, RECOMMENDATIONS
from tests.pipeline.conftest import Trained, run_jobs, small_settings
from tests.short_form import long_but

Row = dict[str, str]
EVENTS_WRITTEN = 3_000
UNKNOWN_USER = 5


def no_brands(row: Row) -> Row:
    return {**row, "brand": ""}


def one_category_level(row: Row) -> Row:
    return {**row, "category_code": row["category_code"].split(".")[0]}


def no_categories(row: Row) -> Row:
    return {**row, "category_code": "", "brand": "", "price": ""}


def no_sessions(row: Row) -> Row:
    return {**row, "user_session": ""}


def long_ids(row: Row) -> Row:
    return {**row, "user_id": str(int(row["user_id"]) + 2**40), "product_id": str(int(row["product_id"]) + 2**41)}


def no_purchases(row: Row) -> Row:
    return {**row, "event_type": "view" if row["event_type"] == "purchase" else row["event_type"]}


def everything_at_once(row: Row) -> Row:
    for change in (no_categories, no_sessions, long_ids, no_purchases):
        row = change(row)
    return row


ODD: dict[str, Callable[[Row], Row]] = {
    "no brands": no_brands,
    "one category level": one_category_level,
    "no categories, brands or prices": no_categories,
    "no sessions": no_sessions,
    "ids above 32 bits": long_ids,
    "no purchases": no_purchases,
    "all of it": everything_at_once,
}
SHORT = ("all of it",)


def odd_log(folder: Path, change: Callable[[Row], Row]) -> Path:
    """A log of some two hundred users with every row changed."""
    usual, odd = folder / "usual.csv", folder / "odd.csv"
    write_events(GeneratorSpec(EVENTS_WRITTEN, "2019-10", 5), usual)
    with usual.open(newline="") as source, odd.open("w", newline="") as target:
        reader = csv.DictReader(source)
        assert reader.fieldnames is not None
        writer = csv.DictWriter(target, reader.fieldnames, lineterminator="\n")
        writer.writeheader()
        writer.writerows(change(row) for row in reader)
    return odd


@pytest.fixture(scope="module", params=long_but(ODD, SHORT), ids=str)
def odd(request: pytest.FixtureRequest, spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("odd")
    log = odd_log(folder, ODD[request.param])
    settings: Settings = small_settings(request.getfixturevalue("settings"))
    return run_jobs(spark, settings, folder / "root", log)


def test_every_user_gets_ten_products_not_bought_before(odd: Trained) -> None:
    events = odd.rows(EVENTS)
    assert len(events) == EVENTS_WRITTEN
    bought = {(row["user_id"], row["product_id"]) for row in odd.rows(INTERACTIONS) if row["purchases"]}
    lists = odd.lists()
    assert lists.keys() == {row["user_id"] for row in events}
    products = {row["product_id"] for row in events}
    for user, found in lists.items():
        listed = [one.product_id for one in found]
        assert len(set(listed)) == 10 and set(listed) <= products
        assert not {(user, product) for product in listed} & bought
        assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
        assert all(one.score > 0 for one in found)


def test_known_and_unknown_users_are_answered(odd: Trained) -> None:
    user = max(row["user_id"] for row in odd.rows(RECOMMENDATIONS))
    assert len(recommend.run(odd.settings, odd.root, user, 10)) == 10
    popular = recommend.run(odd.settings, odd.root, UNKNOWN_USER, 10)
    assert len(popular) == 10 and {one.source for one in popular} == {"popularity"}


def test_what_is_recommended_is_known_to_be_near(odd: Trained) -> None:
    """Most lists are more than popularity, whatever is missing."""
    sources = [one.source for found in odd.lists().values() for one in found]
    assert sources.count("popularity") < len(sources) / 2


@pytest.mark.parametrize("odd", long_but(("no brands", "all of it"), SHORT), indirect=True)
def test_models_can_be_evaluated(odd: Trained, spark: SparkSession) -> None:
    found = evaluate.run(spark, odd.settings, odd.root)
    assert found["users_evaluated"] > 0
    for figures in found["models"].values():
        assert 0 <= figures["ndcg"]["value"] <= 1
