"""The whole command on a small shop: figures by another road, leaks, seeds, and logs that cannot be evaluated."""

from __future__ import annotations

import json
import shutil
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pyspark.sql import SparkSession

from spark_apps.engine.base import Engine, Relation
from spark_apps.engine.spark import engine_of
from spark_apps.errors import MissingTableError, NothingToDoError
from spark_apps.evaluation.batch_evaluation import FIGURES, K
from spark_apps.evaluation.compared import Evaluation
from spark_apps.evaluation.split import LeakError
from spark_apps.jobs import evaluate
from spark_apps.jobs.features import FeatureTables
from spark_apps.reports.comparison import comparison_parts
from spark_apps.reports.layout import Chart
from spark_apps.settings import AlsParameters, Settings
from spark_apps.tables import EVENTS
from tests.engines import local_engine
from tests.factory import clean_event, write_events_table
from tests.reports.reader import Page

USERS, PRODUCTS = 60, 80
POINTS = {"view": 1.0, "cart": 3.0, "purchase": 5.0}
MODELS = ["popularity", "item-knn", "als", "content", "hybrid"]


def shop_log() -> list[dict[str, Any]]:
    """Users with tastes, over five days; ids beyond 32 bits."""
    random = np.random.default_rng(5)
    log = []
    for user in range(USERS):
        taste = random.permutation(PRODUCTS)[:25]
        for _ in range(int(random.integers(3, 25))):
            product = int(random.choice(taste))
            second = int(random.integers(5 * 86_400))
            day, rest = divmod(second, 86_400)
            log.append(
                {
                    "user_id": 2**33 + user,
                    "product_id": 2**40 + product,
                    "event_type": str(random.choice(list(POINTS), p=[0.7, 0.2, 0.1])),
                    "category_code": ["electronics.smartphone", "apparel.shoes", None][product % 3],
                    "brand": ["apple", None][product % 2],
                    # a few prices that no binary fraction meets: their means depend on the order of adding
                    "price": round(19.9 + 0.1 * int(random.integers(3)), 2),
                    "event_time": f"2019-10-0{day + 1} {rest // 3600:02}:{rest // 60 % 60:02}:{rest % 60:02}",
                }
            )
    return log


@dataclass(frozen=True)
class Shop:
    root: Path
    settings: Settings


def shop_of(root: Path, settings: Settings, log: list[dict[str, Any]]) -> Shop:
    write_events_table(root / EVENTS.path, log)
    small = settings.model_copy(update={"als": AlsParameters(rank=8, iterations=5), "root": str(root)})
    return Shop(root, small)


