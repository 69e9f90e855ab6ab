"""New rows merged into sorted ones a part at a time."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from spark_apps.streaming.merging import cut, merged

SCHEMA = pa.schema([("user_id", pa.int64()), ("number", pa.int64())])
USERS = st.lists(st.integers(0, 9), max_size=40)


def table(users: list[int], first: int = 0) -> pa.Table:
    return pa.table([users, range(first, first + len(users))], SCHEMA)


def sorted_rows(parts: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(parts).sort_by("user_id")


@given(USERS, USERS, st.integers(1, 7))
def test_merged_parts_are_the_rows_of_both_in_order(older: list[int], newer: list[int], size: int) -> None:
    """Within a user old rows come first, each side's in the order they had."""
    base, more = table(sorted(older)), table(newer, 1000)
    parts = [base.slice(start, size) for start in range(0, len(base), size)]
    found = list(merged(parts, more, sorted_rows))
    assert pa.concat_tables(found).equals(sorted_rows([base, more]))
    seen = [set(part["user_id"].to_pylist()) for part in found]
    assert sum(map(len, seen)) == len(set().union(*seen)), "a user's rows come together"


def test_a_part_is_done_before_the_next_is_read() -> None:
    read: list[int] = []

    def parts() -> Iterator[pa.Table]:
        for user in range(5):
            read.append(user)
            yield table([user] * 3)

    first = next(merged(parts(), table([0, 4]), sorted_rows))
    assert read == [0] and len(first) == 0  # user 0 may go on in the next part


@given(st.lists(st.integers(0, 9), max_size=8), st.integers(1, 5))
def test_cut_tables_have_as_many_rows_as_asked_for_and_the_last_the_rest(sizes: list[int], rows: int) -> None:
    parts = [table([user] * size) for user, size in enumerate(sizes)]
    found = list(cut(parts, rows))
    whole, rest = divmod(sum(sizes), rows)
    assert [len(one) for one in found] == [rows] * whole + [rest] * (rest > 0)
    assert pa.concat_tables([SCHEMA.empty_table(), *found]).equals(pa.concat_tables([SCHEMA.empty_table(), *parts]))
