"""Two counts of the same thing, compared place by place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import hypothesis.strategies as st
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from pyspark.sql import SparkSession

from spark_apps.engine.base import Engine, Relation
from spark_apps.engine.spark import engine_of
from spark_apps.reconciliation.reconcile import (
    SHOWN_PLACES,
    Reconciliation,
    Sides,
    compare,
    count_places,
    counted,
    counts_of,
    distinct,
    reconcile,
    reconciliations,
    summed,
)
from tests.engines import local_engine

PLACES = st.dictionaries(st.one_of(st.none(), st.sampled_from("abcdefgh")), st.integers(0, 3))
NUMBERED = st.dictionaries(st.one_of(st.none(), st.integers(-3, 12)), st.integers(0, 3))
ROWS = pa.schema([("user_id", pa.int64()), ("events", pa.int64())])
SIDES = Sides(
    "lines = events", summed("expected", "user_id", "events"), summed("found", "user_id", "events"), "shopstream clean"
)


@pytest.fixture(params=["local", "spark"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    if request.param == "local":
        yield local_engine()
        return
    spark: SparkSession = request.getfixturevalue("spark")
    yield engine_of(spark)


def test_equal_counts_hold() -> None:
    found = reconcile("lines = events", {"a": 2, None: 1}, {None: 1, "a": 2}, fix="shopstream clean")
    assert found.holds
    assert (found.expected, found.found, found.places, found.differing, found.examples) == (3, 3, 2, 0, ())


def test_equal_sums_are_not_enough() -> None:
    found = reconcile("lines = events", {"a": 2, "b": 1}, {"a": 1, "b": 2}, "clean")
    assert (found.expected, found.found, found.differing) == (3, 3, 2)
    assert not found.holds
    assert found.examples == ("a: 2 and 1", "b: 1 and 2")


def test_a_place_of_one_side_counts_nothing_on_the_other() -> None:
    found = reconcile("lines = events", {"a": 1_000}, {None: 1}, "clean")
    assert found.examples == ("none: 0 and 1", "a: 1,000 and 0")


def test_nothing_equals_nothing() -> None:
    found = reconcile("lines = events", dict[str, int](), dict[str, int](), "clean")
    assert (found.holds, found.expected, found.found, found.places) == (True, 0, 0, 0)


def test_of_many_places_the_first_are_shown() -> None:
    found = reconcile("lines = events", {f"{n:03}": 1 for n in reversed(range(50))}, {}, "clean")
    assert found.differing == 50
    assert found.examples == tuple(f"{n:03}: 1 and 0" for n in range(SHOWN_PLACES))


@given(expected=PLACES, found=PLACES)
def test_it_differs_just_where_plain_python_says(expected: dict[str | None, int], found: dict[str | None, int]) -> None:
    told = reconcile("lines = events", expected, found, "clean")
    differing = [place for place in {*expected, *found} if expected.get(place, 0) != found.get(place, 0)]
    assert (told.differing, told.holds) == (len(differing), not differing)
    assert (told.expected, told.found) == (sum(expected.values()), sum(found.values()))


def rows(folder: Path, counts: Sequence[tuple[int | None, int | None]]) -> Relation:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(
        pa.table([list(column) for column in zip(*counts, strict=True)] or [[], []], ROWS), folder / "a.parquet"
    )
    return Relation.of(folder, ROWS)


def compared(
    engine: Engine, folder: Path, expected: Mapping[int | None, int], found: Mapping[int | None, int]
) -> Reconciliation:
    sides = {"expected": expected, "found": found}
    inputs = {name: rows(folder / name, list(side.items())) for name, side in sides.items()}
    (told,) = reconciliations(engine.run(compare, inputs, by="user_id", shared=[SIDES]), [SIDES])
    return told


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(expected=NUMBERED, found=NUMBERED)
def test_an_engine_compares_as_plain_python_does(
    tmp_path: Path, expected: dict[int | None, int], found: dict[int | None, int]
) -> None:
    told = compared(local_engine(), tmp_path, expected, found)
    assert told == reconcile(SIDES.what, expected, found, SIDES.fix)


def test_what_several_tasks_found_is_put_together(engine: Engine, tmp_path: Path) -> None:
    expected: dict[int | None, int] = {None: 7, **{user: user % 5 for user in range(-20, 200)}}
    found: dict[int | None, int] = {user: user % 4 for user in range(200)}
    told = compared(engine, tmp_path, expected, found)
    assert told == reconcile(SIDES.what, expected, found, SIDES.fix)
    assert told.examples == ("none: 7 and 0", "-19: 1 and 0", "-18: 2 and 0")


@pytest.mark.parametrize("nowhere", [{}, {3: 2}])
def test_a_side_without_rows_counts_nothing(engine: Engine, nowhere: dict[int | None, int], tmp_path: Path) -> None:
    told = compared(engine, tmp_path, nowhere, {})
    assert told == reconcile(SIDES.what, nowhere, {}, SIDES.fix)


def test_rows_are_counted_summed_and_told_apart(engine: Engine, tmp_path: Path) -> None:
    queries = {
        "counted": counted("visits", "user_id"),
        "counted where": counted("visits", "user_id", "events > 2"),
        "summed": summed("visits", "user_id", "events"),
        "distinct": distinct("visits", "user_id", "events"),
    }
    visits = rows(tmp_path, [(1, 2), (1, 3), (1, 3), (None, 4)])
    done = engine.run(count_places, {"visits": visits}, by="user_id", shared=queries)
    assert {name: counts_of(done, name) for name in queries} == {
        "counted": {1: 3, None: 1},
        "counted where": {1: 2, None: 1},
        "summed": {1: 8, None: 4},
        "distinct": {1: 2, None: 1},
    }


def test_a_place_without_a_number_counts_nothing(tmp_path: Path) -> None:
    inputs = {"expected": rows(tmp_path / "expected", [(1, None)]), "found": rows(tmp_path / "found", [(1, 1)])}
    (told,) = reconciliations(local_engine().run(compare, inputs, by="user_id", shared=[SIDES]), [SIDES])
    assert (told.expected, told.found, told.examples) == (0, 1, ("1: 0 and 1",))
