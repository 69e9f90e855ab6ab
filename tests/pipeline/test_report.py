"""The page that the jobs make: its summary says what the tables hold."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from spark_apps.jobs import analyze, clean, load, report
from spark_apps.registry.versions import HYBRID, newest
from spark_apps.reports.formats import share
from spark_apps.tables import EVALUATION, EVENTS, METADATA, RECOMMENDATIONS, USER_SEGMENTS, DateRange
from tests.engines import local_engine
from tests.factory import csv_line, write_log
from tests.pipeline.conftest import Trained
from tests.reports.reader import Page

EIGHT_CHARTS = {
    "chart-scores",
    "chart-recommended-category",
    "chart-recommended-brand",
    "chart-score-by-price",
    "chart-mean-score-category",
    "chart-mean-score-brand",
    "chart-user-scores",
    "chart-recommended-prices",
}


def kinds_by(rows: list[dict[str, Any]], *keys: str) -> dict[tuple[Any, ...], set[str]]:
    """The event types of each user, or of each of what else the keys name."""
    kinds: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    for row in rows:
        kinds[tuple(row[key] for key in keys)].add(row["event_type"])
    return kinds


def test_the_summary_says_what_the_tables_hold(trained: Trained) -> None:
    page, events = Page(trained.page.read_text(encoding="utf-8")), trained.rows(EVENTS)
    users = kinds_by(events, "user_id")
    sessions = kinds_by([row for row in events if row["user_session"]], "user_id", "user_session")
    viewers = [kinds for kinds in users.values() if "view" in kinds]
    carts = [kinds for kinds in sessions.values() if "cart" in kinds]
    left = [kinds for kinds in carts if "purchase" not in kinds]
    tiles = page.facts
    assert tiles["Events"] == f"{len(events):,}"
    assert tiles["Users"] == f"{len(users):,}"
    assert tiles["Sessions"] == f"{len({row['user_session'] for row in events if row['user_session']}):,}"
    assert tiles["Purchases"] == f"{sum(row['event_type'] == 'purchase' for row in events):,}"
    assert tiles["Viewers who purchase"] == share(sum("purchase" in kinds for kinds in viewers), len(viewers))
    assert tiles["Carts left, by session"] == share(len(left), len(carts))
    assert tiles["Segments"] == str(len({row["segment"] for row in trained.rows(USER_SEGMENTS)}))
    assert (
        tiles["Users with a list"].split()[0] == f"{len({row['user_id'] for row in trained.rows(RECOMMENDATIONS)}):,}"
    )
    buyers = sum("purchase" in kinds for kinds in viewers)
    assert f"Of {len(viewers):,} users who viewed a product," in page.text
    assert f"and {buyers:,} ({share(buyers, len(viewers))}) purchased." in page.text
    assert f"Of {len(carts):,} sessions with a cart, {len(left):,} " in page.text


def test_the_eight_charts_of_the_lists_are_there_and_hold_every_recommendation(trained: Trained) -> None:
    page = Page(trained.page.read_text(encoding="utf-8"))
    assert page.figures.keys() >= EIGHT_CHARTS
    assert all(page.charts[place] for place in page.figures)
    lists = trained.rows(RECOMMENDATIONS)
    compared = {row[0] for row in page.tables["What proposed the recommendations"][1:] if row[-1] == "yes"}
    drawn = page.figures["chart-scores"]["data"][0]["y"]
    assert sum(drawn) == sum(row["source"] in compared for row in lists)
    assert sum(page.figures["chart-user-scores"]["data"][0]["y"]) == pytest.approx(
        len({row["user_id"] for row in lists if row["source"] in compared})
    )


def test_models_compare_by_the_training_s_validation_until_they_are_evaluated(
    trained_root: Trained, tmp_path: Path
) -> None:
    assert "Run shopstream evaluate , then" in Page(trained_root.page.read_text(encoding="utf-8")).text
    root = Path(shutil.copytree(trained_root.root, tmp_path / "root"))
    models = {"als": {"ndcg": {"value": 0.25, "low": 0.2, "high": 0.3}}}
    folder, metadata = newest(root, HYBRID)
    metadata.metrics["validation"] = {"users": 212, **models}
    (folder / METADATA).write_text(metadata.model_dump_json(), encoding="utf-8")
    page = Page(report.run(local_engine(), root).read_text(encoding="utf-8"))
    assert page.tables["Models by NDCG@10"][1:] == [["als", "0.25", "0.2", "0.3"]]
    assert "Measured at training on 212 users" in page.text
    evaluation = {"k": 5, "negatives": 99, "users_evaluated": 7, "cutoff": "2019-10-25T18:59:07+00:00"}
    evaluation |= {"evaluated_at": "2019-11-01T00:00:00+00:00", "code_version": "1.0", "seed": 42, "share": 0.8}
    evaluation |= {"interval": {"level": 0.95, "resamples": 1000}, "users_with_new_products": 9}
    evaluation |= {"training": {"users": 20, "products": 30, "interactions": 40}}
    evaluation |= {"models": models, "judged": "hybrid", "differences": {}}
    (root / EVALUATION).write_text(json.dumps(evaluation), encoding="utf-8")
    page = Page(report.run(local_engine(), root).read_text(encoding="utf-8"))
    assert page.tables["Models by NDCG@5"][1:] == [["als", "0.25", "0.2", "0.3"]]
    assert "Measured on 7 users: models learned from the events before 2019-10-25 18:59 UTC" in page.text


def test_the_page_loads_nothing(trained: Trained) -> None:
    page = Page(trained.page.read_text(encoding="utf-8"))
    assert not page.all("link", "img", "iframe", "object", "embed", "base", "source", "video", "audio")
    assert {link["href"][0] for link in page.all("a")} == {"#"}  # type: ignore[index]
    assert all("src" not in script for script in page.all("script"))


def odd_log(**changes: Any) -> list[str]:
    """Forty users who view two products, put one into the cart and purchase it; `changes` are the same in every row."""
    steps = (("view", 1), ("view", 2), ("cart", 1), ("purchase", 1))
    wanted = changes.pop("event_types", {kind for kind, _ in steps})
    return [
        csv_line(
            **{"event_type": kind, "product_id": product, "user_id": user, "user_session": f"s{user}"}
            | {"event_time": f"2019-10-01 10:{user:02d}:0{second} UTC", "category_code": f"a.{product}"}
            | changes
        )
        for user in range(40)
        for second, (kind, product) in enumerate(steps)
        if kind in wanted
    ]


@pytest.mark.parametrize(
    ("log", "told", "not_told"),
    [
        (odd_log(user_session=None), "Of 40 users who viewed a product, 40 (100%)", "Paths inside sessions"),
        (odd_log(event_types={"view"}), "Most in demand: category a.1 (40 views)", "sessions with a cart"),
        (odd_log(brand=None), "product 1, unknown, a.1 (40 purchases)", "Top brands"),
        (odd_log(category_code="shoes"), "Most in demand: category shoes (40 purchases)", "Categories viewed in one"),
        (odd_log(category_code=None, brand=None, price=None), "No event has a price.", "Top categories"),
        (odd_log(event_types={"purchase"}), "100% purchase", "who viewed a product"),
        ([csv_line()], "1 event by 1 user on 1 product on 2019-10-01.", "busiest date"),
    ],
    ids=["no sessions", "no purchases", "no brands", "one category", "nothing described", "no views", "one event"],
)
def test_odd_logs_make_sensible_pages(tmp_path: Path, log: list[str], told: str, not_told: str) -> None:
    load.run(tmp_path, [write_log(tmp_path / "log.csv", log)])
    clean.run(local_engine(), tmp_path, DateRange())
    analyze.run(local_engine(), tmp_path, DateRange())
    page = Page(report.run(local_engine(), tmp_path).read_text(encoding="utf-8"))
    assert told in page.text and not_told not in page.text
    assert all(page.charts[place] for place in page.figures)
    assert "nan" not in page.text.lower().split() and "None" not in page.text
