"""The stream's files of users' events and lists: what is read of them, and how they are made anew."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from spark_apps.features.units import EVENT_COLUMNS
from spark_apps.jobs.stream import state_store
from spark_apps.jobs.stream.state_store import StateStore
from spark_apps.storage import write_parquet
from spark_apps.streaming import state as limits
from spark_apps.streaming.state import Bucket, RecentBatch, StreamState
from spark_apps.streaming.user_update import PROFILES as PROFILE_ROWS
from spark_apps.tables import HISTORY, PROFILES
from tests.engines import local_engine
from tests.kills import run_script

BUCKETS = tuple(Bucket(modulus=4, remainder=number, base=0) for number in range(4))
# users of bucket 1
USERS = range(1, 400, 4)


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
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StateStore:
    """A store whose files are read and written a few rows at a time."""
    monkeypatch.setattr(state_store, "_ROWS_PER_GROUP", 16)
    monkeypatch.setattr(state_store, "_ROWS_AT_ONCE", 32)
    return StateStore(tmp_path)


OLD = [event(user, number) for number in range(3) for user in USERS]
# the second batch has a user of another bucket and a new one
NEW = [[event(user, 10) for user in USERS[::9]], [event(user, 11) for user in (2, 401, *USERS[::2])]]


def state_of(store: StateStore) -> StreamState:
    """Bases that hold nothing of the latest two batches, which wrote of events and users one file each."""
    root = Path(store.root)
    store.write(HISTORY, "", BUCKETS[1], events(OLD))
    store.write(PROFILES, "", BUCKETS[1], profiles(dict.fromkeys(USERS, "A")))
    for batch, rows in enumerate(NEW):
        write_parquet(root / f"events-{batch}.parquet", events(rows))
        write_parquet(root / f"users-{batch}.parquet", profiles({row["user_id"]: f"batch {batch}" for row in rows}))
    recent = [RecentBatch(batch=one, events=(f"events-{one}.parquet",), users=f"users-{one}.parquet") for one in (0, 1)]
    return StreamState(
        next_batch=2,
        latest=None,
        last_date="2019-11-01",
        buckets=BUCKETS,
        recent=tuple(recent),
        models={},
        products_from=0,
        centres=(),
        weights=(),
        segments={},
        first_popular=(),
    )


def drop(store: StateStore, users: list[int]) -> list[str]:
    """Writes a batch's own events, one of each user."""
    fresh = events([event(user, 20) for user in users])
    write_parquet(Path(store.root) / "fresh.parquet", fresh.append_column("late", pa.nulls(len(users), pa.bool_())))
    return ["fresh.parquet"]


ASKED = [5, 37, 401, 777]


def test_known_are_fresh_and_former_events_and_the_newest_profile_of_a_batchs_users(store: StateStore) -> None:
    (known,) = store.known(state_of(store), [1], drop(store, [2, *ASKED]))
    assert known.fresh["user_id"].to_pylist() == ASKED  # the other one is of another bucket
    wanted = [row for row in [*OLD, *NEW[0], *NEW[1]] if row["user_id"] in ASKED]
    assert sorted(known.history.to_pylist(), key=str) == sorted(wanted, key=str)
    assert known.history.schema == EVENT_COLUMNS
    assert dict(zip(known.profiles["user_id"].to_pylist(), known.profiles["segment"].to_pylist(), strict=True)) == {
        5: "A",
        37: "batch 0",
        401: "batch 1",
    }


def test_one_user_is_read_as_a_batch_reads_it(store: StateStore) -> None:
    state = state_of(store)
    (known,) = store.known(state, [1], drop(store, [37]))
    history, found = store.user(state, 37)
    assert history.equals(known.history) and len(history) == 4
    assert found["segment"].to_pylist() == ["batch 0"]


def test_a_base_made_anew_holds_the_buckets_rows_sorted_by_user(store: StateStore) -> None:
    state, renewed = state_of(store), BUCKETS[1].renewed(2)
    for kind in (HISTORY, PROFILES):
        store.renew(kind, "", state, BUCKETS[1], renewed)
    of_bucket = [row for row in [*OLD, *NEW[0], *NEW[1]] if row["user_id"] % 4 == 1]
    stored = pq.ParquetFile(Path(store.root) / renewed.file(HISTORY))
    assert stored.read().equals(events(of_bucket).sort_by("user_id"))  # a stable sort: a user's oldest rows first
    sizes = [stored.metadata.row_group(number).num_rows for number in range(stored.num_row_groups)]
    assert set(sizes[:-1]) == {16} and 0 < sizes[-1] <= 16
    newest = dict.fromkeys(USERS, "A") | dict.fromkeys(USERS[::9], "batch 0") | dict.fromkeys(USERS[::2], "batch 1")
    found = pq.read_table(Path(store.root) / renewed.file(PROFILES))
    assert found.equals(profiles(dict(sorted((newest | {401: "batch 1"}).items()))))


