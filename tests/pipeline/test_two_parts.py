"""A day in two parts, batch and stream: training, analysis and `check` see each event once (SPEC T6, D6, F1)."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from spark_apps.engine.local import LocalEngine
from spark_apps.engine.published import events_relation, table_relation
from spark_apps.generator import GeneratorSpec, write_events
from spark_apps.jobs import analyze, check, clean, features, load, simulate, train
from spark_apps.jobs.check import Counted
from spark_apps.jobs.stream.state_store import StateStore
from spark_apps.provenance import EventsRead
from spark_apps.reconciliation.reconcile import Reconciliation
from spark_apps.settings import Settings
from spark_apps.storage import count_rows
from spark_apps.streaming.records import BatchRecord
from spark_apps.tables import (
    BATCH_LOG,
    CLEANED,
    FEATURES_READ,
    HISTORY,
    INTERACTIONS,
    PRODUCT_FEATURES,
    RECOMMENDATIONS,
    USER_FEATURES,
    USER_SEGMENTS,
    DateRange,
    Table,
)
from tests import oracle
from tests.comparing import assert_rows
from tests.engines import local_engine
from tests.factory import csv_line, rows_of_files, write_log
from tests.pipeline.conftest import small_settings
from tests.pipeline.test_stream import put, stream
from tests.streaming.replays import AT_ONCE, never

DAY = date(2019, 10, 20)
NOON = f"{DAY} 12:00:00"
LEFT_OUT = "events applied = events that features were made of, per date or batch"
DROPPED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
NEW_USERS = (7_000_001, 7_000_002)
# events that come to the day by hand: two users whom the log does not know, and a purchase
BY_HAND = [
    csv_line(event_time=f"{DAY} 20:00:00 UTC", user_id=NEW_USERS[0]),
    csv_line(event_time=f"{DAY} 20:01:00 UTC", user_id=NEW_USERS[0], event_type="purchase"),
    csv_line(event_time=f"{DAY} 21:00:00 UTC", user_id=NEW_USERS[1]),
]


@dataclass(frozen=True)
class Shop:
    """A root trained on October up to a day's noon, and the lines of that day's second half and of November."""

    root: Path
    settings: Settings
    first: list[str]
    second: list[str]
    november: list[str]


@pytest.fixture(scope="module")
def trained_once(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("shop")
    october, november = lines_of(folder, "2019-10", 1500), lines_of(folder, "2019-11", 300)
    first = [line for line in october if line < NOON]
    second = [line for line in october if NOON <= line < f"{DAY + timedelta(days=1)}"] + BY_HAND
    root = folder / "root"
    small = small_settings(settings)
    load.run(root, [write_log(folder / "first.csv", first)])
    clean_dates(root, DateRange())
    train.run(local_engine(), small, root, DateRange(), "3", force=True)
    return Shop(root, small, first, second, november)


def lines_of(folder: Path, month: str, events: int) -> list[str]:
    log = folder / f"{month}.csv"
    write_events(GeneratorSpec(events, month, 5), log)
    return sorted(log.read_text(encoding="utf-8").splitlines()[1:])


@pytest.fixture
def shop(trained_once: Shop, tmp_path: Path) -> Shop:
    """A copy of one's own."""
    shutil.copytree(trained_once.root, tmp_path / "root")
    return replace(trained_once, root=tmp_path / "root")


def drop_elsewhere(shop: Shop, name: str, lines: Sequence[str], number: int = 0) -> None:
    """Puts a file of another origin than the replay where the stream looks."""
    write = write_log(shop.root.parent / name, lines)
    put(shop.root, name, DROPPED_AT + timedelta(seconds=number), write.read_text(encoding="utf-8"))


def cleaned(shop: Shop, name: str, lines: Sequence[str], days: DateRange | None = None) -> None:
    load.run(shop.root, [write_log(shop.root.parent / name, lines)])
    clean_dates(shop.root, days or DateRange())


def made(shop: Shop, dates: DateRange) -> None:
    """Makes the feature tables, in this process."""
    with engine_at(shop.root) as engine:
        features.run(engine, shop.settings, shop.root, dates)


def clean_dates(root: Path, dates: DateRange) -> None:
    with engine_at(root) as engine:
        clean.run(engine, root, dates)


def engine_at(root: Path) -> LocalEngine:
    return LocalEngine(1, 256 << 20, root.parent / "spill")


def assert_features_of(shop: Shop, lines: Iterable[str]) -> None:
    """Checks the feature tables, made anew, against DuckDB's over the lines themselves; and that `check` agrees."""
    made(shop, DateRange())
    database = oracle.of_log(write_log(shop.root.parent / "applied.csv", list(lines)))
    for table, query, order in (
        (USER_FEATURES, oracle.USER_FEATURES, ["user_id"]),
        (PRODUCT_FEATURES, oracle.PRODUCT_FEATURES, ["product_id"]),
        (INTERACTIONS, oracle.INTERACTIONS, ["user_id", "product_id"]),
    ):
        found = rows_of_files(table_relation(shop.root, table), *order)
        assert_rows(found, oracle.rows(database, query), rel=1e-9)
    assert wrong(shop) == {}


