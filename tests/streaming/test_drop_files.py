"""The names of dropped files."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_apps.streaming.drop_files import Drop, read_drop

TIMES = st.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(timezone.utc))


@given(st.integers(0, 99_999_999), TIMES)
def test_a_name_says_what_it_was_made_from(sequence: int, moment: datetime) -> None:
    drop = Drop(sequence, moment)
    assert read_drop(drop.name) == drop


def test_names_sort_by_number() -> None:
    moment = datetime(2026, 1, 2, 3, 4, 5, 60, timezone.utc)
    assert Drop(7, moment).name == "batch-00000007-20260102T030405.000060Z.csv"
    assert sorted([Drop(10, moment).name, Drop(9, moment).name])[0] == Drop(9, moment).name


@pytest.mark.parametrize("name", ["events.csv", "batch-7-20260102T030405.000060Z.csv", "batch-00000007-now.csv"])
def test_other_names_are_not_the_replays(name: str) -> None:
    assert read_drop(name) is None
