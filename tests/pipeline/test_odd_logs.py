"""Event logs that lack what most logs have: the whole path works on each, and its lists make sense."""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spark_apps.generator import GeneratorSpec, write_events
from spark_apps.jobs import evaluate, recommend, report
from spark_apps.settings import Settings
from spark_apps.tables import EVENTS, INTERACTIONS, RECOMMENDATIONS
from tests.engines import local_engine
from tests.pipeline.conftest import Trained, run_jobs, small_settings
from tests.reports.reader import Page
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


def no_carts(row: Row) -> Row:
    return {**row, "event_type": "view" if row["event_type"] != "purchase" else "purchase"}


def one_price(row: Row) -> Row:
    return {**row, "price": "0.10"}


def one_category(row: Row) -> Row:
    return {**row, "category_id": "7", "category_code": "toys", "brand": "lego"}


def as_good_as_nothing(row: Row) -> Row:
    return no_carts(no_purchases(no_categories(one_category(row))))


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
    "no carts": no_carts,
    "one price": one_price,
    "one category and brand": one_category,
    "views alone": as_good_as_nothing,
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
def odd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("odd")
    log = odd_log(folder, ODD[request.param])
    settings: Settings = small_settings(request.getfixturevalue("settings"))
    return run_jobs(settings, folder / "root", log)


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


NOT_FIGURES = {"nan", "NaN", "inf", "-inf", "Infinity", "None", "null", "nan%", "inf%", "-0", "-0.0", "-0.00"}
EVALUATED = ("no brands", "one price", "views alone", "all of it")


@pytest.mark.parametrize("odd", long_but(EVALUATED, SHORT), indirect=True)
def test_models_can_be_evaluated(odd: Trained) -> None:
    found = evaluate.run(local_engine(), odd.settings, odd.root).figures()
    assert found["users_evaluated"] > 0
    for figures in found["models"].values():
        assert 0 <= figures["ndcg"]["value"] <= 1
    assert_known(report.run(local_engine(), odd.root))


def test_no_figure_is_nan_or_infinite(odd: Trained) -> None:
    assert_known(odd.page)


def assert_known(page: Path) -> None:
    """Checks that neither the page nor the JSON beside it, nor that of the models, holds NaN, infinity or `None`."""
    html = Page(page.read_text(encoding="utf-8"))
    assert not set(html.text.split()) & NOT_FIGURES
    assert len(html.figures) > 3
    found = [json.dumps(html.figures), *(path.read_text() for path in page.parents[1].rglob("*.json"))]
    assert len(found) > 4
    for text in found:
        assert_finite(json.loads(text))


def assert_finite(value: Any) -> None:
    """Checks all numbers of a JSON value; texts of charts are words, so `nan` stands in none."""
    for inside in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        assert_finite(inside)
    assert not isinstance(value, float) or math.isfinite(value)
    assert not isinstance(value, str) or not re.search(r"\b(nan|inf|None)\b", value)