@pytest.fixture(scope="module")
def shop(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return shop_of(tmp_path_factory.mktemp("evaluated"), settings, shop_log())


@pytest.fixture(scope="module")
def found(shop: Shop) -> dict[str, Any]:
    return evaluate.run(local_engine(), shop.settings, shop.root).figures()


def test_the_report_shows_every_figure_of_every_model(found: dict[str, Any]) -> None:
    chart, table = comparison_parts(Evaluation(**found).comparison())[-2:]
    assert isinstance(chart, Chart) and isinstance(table, str)
    assert len(chart.figure.data) == len(MODELS)
    ((head, *rows),) = Page(table).tables.values()
    assert head[1:] == MODELS
    assert [row[0] for row in rows[:5]] == [
        *(f"{name}@10, whole catalogue" for name in ("NDCG", "Recall", "MAP")),
        *(f"{name}@10, sampled" for name in ("NDCG", "HR")),
    ]
    assert len(rows) == len(found["models"]["als"])
    ndcg = [figures["ndcg"]["value"] for figures in found["models"].values()]
    assert [float(cell.split()[0]) for cell in rows[0][1:]] == pytest.approx(ndcg, abs=0.0001)


@dataclass(frozen=True)
class ByHand:
    """The split and the popularity model in plain Python."""

    cutoff: str
    seen: dict[int, set[int]]
    new: dict[int, list[int]]
    ranking: list[int]

    @staticmethod
    def of(log: list[dict[str, Any]], share: float) -> ByHand:
        log = sorted(log, key=lambda event: event["event_time"])
        cutoff = log[int(np.ceil(share * len(log))) - 1]["event_time"]
        seen, new, scores = defaultdict(set), defaultdict(list), defaultdict(float)
        for event in log:
            user, product = event["user_id"], event["product_id"]
            if event["event_time"] < cutoff:
                seen[user].add(product)
                scores[user, product] += POINTS[event["event_type"]]
            elif user in seen and product not in seen[user] and product not in new[user]:
                new[user].append(product)
        popularity = defaultdict(float)
        for (_, product), score in scores.items():
            popularity[product] += min(score, 10.0)
        ranking = sorted(popularity, key=lambda product: (-popularity[product], product))
        return ByHand(cutoff, dict(seen), {user: found for user, found in new.items() if found}, ranking)

    def figures(self) -> dict[str, float]:
        """Whole-catalogue figures of popularity."""
        recall, ndcg, precision = [], [], []
        for user, wanted in self.new.items():
            listed = [product for product in self.ranking if product not in self.seen[user]][:K]
            hits = [product in wanted for product in listed]
            best = sum(1 / np.log2(place + 2) for place in range(min(K, len(wanted))))
            recall.append(sum(hits) / len(wanted))
            ndcg.append(sum(hit / np.log2(place + 2) for place, hit in enumerate(hits)) / best)
            at_hits = [sum(hits[: place + 1]) / (place + 1) for place, hit in enumerate(hits) if hit]
            precision.append(sum(at_hits) / min(K, len(wanted)))
        return {"recall": np.mean(recall), "ndcg": np.mean(ndcg), "map": np.mean(precision)}


def test_the_split_and_the_figures_of_popularity_are_those_by_hand(found: dict[str, Any]) -> None:
    by_hand = ByHand.of(shop_log(), 0.8)
    assert found["cutoff"] == by_hand.cutoff.replace(" ", "T") + "+00:00"
    assert found["training"]["users"] == len(by_hand.seen)
    assert found["training"]["products"] == len(by_hand.ranking)
    assert found["training"]["interactions"] == sum(map(len, by_hand.seen.values()))
    assert found["users_evaluated"] == found["users_with_new_products"] == len(by_hand.new)
    for name, value in by_hand.figures().items():
        assert found["models"]["popularity"][name]["value"] == pytest.approx(value, abs=1e-6)


def test_every_model_has_every_figure_inside_its_interval(found: dict[str, Any]) -> None:
    assert list(found["models"]) == MODELS
    for figures in found["models"].values():
        for name in FIGURES:
            assert figures[name]["low"] <= figures[name]["value"] <= figures[name]["high"]
        assert 0 < figures["catalogue_coverage"]["value"] <= 1
    assert found["models"]["als"]["rmse"]["value"] > 0
    assert list(found["differences"]) == MODELS[:-1]
    for other, figures in found["differences"].items():
        whole = found["models"]["hybrid"]["ndcg"]["value"] - found["models"][other]["ndcg"]["value"]
        assert figures["ndcg"]["value"] == pytest.approx(whole, abs=2e-6)


def test_what_is_returned_is_published(found: dict[str, Any], shop: Shop) -> None:
    assert json.loads((shop.root / evaluate.EVALUATION).read_text()) == found


def without_time(evaluation: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in evaluation.items() if name != "evaluated_at"}


def test_both_engines_find_the_same_figures(
    spark: SparkSession, shop: Shop, found: dict[str, Any], tmp_path: Path
) -> None:
    shutil.copytree(shop.root / EVENTS.path, tmp_path / EVENTS.path)
    assert without_time(evaluate.run(engine_of(spark), shop.settings, tmp_path).figures()) == without_time(found)


@pytest.mark.usefixtures("in_new_york")
def test_figures_are_the_same_in_other_files_and_on_a_machine_with_another_zone(
    shop: Shop, found: dict[str, Any], tmp_path: Path
) -> None:
    shop_of(tmp_path, shop.settings, list(reversed(shop_log())))
    assert without_time(evaluate.run(local_engine(), shop.settings, tmp_path).figures()) == without_time(found)


def test_fewer_users_are_a_draw_by_the_seed(shop: Shop, found: dict[str, Any]) -> None:
    few = shop.settings.model_copy(update={"evaluation_users": 10})
    drawn = evaluate.run(local_engine(), few, shop.root).figures()
    assert (drawn["users_evaluated"], drawn["users_with_new_products"]) == (10, found["users_evaluated"])
    other = evaluate.run(local_engine(), few.model_copy(update={"seed": 1}), shop.root).figures()
    assert other["models"]["popularity"]["ndcg"] != drawn["models"]["popularity"]["ndcg"]


def test_features_made_from_all_events_stop_the_evaluation(
    shop: Shop, found: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, published = evaluate.training_tables, (shop.root / evaluate.EVALUATION).read_text()

    def from_all_events(engine: Engine, settings: Settings, cut: evaluate.Cut, folder: Path) -> FeatureTables:
        everything = Relation((*cut.before.files, *cut.after.files), cut.before.schema)
        return honest(engine, settings, replace(cut, before=everything), folder)

    monkeypatch.setattr(evaluate, "training_tables", from_all_events)
    with pytest.raises(LeakError, match="interactions"):
        evaluate.run(local_engine(), shop.settings, shop.root)
    assert (shop.root / evaluate.EVALUATION).read_text() == published


@pytest.mark.parametrize(
    ("log", "told"),
    [
        ([{"user_id": user} for user in range(4)], "same second"),
        (
            [{"user_id": user, "event_time": f"2019-10-0{user + 1} 00:00:00"} for user in range(5)],
            "No user from before 2019-10-04 00:00:00 touches a new product",
        ),
    ],
)
def test_a_log_without_before_and_after_cannot_be_evaluated(
    settings: Settings, tmp_path: Path, log: list[dict[str, Any]], told: str
) -> None:
    shop = shop_of(tmp_path, settings, log)
    with pytest.raises(NothingToDoError, match=told):
        evaluate.run(local_engine(), shop.settings, shop.root)
    assert not (tmp_path / evaluate.EVALUATION).exists()


def test_without_events_the_command_that_makes_them_is_named(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(MissingTableError, match="shopstream clean"):
        evaluate.run(local_engine(), settings, tmp_path)


def test_a_shop_of_two_users_can_be_evaluated(settings: Settings, tmp_path: Path) -> None:
    log = [
        {"user_id": user, "product_id": product, "event_time": f"2019-10-01 00:0{minute}:00", "price": None}
        for user, product, minute in [(1, 1, 0), (2, 1, 1), (2, 2, 2), (2, 3, 3), (1, 4, 5), (1, 2, 6)]
    ]
    assert clean_event(**log[0])["price"] is None
    shop = shop_of(tmp_path, settings.model_copy(update={"evaluation_share": 0.7}), log)
    found = evaluate.run(local_engine(), shop.settings, shop.root).figures()
    popularity = found["models"]["popularity"]
    # of user 1's new products, nobody knew 4 in training; 2 is the most popular of the two that user 1 has not seen
    assert popularity["recall"]["value"] == 0.5
    assert popularity["hit_rate_sampled"]["value"] == 1
    assert found["users_evaluated"] == 1
