"""Which files of published tables units get."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_apps.engine.base import Relation, Task
from spark_apps.engine.local import LocalEngine
from spark_apps.engine.published import applied_again, events_relation, stored_schema, table_relation
from spark_apps.errors import MissingTableError, NothingToDoError
from spark_apps.provenance import AppliedBatch, CleanedDate, EventsRead
from spark_apps.storage import StoragePath
from spark_apps.tables import BATCH_LOG, EVENTS, STREAM_EVENTS, USER_FEATURES, DateRange, cleaned_path, partition_folder
from tests.factory import clean_event, write_events_table

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


# --- events counted again, as those who read them earlier had them

NOON = datetime(2019, 10, 4, 12, tzinfo=timezone.utc)
PART = "a" * 16


def batch(number: int, day: date, part: str | None = None, minutes: int = 0) -> AppliedBatch:
    """What a record says of a batch of one event, replayed from a raw part or from elsewhere."""
    moment = datetime(day.year, day.month, day.day, 12, tzinfo=timezone.utc)
    return AppliedBatch(
        batch=number,
        sequence=number,
        sha256=f"{number:064}",
        clean=1,
        first_event=moment,
        last_event=moment,
        committed_at=NOON + timedelta(minutes=minutes),
        replayed={str(day): (part,)} if part else {},
    )


def write_stream(root: Path, batches: list[AppliedBatch], name: str | None = None) -> None:
    """Writes an event a batch, of user 100 + its number, in a file a batch, or in one for all of a date."""
    schema = stored_schema(STREAM_EVENTS)
    parts: dict[Path, list[dict[str, object]]] = {}
    (root / BATCH_LOG).mkdir(parents=True, exist_ok=True)
    for one in batches:
        assert one.dates is not None
        folder = root / STREAM_EVENTS.path / partition_folder(one.dates[0])
        row = {**clean_event(event_time=f"{one.dates[0]} 12:00:00", user_id=100 + one.batch), "batch": one.batch}
        parts.setdefault(folder / (name or f"batch-{one.batch:08d}.parquet"), []).append(row)
        (root / BATCH_LOG / f"batch-{one.batch:08d}.json").write_text(one.model_dump_json(), encoding="utf-8")
    for file, rows in parts.items():
        file.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), file)


def write_note(root: Path, day: date, minutes: int) -> None:
    note = CleanedDate(parts=(PART,), clean=1, quarantined=0, cleaned_at=NOON + timedelta(minutes=minutes))
    path = root / cleaned_path(day)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(note.model_dump_json(), encoding="utf-8")


def users_again(root: Path, batches: list[AppliedBatch], again: EventsRead | None = None) -> list[int]:
    files: dict[date, tuple[StoragePath, ...]] = applied_again(root, DateRange(), batches, root / "temp", again)
    relation = Relation(tuple(file for of_day in files.values() for file in of_day), stored_schema(EVENTS))
    return users(relation, root / "temp")


@pytest.mark.parametrize("name", [None, "merged.parquet"])
def test_events_are_counted_again_as_an_earlier_reader_had_them(name: str | None, tmp_path: Path) -> None:
    """Of the second date, clean holds what batch 1 replayed; batch 3 and the third date came after the reading."""
    write_events_table(tmp_path / EVENTS.path, at(FIRST, SECOND, THIRD))
    for day, minutes in ((FIRST, 0), (SECOND, 0), (THIRD, 9)):
        write_note(tmp_path, day, minutes)
    batches = [batch(0, SECOND), batch(1, SECOND, PART), batch(2, THIRD, PART), batch(3, SECOND, minutes=9)]
    write_stream(tmp_path, batches, name)
    read = EventsRead(
        read_at=NOON + timedelta(minutes=5),
        first=None,
        last=None,
        cleaned={str(FIRST): (PART,), str(SECOND): (PART,)},
        batches=3,
    )
    assert users_again(tmp_path, batches) == [1, 2, 3, 100, 103]
    assert users_again(tmp_path, batches, read) == [1, 2, 100, 102]
    missed = read.model_copy(update={"read_at": NOON + timedelta(minutes=20)})
    assert users_again(tmp_path, batches, missed) == [1, 2, 3, 100, 103]  # they were there and should have been read


def test_of_a_batch_without_a_record_clean_holds_nothing(tmp_path: Path) -> None:
    write_events_table(tmp_path / EVENTS.path, at(SECOND))
    write_note(tmp_path, SECOND, 0)
    write_stream(tmp_path, [batch(0, SECOND, PART), batch(1, SECOND, PART)])
    assert users_again(tmp_path, [batch(1, SECOND, PART)]) == [2, 100]
