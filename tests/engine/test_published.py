"""Which files of published tables units get."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from spark_apps.engine.base import Relation, Task
from spark_apps.engine.local import LocalEngine
from spark_apps.engine.published import events_relation, table_relation
from spark_apps.errors import MissingTableError, NothingToDoError
from spark_apps.tables import EVENTS, STREAM_EVENTS, USER_FEATURES, DateRange
from tests.factory import write_events_table

FIRST, SECOND, THIRD = (date(2019, 10, day) for day in (1, 2, 3))


def at(*days: date) -> list[dict[str, object]]:
    return [{"event_time": f"{day} 12:00:00", "user_id": day.day} for day in days]


def users(relation: Relation, tmp_path: Path) -> list[int]:
    with LocalEngine(1, 64 << 20, tmp_path / "spill") as engine:
        found = engine.run(_users, {"events": relation}).results["users"]
    return sorted(found["user_id"].to_pylist())


def _users(task: Task) -> None:
    task.give("users", task.database.rows("select user_id from events"))


def test_events_of_some_dates(tmp_path: Path) -> None:
    write_events_table(tmp_path / EVENTS.path, at(FIRST, SECOND, THIRD))
    found, days = events_relation(tmp_path, DateRange(SECOND, None))
    assert days == [SECOND, THIRD]
    assert users(found, tmp_path) == [2, 3]
    assert users(table_relation(tmp_path, EVENTS, DateRange(FIRST, FIRST)), tmp_path) == [1]
    assert users(table_relation(tmp_path, EVENTS), tmp_path) == [1, 2, 3]


def test_dates_that_the_stream_alone_took_in_are_its(tmp_path: Path) -> None:
    write_events_table(tmp_path / EVENTS.path, at(FIRST))
    write_events_table(tmp_path / STREAM_EVENTS.path, at(THIRD))
    found, days = events_relation(tmp_path, DateRange())
    assert days == [FIRST, THIRD]
    assert users(found, tmp_path) == [1, 3]
    assert events_relation(tmp_path, DateRange(SECOND, None))[1] == [THIRD]


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(MissingTableError):
        events_relation(tmp_path, DateRange())
    with pytest.raises(MissingTableError):
        table_relation(tmp_path, USER_FEATURES)
    write_events_table(tmp_path / EVENTS.path, at(FIRST))
    with pytest.raises(NothingToDoError, match="2019-10-02 to the last date"):
        events_relation(tmp_path, DateRange(SECOND, None))


def test_a_table_without_rows(tmp_path: Path) -> None:
    (tmp_path / USER_FEATURES.path).mkdir(parents=True)
    assert table_relation(tmp_path, USER_FEATURES).files == ()
