"""The stream's files of users' events and lists: what is read of them, and how they are made anew."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_apps.features.units import EVENT_COLUMNS
from spark_apps.jobs.stream import buckets
from spark_apps.jobs.stream.buckets import BucketFiles
from spark_apps.storage import write_parquet
from spark_apps.streaming.state import RecentBatch, StreamState
from spark_apps.streaming.user_update import PROFILES as PROFILE_ROWS
from spark_apps.tables import HISTORY, PROFILES, base_file

BUCKETS = 4
# users of bucket 1
USERS = range(1, 400, BUCKETS)


def event(user: int, number: int) -> dict[str, Any]:
    return {
        "user_id": user,
        "product_id": number,
        "category_code": f"c{number % 3}",
        "brand": f"b{number % 5}",
        "event_type": "view",
        "price": number / 2,
        "event_time": datetime(2019, 11, 1, 0, 0, number % 60, tzinfo=timezone.utc),
        "user_session": f"s{user}",
    }


def events(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, EVENT_COLUMNS)


def profiles(segments: dict[int, str]) -> pa.Table:
    rows = [
        {"user_id": user, "segment": name, "listed": [user], "first_listed": None} for user, name in segments.items()
    ]
    return pa.Table.from_pylist(rows, PROFILE_ROWS)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BucketFiles:
    """Files below a folder, read and written a few rows at a time."""
    monkeypatch.setattr(buckets, "_ROWS_PER_GROUP", 16)
    monkeypatch.setattr(buckets, "_ROWS_AT_ONCE", 32)
    return BucketFiles(tmp_path, BUCKETS)


OLD = [event(user, number) for number in range(3) for user in USERS]
# the second batch has a user of another bucket and a new one
NEW = [[event(user, 10) for user in USERS[::9]], [event(user, 11) for user in (2, 401, *USERS[::2])]]


def state_of(files: BucketFiles) -> StreamState:
    """Bases that hold nothing of the latest two batches, which wrote of events and users one file each."""
    root = Path(files.root)
    files.write(HISTORY, "", 0, 1, events(OLD))
    files.write(PROFILES, "", 0, 1, profiles(dict.fromkeys(USERS, "A")))
    for batch, rows in enumerate(NEW):
        write_parquet(root / f"events-{batch}.parquet", events(rows))
        write_parquet(root / f"users-{batch}.parquet", profiles({row["user_id"]: f"batch {batch}" for row in rows}))
    recent = [RecentBatch(batch=one, events=(f"events-{one}.parquet",), users=f"users-{one}.parquet") for one in (0, 1)]
    return StreamState(
        next_batch=2,
        latest=None,
        last_date="2019-11-01",
        buckets=BUCKETS,
        bases=(0,) * BUCKETS,
        recent=tuple(recent),
        models={},
        products_from=0,
        centres=(),
        weights=(),
        segments={},
        first_popular=(),
    )


def test_known_are_former_events_and_the_newest_profile_of_the_users_asked_for(files: BucketFiles) -> None:
    history, found = files.known(state_of(files), [1], pa.array([5, 37, 401, 777], pa.int64()))
    wanted = [row for row in [*OLD, *NEW[0], *NEW[1]] if row["user_id"] in (5, 37, 401)]
    assert sorted(history.to_pylist(), key=str) == sorted(wanted, key=str)
    assert history.schema == EVENT_COLUMNS
    assert dict(zip(found["user_id"].to_pylist(), found["segment"].to_pylist(), strict=True)) == {
        5: "A",
        37: "batch 0",
        401: "batch 1",
    }


def test_a_base_made_anew_holds_the_buckets_rows_sorted_by_user(files: BucketFiles) -> None:
    state = state_of(files)
    for kind in (HISTORY, PROFILES):
        files.renew(kind, "", state, 1)
    of_bucket = [row for row in [*OLD, *NEW[0], *NEW[1]] if row["user_id"] % BUCKETS == 1]
    stored = pq.ParquetFile(Path(files.root) / base_file(HISTORY, 2, 1))
    assert stored.read().equals(events(of_bucket).sort_by("user_id"))  # a stable sort: a user's oldest rows first
    sizes = [stored.metadata.row_group(number).num_rows for number in range(stored.num_row_groups)]
    assert set(sizes[:-1]) == {16} and 0 < sizes[-1] <= 16
    newest = dict.fromkeys(USERS, "A") | dict.fromkeys(USERS[::9], "batch 0") | dict.fromkeys(USERS[::2], "batch 1")
    found = pq.read_table(Path(files.root) / base_file(PROFILES, 2, 1))
    assert found.equals(profiles(dict(sorted((newest | {401: "batch 1"}).items()))))


def test_what_a_new_base_holds_is_read_from_it_alone(files: BucketFiles) -> None:
    state, asked = state_of(files), pa.array([5, 37, 401], pa.int64())
    before = files.known(state, [1], asked)
    for kind in (HISTORY, PROFILES):
        files.renew(kind, "", state, 1)
    after = files.known(state.model_copy(update={"bases": (0, 2, 0, 0), "recent": ()}), [1], asked)
    assert after[0].equals(before[0].sort_by("user_id")) and after[1].equals(before[1])


def test_a_bucket_without_a_user_is_read_and_made_anew(files: BucketFiles) -> None:
    state = state_of(files)
    files.write(HISTORY, "", 0, 3, events([]))
    files.write(PROFILES, "", 0, 3, profiles({}))
    assert [len(rows) for rows in files.known(state, [3], pa.array([3], pa.int64()))] == [0, 0]
    for kind in (HISTORY, PROFILES):
        files.renew(kind, "", state, 3)
    assert len(pq.read_table(Path(files.root) / base_file(HISTORY, 2, 3))) == 0
