"""Rows in numbered groups: counts, sums, extremes, and what two groupings have in common."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from spark_apps.features.grouping import Groups

ROWS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from([None, "x", "y", "z"]), st.integers(-5, 5)), max_size=30
)


def column(values: list[Any], kind: pa.DataType, cut: int) -> pa.ChunkedArray:
    """A column in two chunks, as several batches make it."""
    return pa.chunked_array([pa.array(values[:cut], kind), pa.array(values[cut:], kind)], kind)


@given(ROWS, st.integers(0, 30))
def test_groups_are_those_of_a_dictionary(rows: list[tuple[str, str | None, int]], cut: int) -> None:
    users = Groups.by(column([user for user, _, _ in rows], pa.string(), cut))
    values = np.array([value for _, _, value in rows], np.int64)
    by_user: dict[str, list[int]] = defaultdict(list)
    for user, _, value in rows:
        by_user[user].append(value)
    assert users.keys.to_pylist() == list(by_user), "in the order of their first rows"
    assert users.counts().tolist() == [len(of) for of in by_user.values()]
    assert users.counts(values > 0).tolist() == [sum(value > 0 for value in of) for of in by_user.values()]
    assert users.sums(values.astype(float)).tolist() == [sum(of) for of in by_user.values()]
    assert users.lowest(values).tolist() == [min(of) for of in by_user.values()]
    assert users.highest(values).tolist() == [max(of) for of in by_user.values()]


@given(ROWS, st.integers(0, 30))
def test_a_null_is_nobody_to_meet(rows: list[tuple[str, str | None, int]], cut: int) -> None:
    users, brands = (Groups.by(column([row[place] for row in rows], pa.string(), cut)) for place in (0, 1))
    expected = Counter((user, brand) for user, brand, _ in rows if brand is not None)
    assert users.distinct(brands).tolist() == [
        sum(user == one for one, _ in expected) for user in users.keys.to_pylist()
    ]
    met = users.meetings(brands)
    names = zip(users.keys.take(met.first).to_pylist(), brands.keys.take(met.second).to_pylist(), strict=True)
    assert dict(zip(names, met.rows.counts().tolist(), strict=True)) == expected