@pytest.mark.parametrize("new", [(BUCKETS[1].renewed(2),), BUCKETS[1].halves(2)], ids=["whole", "halves"])
def test_what_new_bases_hold_is_read_from_them_alone(store: StateStore, new: tuple[Bucket, ...]) -> None:
    state, dropped = state_of(store), drop(store, [5, 37, 401])
    (before,) = store.known(state, [1], dropped)
    for kind in (HISTORY, PROFILES):
        for one in new:
            store.renew(kind, "", state, BUCKETS[1], one)
    after = state.with_bases({BUCKETS[1]: new}).model_copy(update={"recent": ()})
    (known,) = store.known(after, range(len(after.buckets)), dropped)
    assert known.fresh.equals(before.fresh)
    for now, then in ((known.history, before.history), (known.profiles, before.profiles)):
        assert now.sort_by("user_id").equals(then.sort_by("user_id"))


def test_more_former_events_than_the_limit_are_read_a_bucket_at_a_time(
    store: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = state_of(store)
    halves = BUCKETS[1].halves(2)
    for kind in (HISTORY, PROFILES):
        for one in halves:
            store.renew(kind, "", state, BUCKETS[1], one)
    after = state.with_bases({BUCKETS[1]: halves}).model_copy(update={"recent": ()})
    monkeypatch.setattr(limits, "EVENTS_PER_BUCKET", 8)
    found = list(store.known(after, [1, 2], drop(store, [5, 9, 13, 17])))
    assert [sorted(known.fresh["user_id"].to_pylist()) for known in found] == [[9, 17], [5, 13]]
    assert [set(known.history["user_id"].to_pylist()) for known in found] == [{9, 17}, {5, 13}]


# Compacts a state whose bucket is too large; whatever is left of a process that was killed has all that it names.
KILLED_AT_EVERY_STEP = """
import sys
from pathlib import Path

from spark_apps.jobs.stream.state_store import StateStore
from spark_apps.storage.transaction import recover
from spark_apps.streaming import state as limits
from spark_apps.tables import HISTORY, PROFILES
from tests.engines import local_engine
from tests.kills import kill_at_every_step

store = StateStore(Path(sys.argv[1]))
limits.EVENTS_PER_BUCKET = int(sys.argv[2])

def check():
    recover(store.root)
    made = [one for one in store.read().buckets if one.remainder % 4 == 1]
    assert len(made) in (1, 2)
    files = {store.root / one.file(kind) for kind in (HISTORY, PROFILES) for one in made}
    assert files == set((store.root / "processed/stream_state").rglob("bucket-*.parquet"))

print(kill_at_every_step(store.root, lambda: store.compact(local_engine(), store.read()), check))
"""


def test_a_split_that_is_killed_at_any_step_is_done_or_not_begun(store: StateStore) -> None:
    state, dropped = state_of(store).model_copy(update={"next_batch": 9}), drop(store, [5, 37, 401])
    with store.change(9) as change:
        change.commit(state)
    (before,) = store.known(state, [1], dropped)
    assert int(run_script(KILLED_AT_EVERY_STEP, store.root, len(OLD) - 1)) > 20
    after = store.read()
    assert after is not None and set(after.buckets) == {*BUCKETS, *BUCKETS[1].halves(9)} - {BUCKETS[1]}
    (known,) = store.known(after, range(len(after.buckets)), dropped)
    for now, then in ((known.history, before.history), (known.profiles, before.profiles)):
        assert now.sort_by("user_id").equals(then.sort_by("user_id"))


def test_a_bucket_is_split_when_its_base_has_more_events_than_the_limit(
    store: StateStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = state_of(store).model_copy(update={"next_batch": 9})
    monkeypatch.setattr(limits, "EVENTS_PER_BUCKET", len(OLD))
    assert store.compact(local_engine(), state).buckets == (BUCKETS[0], BUCKETS[1].renewed(9), *BUCKETS[2:])
    again = state_of(store).model_copy(update={"next_batch": 9})
    monkeypatch.setattr(limits, "EVENTS_PER_BUCKET", len(OLD) - 1)
    monkeypatch.setattr(limits, "MAX_MODULUS", 4)
    assert store.compact(local_engine(), again).buckets == (BUCKETS[0], BUCKETS[1].renewed(9), *BUCKETS[2:])


def test_a_bucket_without_a_user_is_read_and_made_anew(store: StateStore) -> None:
    state, empty = state_of(store), BUCKETS[3]
    store.write(HISTORY, "", empty, events([]))
    store.write(PROFILES, "", empty, profiles({}))
    assert [len(rows) for rows in store.user(state, 3)] == [0, 0]
    for kind in (HISTORY, PROFILES):
        store.renew(kind, "", state, empty, empty.renewed(2))
    assert len(pq.read_table(Path(store.root) / empty.renewed(2).file(HISTORY))) == 0


def test_a_state_of_an_earlier_version_is_read() -> None:
    """It had a number of buckets, and the bases of all of them."""
    fields = {"next_batch": 9, "latest": None, "last_date": "2019-11-01", "buckets": 2, "bases": [8, 3]}
    rest = {"recent": [], "models": {}, "products_from": 0, "centres": [], "weights": [], "segments": {}}
    state = StreamState.model_validate(fields | rest | {"first_popular": []})
    assert state.buckets == tuple(Bucket(modulus=2, remainder=one, base=base) for one, base in enumerate((8, 3)))
    assert StreamState.model_validate_json(state.model_dump_json()) == state
