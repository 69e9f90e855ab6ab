"""Affinities: interest added up as by hand, lifts, support, order, and nothing where nothing stands out."""

from __future__ import annotations

from collections import defaultdict
from fractions import Fraction
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_apps.engine.base import Engine
from spark_apps.schemas import UNKNOWN
from spark_apps.segmentation.affinities import Interest, affinities, interests
from tests.segmentation.conftest import stored

some_interests = st.dictionaries(
    st.tuples(st.sampled_from(["A", "B", "C"]), st.sampled_from(["categories", "brands"]), st.sampled_from("vwxyz")),
    st.tuples(st.integers(1, 1000).map(float), st.integers(1, 50)),
).map(lambda found: [Interest(*key, *figures) for key, figures in found.items()])


def test_interest_is_added_up_as_by_hand_on_every_engine(engine: Engine, tmp_path: Path) -> None:
    random = np.random.default_rng(6)
    products = {
        number: (str(random.choice(["a.b", "a.c", UNKNOWN])), str(random.choice(["x", UNKNOWN])))
        for number in range(12)
    }
    segments = {user: f"S{user % 3}" for user in range(40)}
    pairs = {
        (user, product): float(random.integers(-1, 5)) / 10
        for user in segments
        for product in products
        if random.random() < 0.4
    }
    keys = zip(*pairs, strict=True)
    tables = {
        "interactions": pa.table([*map(pa.array, keys), [*pairs.values()]], ["user_id", "product_id", "score"]),
        "products": pa.table(
            [[*products], *zip(*products.values(), strict=True)], ["product_id", "category_code", "brand"]
        ),
        "segments": pa.table([[*segments], [*segments.values()]], ["user_id", "segment"]),
    }
    found = interests(engine, *(stored(rows, tmp_path / name) for name, rows in tables.items()), tmp_path / "scratch")
    scores: dict[tuple[str, str, str], Fraction] = defaultdict(Fraction)
    users: dict[tuple[str, str, str], set[int]] = defaultdict(set)
    for (user, product), score in pairs.items():
        for dimension, value in zip(("categories", "brands"), products[product], strict=True):
            if score > 0 and value != UNKNOWN:
                scores[segments[user], dimension, value] += Fraction(str(score))
                users[segments[user], dimension, value].add(user)
    assert sorted(found) == sorted(Interest(*key, float(scores[key]), len(users[key])) for key in scores)


def test_enormous_scores_are_interest_too(here: Engine, tmp_path: Path) -> None:
    tables = {
        "interactions": pa.table({"user_id": [1, 2], "product_id": [1, 1], "score": [1e300, 1e-300]}),
        "products": pa.table({"product_id": [1], "category_code": ["a"], "brand": [UNKNOWN]}),
        "segments": pa.table({"user_id": [1, 2], "segment": ["A", "A"]}),
    }
    relations = (stored(rows, tmp_path / name) for name, rows in tables.items())
    (found,) = interests(here, *relations, tmp_path / "scratch")
    assert found == Interest("A", "categories", "a", pytest.approx(1e20, rel=1e-15), 2)


def test_lift_compares_shares_so_busy_segments_do_not_like_everything() -> None:
    found = [
        Interest("Busy", "categories", "phones", 600.0, 30),
        Interest("Busy", "categories", "shoes", 400.0, 30),
        Interest("Idle", "categories", "phones", 10.0, 10),
        Interest("Idle", "categories", "shoes", 30.0, 10),
    ]
    busy, idle = (one.figures() for one in affinities(found, {"Busy": 1, "Idle": 1}, kept=10))
    everybody = 610 / 1040
    assert busy["categories"] == [
        {"value": "phones", "share": 0.6, "lift": pytest.approx(0.6 / everybody), "users": 30}
    ]
    assert idle["categories"] == [
        {"value": "shoes", "share": 0.75, "lift": pytest.approx(0.75 / (1 - everybody)), "users": 10}
    ]
    assert busy["brands"] == idle["brands"] == []


def test_what_too_few_users_of_the_segment_like_is_left_out() -> None:
    found = [Interest("A", "brands", "few", 50.0, 4), Interest("A", "brands", "many", 50.0, 5)]
    found.append(Interest("B", "brands", "other", 900.0, 90))
    assert [one.value for one in affinities(found, {"A": 5, "B": 5}, kept=10)[0].brands] == ["many"]


def test_a_single_category_is_nobody_s_affinity() -> None:
    found = [Interest(name, "categories", "all", score, 9) for name, score in (("A", 3.0), ("B", 0.1))]
    assert all(one.categories == [] for one in affinities(found, {"A": 1, "B": 1}, kept=10))


def test_a_segment_without_interest_is_listed_with_nothing() -> None:
    assert [one.figures() for one in affinities([], {"A": 1}, kept=10)] == [
        {"segment": "A", "categories": [], "brands": []}
    ]


@given(some_interests, st.integers(1, 4), st.integers(1, 30))
def test_lists_are_bounded_ordered_supported_and_true(found: list[Interest], kept: int, least: int) -> None:
    listed = affinities(found, dict.fromkeys("ABC", least), kept)
    assert [one.segment for one in listed] == ["A", "B", "C"]
    assert listed == affinities(list(reversed(found)), dict.fromkeys("ABC", least), kept)
    by_key = {(row.segment, row.dimension, row.value): row for row in found}
    for segment in listed:
        for dimension in ("categories", "brands"):
            lifts = [one.lift for one in getattr(segment, dimension)]
            assert len(lifts) <= kept and all(lift > 1 for lift in lifts)
            assert lifts == pytest.approx(sorted(lifts, reverse=True))
            for one in getattr(segment, dimension):
                row = by_key[segment.segment, dimension, one.value]
                own = sum(r.score for r in found if r.segment == row.segment and r.dimension == dimension)
                assert one.users == row.users >= least
                assert one.share == pytest.approx(row.score / own)