def counted(shop: Shop) -> Counted:
    with engine_at(shop.root) as engine:
        return check.run(engine, shop.settings, shop.root)


def wrong(shop: Shop) -> dict[str, Reconciliation]:
    """What `check` finds wrong with features; segments and lists are as old as the training."""
    held = counted(shop).balances
    return {one.what: one for one in held if not one.holds and not one.what.startswith(("users", "products listed"))}


def table_rows(shop: Shop, table: Table) -> list[dict[str, Any]]:
    return ds.dataset(shop.root / table.path, format="parquet", partitioning="hive").to_table().to_pylist()


def events_of(shop: Shop) -> Counter[int]:
    return Counter({row["user_id"]: row["total_events"] for row in table_rows(shop, USER_FEATURES)})


def users_of(lines: Iterable[str]) -> Counter[int]:
    return Counter(int(line.split(",")[-2]) for line in lines)


def replay(shop: Shop, events: int = 70, files: int | None = None) -> None:
    simulate.run(shop.root, replace(AT_ONCE, events=events, files=files), never)


def of_november(shop: Shop, *days: int) -> list[str]:
    return [line for line in shop.november if int(line[8:10]) in days]


# --- batch holds a day's first half, the stream its second: the case that was found in the field


@pytest.fixture(scope="module")
def both_halves(trained_once: Shop, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    root = tmp_path_factory.mktemp("both") / "root"
    shutil.copytree(trained_once.root, root)
    shop = replace(trained_once, root=root)
    drop_elsewhere(shop, "rest-of-day.csv", shop.second)
    (record,) = stream(shop.settings, shop.root)
    assert (record.clean, record.replayed) == (len(shop.second), {})
    assert counted(shop).events_since == len(shop.second)
    train.run(local_engine(), shop.settings, shop.root, DateRange(), "3", force=True)
    return shop


@pytest.fixture
def damaged(both_halves: Shop, tmp_path: Path) -> Shop:
    shutil.copytree(both_halves.root, tmp_path / "root")
    return replace(both_halves, root=tmp_path / "root")


def test_a_training_learns_from_both_halves(both_halves: Shop) -> None:
    assert events_of(both_halves) == users_of([*both_halves.first, *both_halves.second])
    bought = sum(row["purchases"] for row in table_rows(both_halves, USER_FEATURES))
    assert bought == sum(",purchase," in line for line in [*both_halves.first, *both_halves.second])
    for table in (USER_SEGMENTS, RECOMMENDATIONS):
        assert set(NEW_USERS) <= {row["user_id"] for row in table_rows(both_halves, table)}


def test_check_counts_both_halves(both_halves: Shop) -> None:
    found = counted(both_halves)
    assert [one.what for one in found.balances if not one.holds] == []
    assert (found.events_since, found.events_outside) == (0, 0)
    everything = len(both_halves.first) + len(both_halves.second)
    assert [one.found for one in found.balances if one.what.startswith("events")] == [everything] * 3


def test_analysis_counts_both_halves(damaged: Shop) -> None:
    with engine_at(damaged.root) as engine:
        figures = analyze.run(engine, damaged.root, DateRange(DAY, DAY)).figures()
    halves = [line for line in [*damaged.first, *damaged.second] if line.startswith(str(DAY))]
    assert figures["events_by_day"] == {str(DAY): len(halves)}
    (day,) = figures["balance"]
    assert day["raw"] == day["clean"] == len(halves) - len(damaged.second)


def test_an_event_taken_out_of_features_by_hand_is_named(damaged: Shop) -> None:
    edit(damaged, USER_FEATURES, lambda row: {**row, "total_events": row["total_events"] - 1}, NEW_USERS[:1])
    found = wrong(damaged)["events = those of user_features, per user"]
    assert found.examples == (f"{NEW_USERS[0]}: 2 and 1",)


def test_a_streamed_day_left_out_of_features_by_hand_is_named(damaged: Shop) -> None:
    """As a training that takes a day from `clean` alone leaves it: tables without the streamed part."""
    for place in (BATCH_LOG, "processed/stream_events"):
        (damaged.root / place).rename(damaged.root / "temp" / Path(place).name)
    made(damaged, DateRange())
    for place in (BATCH_LOG, "processed/stream_events"):
        (damaged.root / "temp" / Path(place).name).rename(damaged.root / place)
    pretend_read_later(damaged)
    found = wrong(damaged)
    assert found[LEFT_OUT].examples == (f"batch 0: {len(damaged.second)} and 0",)
    lost = found["events = those of user_features, per user"]
    assert lost.expected - lost.found == len(damaged.second)
    assert lost.differing == len(users_of(damaged.second))


def test_a_cleaned_day_left_out_of_features_by_hand_is_named(damaged: Shop) -> None:
    day = "2019-10-07"
    for place in ("processed/events", CLEANED):
        (found,) = (damaged.root / place).glob(f"date={day}*")
        found.rename(damaged.root / "temp" / f"{Path(place).name}-{found.name}")
    made(damaged, DateRange())
    for place in ("processed/events", CLEANED):
        (found,) = (damaged.root / "temp").glob(f"{Path(place).name}-date={day}*")
        found.rename(damaged.root / place / found.name.removeprefix(f"{Path(place).name}-"))
    pretend_read_later(damaged)
    missed = wrong(damaged)[LEFT_OUT]
    assert missed.examples == (f"{day}: {sum(line.startswith(day) for line in damaged.first)} and 0",)


def test_features_that_do_not_say_what_they_were_made_of_are_named(damaged: Shop) -> None:
    (damaged.root / FEATURES_READ).unlink()
    (found,) = wrong(damaged).values()
    assert (found.fix, "earlier version" in found.examples[0]) == ("shopstream train", True)


def pretend_read_later(shop: Shop) -> None:
    """Makes the features' record one of a minute later: what it lacks had long been there then."""
    path = shop.root / FEATURES_READ
    read = EventsRead.model_validate_json(path.read_bytes())
    later = read.model_copy(update={"read_at": read.read_at + timedelta(minutes=1)})
    path.write_text(later.model_dump_json(), encoding="utf-8")


def edit(shop: Shop, table: Table, change: Any, users: Sequence[int]) -> None:
    """Changes the rows of some users in a table's files."""
    for file in (shop.root / table.path).rglob("*.parquet"):
        before = pq.read_table(file, partitioning=None)
        rows = [change(row) if row["user_id"] in users else row for row in before.to_pylist()]
        pq.write_table(before.from_pylist(rows, schema=before.schema), file)
        file.with_name(f".{file.name}.crc").unlink(missing_ok=True)


def last_time(record: BatchRecord) -> datetime:
    """The time of a batch's last event, though it be ahead of the stream's time."""
    assert record.last_event is not None
    return max(record.last_event, record.last_ahead or record.last_event)


# --- the same events from both sides, in every order


def test_a_replayed_month_that_is_cleaned_afterwards_counts_once(shop: Shop) -> None:
    cleaned(shop, "november.csv", shop.november, DateRange(last=DAY))
    replay(shop)
    records = stream(shop.settings, shop.root)
    assert sum(record.clean for record in records) == len(shop.november)
    assert all(record.replayed for record in records)
    assert_features_of(shop, [*shop.first, *shop.november])
    clean_dates(shop.root, DateRange())
    assert_features_of(shop, [*shop.first, *shop.november])


def test_a_replay_that_stopped_in_the_middle_of_a_day_which_clean_has_whole(shop: Shop) -> None:
    load.run(shop.root, [write_log(shop.root.parent / "november.csv", shop.november)])
    replay(shop, events=25, files=3)
    last = last_time(stream(shop.settings, shop.root)[-1])
    clean_dates(shop.root, DateRange(last.date(), last.date()))
    days = range(1, last.day)  # whole and streamed alone; the last day is clean's
    assert_features_of(shop, [*shop.first, *of_november(shop, *days, last.day)])
    replay(shop, events=25, files=2)
    more = last_time(stream(shop.settings, shop.root)[-1])
    applied = [line for line in shop.november if line[:19] <= f"{more:%Y-%m-%d %H:%M:%S}"]
    assert_features_of(shop, [*shop.first, *applied])


def test_a_file_from_elsewhere_is_beside_what_clean_has(shop: Shop) -> None:
    halves = shop.november[::2], shop.november[1::2]
    cleaned(shop, "half.csv", halves[0])
    drop_elsewhere(shop, "other-half.csv", halves[1])
    stream(shop.settings, shop.root)
    assert_features_of(shop, [*shop.first, *shop.november])


@pytest.mark.parametrize("before", [True, False])
def test_a_file_from_elsewhere_that_is_loaded_too_counts_once(before: bool, shop: Shop) -> None:
    steps = [
        lambda: cleaned(shop, "november.csv", shop.november),
        lambda: (drop_elsewhere(shop, "the-same.csv", shop.november), stream(shop.settings, shop.root)),
    ]
    for step in steps if before else steps[::-1]:
        step()
    assert_features_of(shop, [*shop.first, *shop.november])


def test_a_file_loaded_after_a_date_was_cleaned_is_not_taken_for_cleaned(shop: Shop) -> None:
    """The replay mixes a date's files, of which clean's events hold one: no drop holds rows of both."""
    halves = shop.november[::2], shop.november[1::2]
    cleaned(shop, "half.csv", halves[0])
    load.run(shop.root, [write_log(shop.root.parent / "other-half.csv", halves[1])])
    replay(shop, events=1_000)
    stream(shop.settings, shop.root)
    made(shop, DateRange())
    assert events_of(shop) == users_of([*shop.first, *shop.november])
    stale = wrong(shop)
    assert {one.fix for one in stale.values()} == {"shopstream clean"}
    assert any("2 files landed, cleaned from 1" in one.examples[0] for one in stale.values())
    clean_dates(shop.root, DateRange())
    assert_features_of(shop, [*shop.first, *shop.november])


def test_a_range_of_dates_takes_both_parts_of_them_alone(shop: Shop) -> None:
    drop_elsewhere(shop, "rest-of-day.csv", [*shop.second, *of_november(shop, 1, 2)])
    stream(shop.settings, shop.root)
    events, days = events_relation(shop.root, DateRange(DAY, date(2019, 11, 1)))
    expected = [line for line in [*shop.first, *shop.second, *of_november(shop, 1)] if line >= str(DAY)]
    assert (sum(map(count_rows, events.files)), days[0], days[-1]) == (len(expected), DAY, date(2019, 11, 1))
    made(shop, DateRange(DAY, date(2019, 11, 1)))
    assert events_of(shop) == users_of(expected)
    assert wrong(shop) == {}
    found = counted(shop)
    everything = len(shop.first) + len(shop.second) + len(of_november(shop, 1, 2))
    assert (found.events_since, found.events_outside) == (0, everything - len(expected))


def test_the_replay_of_an_earlier_version_is_held_by_the_dates_that_clean_has(shop: Shop) -> None:
    load.run(shop.root, [write_log(shop.root.parent / "november.csv", shop.november)])
    replay(shop)
    shutil.rmtree(shop.root / "temp" / "stream" / "provenance")  # which it did not write
    records = stream(shop.settings, shop.root)
    assert [record.replayed for record in records] == [None] * len(records)
    assert_features_of(shop, [*shop.first, *shop.november])
    clean_dates(shop.root, DateRange())
    shutil.rmtree(shop.root / CLEANED)
    assert_features_of(shop, [*shop.first, *shop.november])


# --- the stream's own knowledge of users: each event once, too


def history(shop: Shop) -> Counter[int]:
    """Events of each user in the stream's bases, and in the files of later batches that no base holds yet."""
    state = StateStore(shop.root).read()
    assert state is not None
    found: Counter[int] = Counter()
    for bucket in state.buckets:
        places = [bucket.file(HISTORY)]
        places += [path for one in state.recent if one.batch >= bucket.base for path in one.events]
        for path in places:
            users = pq.read_table(shop.root / path, columns=["user_id"], partitioning=None)["user_id"].to_pylist()
            found.update(user for user in users if user % bucket.modulus == bucket.remainder)
    return found


def test_a_stream_that_goes_on_after_clean_and_training_learns_each_event_once(shop: Shop) -> None:
    load.run(shop.root, [write_log(shop.root.parent / "november.csv", shop.november)])
    replay(shop, events=100, files=1)
    (begun,) = stream(shop.settings, shop.root)
    assert (begun.held, history(shop)) == (0, users_of([*shop.first, *shop.november[:100]]))
    clean_dates(shop.root, DateRange())
    train.run(local_engine(), shop.settings, shop.root, DateRange(), "3", force=True)
    replay(shop, events=100)
    drop_elsewhere(shop, "rest-of-day.csv", shop.second, number=1_000_000)
    records = stream(shop.settings, shop.root)
    replayed = [record for record in records if record.sequence is not None]
    (other,) = [record for record in records if record.sequence is None]
    assert [record.held for record in replayed] == [record.clean for record in replayed]
    assert (other.held, other.clean) == (0, len(shop.second))
    everything = [*shop.first, *shop.november, *shop.second]
    assert history(shop) == users_of(everything)
    assert {one.what for one in counted(shop).balances if not one.holds} == set()
    assert_features_of(shop, everything)


def test_a_stream_whose_state_is_gone_begins_with_what_it_had_applied(shop: Shop) -> None:
    drop_elsewhere(shop, "rest-of-day.csv", shop.second)
    stream(shop.settings, shop.root)
    shutil.rmtree(shop.root / "processed" / "stream_state")
    drop_elsewhere(shop, "november.csv", of_november(shop, 1, 2, 3), number=1)
    (record,) = stream(shop.settings, shop.root)
    assert (record.batch, record.held) == (1, 0)
    everything = [*shop.first, *shop.second, *of_november(shop, 1, 2, 3)]
    assert history(shop) == users_of(everything)
    assert_features_of(shop, everything)
