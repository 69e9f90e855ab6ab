"""What a training keeps from its models to judge them by, and how it judges them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from spark_apps.engine.base import Engine, Relation
from spark_apps.evaluation import protocol
from spark_apps.jobs.train import validation
from spark_apps.jobs.train.validation import Learned, hold_back, validate
from spark_apps.recommendation.als import HELD, USER_FACTORS
from spark_apps.settings import Settings
from spark_apps.storage.transaction import Transaction
from tests.recommendation.catalogues import catalogue, hybrid
from tests.recommendation.tables import ENGINES, engine_named, files, local_engine, read, segments, touched

SETTINGS = Settings(validation_users=500)
Rows = list[tuple[int, int, int]]


@pytest.fixture
def transaction(tmp_path: Path) -> Iterator[Transaction]:
    with Transaction(tmp_path / "root", []) as opened:
        yield opened


def days(folder: Path, rows: Rows) -> Relation:
    """Interactions from user, product and the day of the last event."""
    return touched(folder, ((user, product, 2.0, 0, day) for user, product, day in rows))


def pairs(learned: Learned) -> list[tuple[int, int]]:
    return [tuple(row.values()) for row in read(learned.inputs()["held"], *HELD.names).to_pylist()]


@pytest.fixture
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "LEAST", 1)
    monkeypatch.setattr(validation, "SHARE", 1.0)


@pytest.mark.usefixtures("few_are_enough")
def test_the_product_touched_last_is_held_back_of_users_with_three(tmp_path: Path, transaction: Transaction) -> None:
    rows = [(1, 10, 3), (1, 11, 5), (1, 12, 4), (2, 10, 1), (2, 11, 2), (3, 10, 1), (3, 11, 7), (3, 12, 7)]
    interactions = days(tmp_path / "rows", rows)
    learned = hold_back(local_engine(tmp_path), SETTINGS, transaction, interactions, 3)
    assert pairs(learned) == [(1, 11), (3, 12)] and learned.users.to_pylist() == [1, 3]


@pytest.mark.usefixtures("few_are_enough")
@pytest.mark.parametrize("seed", [42, -7])
@pytest.mark.parametrize("name", ENGINES)
def test_users_with_the_lowest_hashes_are_drawn_on_every_engine(
    name: str, seed: int, request: pytest.FixtureRequest, tmp_path: Path, transaction: Transaction
) -> None:
    interactions = days(tmp_path / "rows", [(user, product, product) for user in range(60) for product in range(4)])
    few = SETTINGS.model_copy(update={"validation_users": 7, "seed": seed})
    learned = hold_back(engine_named(name, request, tmp_path), few, transaction, interactions, 60)
    by_hash = sorted(range(60), key=lambda user: hashlib.md5(f"{user} {seed}".encode()).hexdigest())
    assert pairs(learned) == [(user, 3) for user in sorted(by_hash[:7])]


def test_too_few_users_judge_nothing(tmp_path: Path, transaction: Transaction) -> None:
    interactions = days(tmp_path / "rows", [(1, 10, 3)])
    learned = hold_back(local_engine(tmp_path), SETTINGS, transaction, interactions, 100 * 20 - 1)
    assert not len(learned.users) and pairs(learned) == []


@dataclass(frozen=True)
class Judged:
    """A shop of 200 products and 40 users, whose factors point at the product that is held back of each."""

    folder: Path
    transaction: Transaction

    def figures(self, engine: Engine) -> dict[str, Any]:
        goods = catalogue(200)
        model = hybrid(goods)
        items = model.als.items
        rows = [(user, int(goods.ids[(user * 13 + step) % 200]), step) for user in range(40) for step in range(4)]
        learned = hold_back(engine, SETTINGS, self.transaction, days(self.folder / "rows", rows), 40)
        of_place = {int(goods.ids[place]): factor for place, factor in zip(items.ids, items.factors, strict=True)}
        factors = [
            (user, (50 * of_place[product] / np.linalg.norm(of_place[product])).tolist())
            for user, product in pairs(learned)
            if product in of_place
        ]
        placed = segments(self.folder / "segments", ((user, "a") for user in range(40)))
        of_users = files(self.folder / "factors", USER_FACTORS, factors)
        return validate(engine, self.transaction, model, learned, placed, of_users, ["a", "b"], 40, 42)


@pytest.mark.usefixtures("few_are_enough")
def test_a_model_that_knows_the_answer_is_told_from_popularity(tmp_path: Path, transaction: Transaction) -> None:
    found = Judged(tmp_path, transaction).figures(local_engine(tmp_path))
    assert found["users"] == 40
    assert found["als"]["ndcg"]["value"] > 2 * found["popularity"]["ndcg"]["value"]


@pytest.mark.usefixtures("few_are_enough")
def test_figures_are_the_same_on_both_engines(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Blocks are cut from all users, whatever tasks they are judged in."""
    monkeypatch.setattr(protocol, "USERS_PER_BLOCK", 7)
    found = []
    for name in ENGINES:
        with Transaction(tmp_path / name, []) as transaction:
            found.append(Judged(tmp_path / f"{name} files", transaction).figures(engine_named(name, request, tmp_path)))
    assert found[0] == found[1]


def test_blocks_are_cut_from_users_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "USERS_PER_BLOCK", 2)
    cut = protocol.in_blocks(np.array([5, 9, 7]))
    assert cut.equals(pa.table([[5, 7, 9], [0, 0, 1]], cut.schema))
