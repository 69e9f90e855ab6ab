"""Everybody's lists: what is left out, that blocks and engines do not show, and what is counted of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from spark_apps.engine import local
from spark_apps.engine.base import Engine, Relation
from spark_apps.recommendation import lists
from spark_apps.recommendation.als import USER_FACTORS
from spark_apps.recommendation.catalogue import Catalogue
from spark_apps.recommendation.histories import Histories
from spark_apps.recommendation.hybrid import SOURCES
from spark_apps.recommendation.lists import LISTS, Listing, list_figures, user_lists
from tests.recommendation.catalogues import catalogue, histories, hybrid
from tests.recommendation.tables import files, local_engine, read, segments, spark_engine, touched

SEGMENTS = ["Casual_Browsers", "VIP_Customers"]


@pytest.mark.parametrize(
    ("purchased", "viewed", "expected"),
    [
        (True, False, [[10], [], [10, 11]]),
        (False, True, [[10, 11], [12], [10, 11]]),
        (True, True, [[10, 11], [12], [10, 11]]),
        (False, False, [[], [], []]),
    ],
)
def test_settings_say_what_is_left_out(purchased: bool, viewed: bool, expected: list[list[int]]) -> None:
    users = Histories(
        users=np.array([1, 2, 3]),
        offsets=np.array([0, 2, 3, 5]),
        places=np.array([10, 11, 12, 10, 11]),
        scores=np.ones(5, np.float32),
        bought=np.array([True, False, False, True, True]),
        segments=np.zeros(3, np.int32),
        factors=np.zeros((3, 1), np.float32),
    )
    excluded = users.left_out(purchased, viewed)
    assert [excluded.rows(user, user + 1).ids.tolist() for user in range(3)] == expected


def inputs(folder: Path, users: Histories, goods: Catalogue) -> dict[str, Relation]:
    """Interactions, segments and factors, as training has them; a product that the catalogue lacks is among them."""
    rows = np.repeat(users.users, np.diff(users.offsets))
    pairs = [
        (int(user), int(goods.ids[place]), float(score), int(bought), 1)
        for user, place, score, bought in zip(rows, users.places, users.scores, users.bought, strict=True)
    ]
    named = [(int(u), SEGMENTS[s] if s >= 0 else "new") for u, s in zip(users.users, users.segments, strict=True)]
    factors = [(int(u), f.tolist()) for u, f in zip(users.users, users.factors, strict=True) if f.any()]
    return {
        "interactions": touched(folder / "interactions", [*pairs, (51, 1, 1.0, 1, 1)]).select(*lists.TOUCHED),
        "segments": segments(folder / "segments", named),
        "factors": files(folder / "factors", USER_FACTORS, factors),
    }


def made(
    folder: Path, engine: Engine, users: Histories, goods: Catalogue, n: int = 7, viewed: bool = False
) -> tuple[pa.Table, dict[str, Any]]:
    """Lists in the order of users and ranks, and their figures."""
    listing = Listing(hybrid(goods), SEGMENTS, n, True, viewed)
    given, outputs = inputs(folder, users, goods), {"recommendations": folder / "lists"}
    done = engine.run(user_lists, given, "user_id", outputs, listing, row_seconds=1e-6)
    figures = list_figures(done.results["counts"], done.results["scores"], len(goods))
    return read(Relation.of(folder / "lists", LISTS), "user_id", "rank"), figures


@pytest.mark.parametrize(("at_once", "per_file"), [(65_536, 262_144), (7, 14), (1, 1)])
def test_lists_are_the_same_in_blocks_as_in_one_go(
    at_once: int, per_file: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "_USERS_AT_ONCE", at_once)
    monkeypatch.setattr(lists, "_USERS_PER_FILE", per_file)
    goods = catalogue(300)
    users, model = histories(50, len(goods)), hybrid(goods)
    found, figures = made(tmp_path, local_engine(tmp_path), users, goods)
    assert len(list((tmp_path / "lists").iterdir())) == -(-50 // per_file)

    expected = model.explained(users, users.left_out(True, False), 7)
    assert np.isfinite(expected.lists.scores).all()
    assert found["user_id"].to_pylist() == np.repeat(users.users, 7).tolist()
    assert found["rank"].to_pylist() == list(range(1, 8)) * 50
    assert found["product_id"].to_pylist() == goods.ids[expected.lists.ids].ravel().tolist()
    np.testing.assert_allclose(found["score"].to_numpy(), expected.lists.scores.ravel(), rtol=1e-4)
    assert found["source"].to_pylist() == [SOURCES[source] for source in expected.sources.ravel()]
    listed = np.unique(expected.lists.ids)
    assert figures == {
        "recommendations": 350,
        "users_with_list": 50,
        "mean_score": pytest.approx(found["score"].to_numpy().astype(np.float64).mean(), rel=1e-12),
        "users_with_als": int((expected.sources == SOURCES.index("als")).any(axis=1).sum()),
        "products_recommended": len(listed),
        "catalogue_coverage": len(listed) / 300,
    }


def test_lists_are_the_same_on_both_engines_and_in_processes(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    goods = catalogue(300)
    users = histories(200, len(goods))
    one, figures = made(tmp_path / "local", local_engine(tmp_path), users, goods)
    monkeypatch.setattr(local, "SECONDS_WORTH_PROCESSES", 0)
    with local_engine(tmp_path) as processes:
        others = [
            made(tmp_path / "processes", processes, users, goods),
            made(tmp_path / "spark", spark_engine(spark, tmp_path), users, goods),
        ]
    for other, counted in others:
        assert one.drop_columns("score").equals(other.drop_columns("score"))
        # products of factors are added up by BLAS, whose order depends on how many users are scored at once
        np.testing.assert_allclose(one["score"].to_numpy(), other["score"].to_numpy(), rtol=1e-6)
        assert counted == {**figures, "mean_score": pytest.approx(figures["mean_score"], rel=1e-6)}


def test_a_list_is_as_long_as_the_products_that_are_left(tmp_path: Path) -> None:
    goods = catalogue(8)
    users = histories(20, len(goods))
    found, figures = made(tmp_path, local_engine(tmp_path), users, goods, 10, viewed=True)
    left = 8 - np.diff(users.offsets)
    numbers = found.group_by("user_id").aggregate([("rank", "count")])
    assert dict(zip(numbers["user_id"].to_pylist(), numbers["rank_count"].to_pylist(), strict=True)) == {
        int(user): int(number) for user, number in zip(users.users, left, strict=True) if number
    }
    assert figures["users_with_list"] == int((left > 0).sum()) and figures["recommendations"] == int(left.sum())


def test_no_users_have_no_lists(tmp_path: Path) -> None:
    goods = catalogue(8)
    nobody = histories(3, len(goods)).rows(0, 0)
    listing, outputs = Listing(hybrid(goods), SEGMENTS, 7, True, False), {"recommendations": tmp_path / "lists"}
    given = {name: Relation((), one.schema) for name, one in inputs(tmp_path, nobody, goods).items()}
    done = local_engine(tmp_path).run(user_lists, given, "user_id", outputs, listing, row_seconds=1e-6)
    figures = list_figures(done.results["counts"], done.results["scores"], len(goods))
    assert figures["mean_score"] is None and figures["recommendations"] == 0


def test_scores_add_up_exactly_whatever_their_size(tmp_path: Path) -> None:
    """A large and a small one, of which a double would lose the small one."""
    counts = pa.table([[1], [3], [0], [b"\x00"]], ["lists", "rows", "with_als", "listed"])
    scores = pa.table([[80, 1, 80], [2**23, 2**23, -(2**23)]], ["exponent", "mantissas"])
    assert list_figures(counts, scores, 8)["mean_score"] == 1 / 3
