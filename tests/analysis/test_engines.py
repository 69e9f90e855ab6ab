"""The figures are the same on both engines, and however many users are counted at a time."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from spark_apps.analysis import units
from spark_apps.analysis.behaviour import describe_behaviour
from spark_apps.analysis.counts import Counts
from spark_apps.analysis.exploration import explore
from spark_apps.engine.spark import engine_of
from tests.analysis.behaviours import Row, counts_of
from tests.comparing import assert_rows

EVENTS = 3_000
# what adds up to other digits in another order, as doubles
PRICES = (0.1, 0.2, 0.7, 33.33, 1e15, 99_999_999.99, 0.00005, 3e31, None)


def odd_events() -> list[Row]:
    """Events with all that a log may have: repeats, shared sessions, no session, ties, years apart, a robot."""
    dice = random.Random(18)
    events = [one_event(dice) for _ in range(EVENTS)]
    events += [{"user_id": 9, "user_session": "robot", "product_id": product} for product in range(60)]
    events += [
        {"user_id": user, "user_session": f"{user}", "product_id": product}
        for user in range(400, 420)
        for product in (58, 59)
    ]
    return events + dice.choices(events, k=EVENTS // 10)


def one_event(dice: random.Random) -> Row:
    user = dice.choice((1, 2, 3, -4, 2**62, *range(100, 300)))
    return {
        "user_id": user,
        "user_session": dice.choice((f"{user} a", f"{user} b", "shared", None, "Ünïcode", "f" * 300)),
        "event_type": dice.choice(("view", "view", "view", "cart", "purchase", "remove_from_cart")),
        "product_id": dice.choice((-1, 2**40, *range(60))),
        "category_id": dice.choice((None, 7)),
        "category_code": dice.choice((None, "a", "a.b", "Á.c", "z")),
        "brand": dice.choice((None, "a", "é", "b'c")),
        "price": dice.choice(PRICES),
        "event_time": dice.choice(("1969-12-31 23:59:59", "2019-10-01 00:00:00", f"2019-10-{dice.randint(1, 31):02d}")),
    }


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Counts:
    return counts_of(tmp_path_factory.mktemp("local"), odd_events())


def figures(counts: Counts) -> dict[str, Any]:
    return {**explore(counts).figures(), **describe_behaviour(counts).figures()}


def test_spark_s_tasks_count_the_same(spark: SparkSession, tmp_path: Path, local: Counts) -> None:
    found = counts_of(tmp_path, odd_events(), engine_of(spark))
    assert_rows([figures(found)], [figures(local)], rel=0)
    assert figures(local)["affinities"]["viewed_products"]["too_large"] > 0
    assert figures(local)["affinities"]["viewed_products"]["rules"]
    assert figures(local)["duplicates"] >= EVENTS // 10


def test_users_that_are_counted_a_share_at_a_time(
    tmp_path: Path, local: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "BYTES_PER_EVENT", 1 << 19)  # seven shares of 256 MiB
    found = counts_of(tmp_path, odd_events())
    assert_rows([figures(found)], [figures(local)], rel=0)
    for one in ("unit_types", "frequencies", "sequences", "basket_counts"):
        assert in_order(getattr(found, one)).equals(in_order(getattr(local, one)))


def in_order(rows: pa.Table) -> pa.Table:
    return rows.sort_by([(name, "ascending") for name in rows.column_names])


def test_no_events_on_spark_make_the_figures_of_none(spark: SparkSession, tmp_path: Path) -> None:
    found, expected = counts_of(tmp_path, [], engine_of(spark)), counts_of(tmp_path, [])
    assert_rows([figures(found)], [figures(expected)], rel=0)


def test_the_order_of_events_changes_no_digit(tmp_path: Path, local: Counts) -> None:
    events = odd_events()
    random.Random(3).shuffle(events)
    assert_rows([figures(counts_of(tmp_path, events))], [figures(local)], rel=0)
