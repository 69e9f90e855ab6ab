"""Logs in which people put more back than they took: no product is lost by that, and nothing warns (SPEC F3, R3)."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from spark_apps.errors import NothingToLearnError
from spark_apps.generator import GeneratorSpec, write_events
from spark_apps.jobs import clean, load, train
from spark_apps.settings import Settings
from spark_apps.tables import INTERACTIONS, MODELS, RECOMMENDATIONS, DateRange
from tests.engines import local_engine
from tests.factory import HEADER, csv_line, write_log
from tests.pipeline.conftest import small_settings
from tests.terminal import shopstream

EVENTS_WRITTEN = 2_500
RARE = {"category_id": 77, "category_code": "sport.diving", "brand": None, "price": 4.5}
RETURNED, SHOWN = 5_900_001, 5_900_002
VIEWERS = [600_000_100 + number for number in range(3)]
BUSY, REMOVERS = 12, 12


def rare_lines(busy: list[str]) -> list[str]:
    """Of a category of two products: busy users take one, who is here for the first time puts it back, three look."""
    taken = [
        csv_line(**RARE, event_time=f"2019-10-30 10:00:{n:02d} UTC", event_type="cart", product_id=RETURNED, user_id=u)
        for n, u in enumerate(busy)
    ]
    put_back = [
        csv_line(
            **RARE,
            event_time=f"2019-10-30 11:00:{number:02d} UTC",
            event_type="remove_from_cart",
            product_id=RETURNED,
            user_id=600_000_000 + number,
            user_session=f"r{number}",
        )
        for number in range(REMOVERS)
    ]
    seen = [
        csv_line(**RARE, event_time="2019-10-30 12:00:00 UTC", product_id=SHOWN, user_id=user, user_session=f"v{user}")
        for user in VIEWERS
    ]
    return [*taken, *put_back, *seen]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Trained by the commands themselves, on generated events and a rare category's."""
    folder = tmp_path_factory.mktemp("removals")
    write_events(GeneratorSpec(EVENTS_WRITTEN, "2019-10", 3, users=400), folder / "usual.csv")
    header, *lines = (folder / "usual.csv").read_text(encoding="utf-8").splitlines()
    assert header == HEADER
    events: dict[str, int] = {}
    for row in csv.reader(lines):
        events[row[7]] = events.get(row[7], 0) + 1
    busy = sorted(events, key=lambda user: (-events[user], user))[:BUSY]
    log = write_log(folder / "log.csv", [*lines, *rare_lines(busy)])
    root = folder / "root"
    small = ["--rank", "16", "--iterations", "5", "--als", "implicit", "--k", "5"]
    for command in (["load", log], ["clean"], ["train", *small]):
        done = shopstream(*command, "--root", root)
        assert done.returncode == 0, done.stderr
    return root


def test_a_segment_s_interest_in_the_category_is_below_nothing(root: Path) -> None:
    """Otherwise the other tests would look at nothing."""
    rows = ds.dataset(root / INTERACTIONS.path, format="parquet").to_table().to_pylist()
    scores = [row["score"] for row in rows if row["product_id"] == RETURNED]
    assert sorted(scores) == [-1.0] * REMOVERS + [3.0] * BUSY


def test_viewers_of_a_category_find_both_of_its_products_in_their_lists(root: Path) -> None:
    table = ds.dataset(root / RECOMMENDATIONS.path, format="parquet").to_table().to_pylist()
    for user in VIEWERS:
        listed = {row["product_id"] for row in table if row["user_id"] == user}
        assert {RETURNED, SHOWN} <= listed and len(listed) == 10
        done = shopstream("recommend", "--user", user, "--root", root, "--json")
        assert {one["product_id"] for one in json.loads(done.stdout)} == listed


def test_every_user_has_a_list_of_finite_scores(root: Path) -> None:
    rows = ds.dataset(root / RECOMMENDATIONS.path, format="parquet").to_table().to_pylist()
    users = {row["user_id"] for row in ds.dataset(root / INTERACTIONS.path, format="parquet").to_table().to_pylist()}
    assert len(rows) == 10 * len(users)
    assert all(0 < row["score"] < float("inf") for row in rows)


def test_a_stream_that_brings_removals_keeps_both_products(root: Path) -> None:
    """Also where it takes their scores into what it recommends with, after each file."""
    later = [
        csv_line(
            **RARE,
            event_time=f"2019-11-02 10:{number:02d}:00 UTC",
            event_type="remove_from_cart",
            product_id=product,
            user_id=600_000_000 + number,
            user_session=f"n{number}",
        )
        for number in range(40)
        for product in (RETURNED, SHOWN)
    ]
    seen = [csv_line(**RARE, event_time="2019-11-03 09:00:00 UTC", product_id=SHOWN, user_id=VIEWERS[0])]
    log = write_log(root.parent / "november.csv", [*later, *seen])
    for command in (
        ["load", log],
        ["simulate", "--events", 80, "--speed", "max", "--ahead", 9],
        ["stream", "--once"],
    ):
        done = shopstream(*command, "--root", root, SHOPSTREAM_STREAM_REFRESH="1")
        assert done.returncode == 0, done.stderr
    assert "2 files applied" in done.stdout
    done = shopstream("recommend", "--user", VIEWERS[0], "--root", root, "--json")
    listed = json.loads(done.stdout)
    assert {RETURNED, SHOWN} <= {one["product_id"] for one in listed} and len(listed) == 10


@pytest.mark.parametrize("removals", [1, 1200])
def test_removals_alone_teach_nothing(settings: Settings, tmp_path: Path, removals: int) -> None:
    """However many: the first sum to -1000, which the lifts once divided by, is among them."""
    users = max(8, removals // 4)
    lines = [
        csv_line(event_type="remove_from_cart", user_id=1 + number % users, product_id=10 + number % 5)
        for number in range(max(8, removals))
    ]
    root = tmp_path / "root"
    load.run(root, [write_log(tmp_path / "log.csv", lines)])
    clean.run(local_engine(), root, DateRange())
    with pytest.raises(NothingToLearnError, match="nothing to learn: load more events"):
        train.run(local_engine(), small_settings(settings), root, DateRange(), "2")
    assert not (root / RECOMMENDATIONS.path).exists() and not (root / MODELS).exists()
