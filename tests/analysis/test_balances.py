"""Two counts of the same thing, compared place by place."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from pyspark.sql import DataFrame, SparkSession

from spark_apps.analysis.balances import SHOWN_PLACES, balance, counted, summed, together

Counts = dict[str | None, int]
PLACES = st.dictionaries(st.one_of(st.none(), st.sampled_from("abcdefgh")), st.integers(0, 3))


def frame(spark: SparkSession, counts: Counts) -> DataFrame:
    return spark.createDataFrame(list(counts.items()), "place string, count long")


def test_equal_counts_hold(spark: SparkSession) -> None:
    found = balance("lines = events", *(frame(spark, {"a": 2, None: 1}) for _ in range(2)), mend="shopstream clean")
    assert found.holds
    assert (found.expected, found.found, found.places, found.differing, found.examples) == (3, 3, 2, 0, ())


def test_equal_sums_are_not_enough(spark: SparkSession) -> None:
    found = balance("lines = events", frame(spark, {"a": 2, "b": 1}), frame(spark, {"a": 1, "b": 2}), "clean")
    assert (found.expected, found.found, found.differing) == (3, 3, 2)
    assert not found.holds
    assert found.examples == ("a: 2 and 1", "b: 1 and 2")


def test_a_place_of_one_side_counts_nothing_on_the_other(spark: SparkSession) -> None:
    found = balance("lines = events", frame(spark, {"a": 1_000}), frame(spark, {None: 1}), "clean")
    assert found.examples == ("none: 0 and 1", "a: 1,000 and 0")


def test_nothing_equals_nothing(spark: SparkSession) -> None:
    found = balance("lines = events", frame(spark, {}), frame(spark, {}), "clean")
    assert (found.holds, found.expected, found.found, found.places) == (True, 0, 0, 0)


def test_of_many_places_the_first_are_shown(spark: SparkSession) -> None:
    found = balance("lines = events", frame(spark, {f"{n:03}": 1 for n in range(50)}), frame(spark, {}), "clean")
    assert found.differing == 50
    assert found.examples == tuple(f"{n:03}: 1 and 0" for n in range(SHOWN_PLACES))


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(expected=PLACES, found=PLACES)
def test_it_differs_just_where_plain_python_says(spark: SparkSession, expected: Counts, found: Counts) -> None:
    told = balance("lines = events", frame(spark, expected), frame(spark, found), "clean")
    differing = [place for place in {*expected, *found} if expected.get(place, 0) != found.get(place, 0)]
    assert (told.differing, told.holds) == (len(differing), not differing)
    assert (told.expected, told.found) == (sum(expected.values()), sum(found.values()))


def test_rows_are_counted_summed_and_added(spark: SparkSession) -> None:
    rows = spark.createDataFrame([("a", 2), ("a", 3), (None, 4)], "user string, events long")
    sides = [counted(rows, "user"), summed(rows, "user", "events")]
    sides.append(together(*sides))
    found = [{row["place"]: row["count"] for row in side.collect()} for side in sides]
    assert found == [{"a": 2, None: 1}, {"a": 5, None: 4}, {"a": 7, None: 5}]


@pytest.mark.parametrize("missing", ["place", "count"])
def test_a_side_without_its_columns_is_a_fault_of_the_program(spark: SparkSession, missing: str) -> None:
    with pytest.raises(Exception, match=missing):
        balance("lines = events", frame(spark, {"a": 1}).drop(missing), frame(spark, {"a": 1}), "clean")
