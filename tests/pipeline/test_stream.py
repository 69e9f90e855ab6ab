"""November as a stream, file by file: what it leaves equals a batch over the same events (SPEC T2-T6)."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from spark_apps.engine.base import Engine, Relation
from spark_apps.engine.published import stored_schema, table_relation
from spark_apps.errors import UnusableFileError
from spark_apps.features import units
from spark_apps.generator import GeneratorSpec, write_events
from spark_apps.jobs import check, recommend, report, train
from spark_apps.jobs.recommend import Recommendation
from spark_apps.jobs.segment import load_model
from spark_apps.jobs.stream.incoming import Note
from spark_apps.jobs.stream.query import StopPolicy, run
from spark_apps.jobs.stream.state_store import StateStore
from spark_apps.registry.versions import SEGMENTS, newest
from spark_apps.segmentation.inputs import FEATURES
from spark_apps.segmentation.model import SegmentModel, place_users
from spark_apps.settings import Settings
from spark_apps.streaming.drop_files import Drop
from spark_apps.streaming.records import BatchRecord
from spark_apps.tables import (
    BATCH_LOG,
    CHECKPOINT,
    DONE,
    EVENTS,
    INCOMING,
    PRODUCT_FEATURES,
    PRODUCTS,
    REPORTS,
    STREAM_EVENTS,
    STREAM_PRODUCTS,
    STREAM_QUARANTINE,
    STREAM_RECOMMENDATIONS,
    STREAM_TABLES,
    STREAM_TEMP,
    STREAM_USERS,
    STREAM_WINDOWS,
    TAKEN,
    USER_FEATURES,
    USER_SEGMENTS,
    DateRange,
    Table,
    base_file,
)
from tests.engines import local_engine
from tests.factory import HEADER, csv_line, rows_of_files
from tests.features.tables import make_tables
from tests.pipeline.conftest import Trained, assert_same_lists
from tests.reports.reader import Page

BATCHES, EVENTS_EACH = 6, 400
DROPPED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
LAST_TIME = "2019-11-30 23:00:00 UTC"


@dataclass(frozen=True)
class Streamed:
    """A root after a stream, and the records that it told."""

    root: Path
    settings: Settings
    told: list[BatchRecord]
    lines: list[str]

    def rows(self, table: Table) -> list[dict[str, Any]]:
        """A table's rows, read without Spark."""
        return ds.dataset(self.root / table.path, format="parquet", partitioning="hive").to_table().to_pylist()

    def batch_features(self, folder: Path, last: date) -> dict[Table, list[dict[str, Any]]]:
        """What the batch path makes of October's and the stream's events, in a new folder."""
        files = [file for table in (EVENTS, STREAM_EVENTS) for file in table_relation(self.root, table).files]
        return make_tables(folder, Relation(tuple(files), stored_schema(EVENTS)), last)


def drop(root: Path, sequence: int, lines: Sequence[str], ending: str = "\n", header: str = HEADER) -> None:
    """Drops a file as the replay does."""
    dropped_at = DROPPED_AT + timedelta(seconds=10 * sequence)
    put(root, Drop(sequence, dropped_at).name, dropped_at, "\n".join([header, *lines]) + ending)


def put(root: Path, name: str, moment: datetime, text: str) -> None:
    """Puts a file where the stream looks, as if it had been written at a moment: the order in which they are read."""
    part = root / INCOMING / (name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    part.write_text(text, encoding="utf-8")
    os.utime(part, (moment.timestamp(), moment.timestamp()))
    part.rename(part.with_suffix(""))


def stream(settings: Settings, root: Path, engine: Engine | None = None) -> list[BatchRecord]:
    """Applies all that waits, on this machine by default, and returns what was told."""
    told: list[BatchRecord] = []
    assert run(engine or local_engine(), settings, root, StopPolicy(once=True), told.append) == len(told)
    return told


def copy_of(trained: Trained, folder: Path) -> Path:
    root = folder / "root"
    for name in ("processed", "models"):
        shutil.copytree(trained.root / name, root / name)
    return root


@pytest.fixture(scope="module")
def november(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Lines of a generated November."""
    log = tmp_path_factory.mktemp("november") / "log.csv"
    write_events(GeneratorSpec(BATCHES * EVENTS_EACH, "2019-11", 3, removals=0.4), log)
    return log.read_text(encoding="utf-8").splitlines()[1:]


@pytest.fixture(scope="module")
def streamed(trained_root: Trained, november: list[str], tmp_path_factory: pytest.TempPathFactory) -> Streamed:
    """A stream of six files of good events, with new products taken in after every second one."""
    root = copy_of(trained_root, tmp_path_factory.mktemp("streamed"))
    settings = trained_root.settings.model_copy(update={"stream_refresh": 2})
    for number in range(BATCHES):
        drop(root, number + 1, november[number * EVENTS_EACH : (number + 1) * EVENTS_EACH])
    return Streamed(root, settings, stream(settings, root), november)


def test_every_line_is_an_event_once(streamed: Streamed) -> None:
    assert [record.batch for record in streamed.told] == list(range(BATCHES))
    assert [record.rows for record in streamed.told] == [EVENTS_EACH] * BATCHES
    found = streamed.rows(STREAM_EVENTS)
    assert Counter(row["batch"] for row in found) == dict.fromkeys(range(BATCHES), EVENTS_EACH)
    keys = Counter((f"{row['event_time']:%Y-%m-%d %H:%M:%S}", row["user_id"], row["product_id"]) for row in found)
    fields = [line.split(",") for line in streamed.lines]
    assert keys == Counter((one[0].removesuffix(" UTC"), int(one[7]), int(one[2])) for one in fields)


STREAM_BALANCES = 7


def test_the_batch_log_and_the_tables_balance(streamed: Streamed, strange: Streamed) -> None:
    for one in (streamed, strange):
        counted = check.run(local_engine(), one.settings, one.root)
        found = [balance for balance in counted.balances if "batch" in balance.what]
        assert [balance.what for balance in found if not balance.holds] == []
        assert len(found) >= STREAM_BALANCES - 1  # a stream without a bad line has no quarantine
        (clean,) = [balance for balance in found if balance.what.startswith("clean lines = rows of stream_events")]
        assert clean.found == len(one.rows(STREAM_EVENTS)) == sum(record.clean for record in one.told)


def test_a_batch_that_lost_its_events_is_named(streamed: Streamed, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(streamed.root, root)
    for file in [path for path in (root / STREAM_EVENTS.path).rglob("*.parquet") if batch_of(path) == {2}]:
        file.unlink()
    found = [balance for balance in check.run(local_engine(), streamed.settings, root).balances if not balance.holds]
    assert [(balance.what.split(" = ")[0], balance.examples) for balance in found] == [
        ("clean lines", (f"2: {EVENTS_EACH} and 0",))
    ]


def test_what_check_says_of_a_stream_without_its_files_helps(streamed: Streamed, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(streamed.root, root)
    shutil.rmtree(root / STREAM_EVENTS.path)
    (root / STREAM_EVENTS.path).mkdir()
    wrong = [balance for balance in check.run(local_engine(), streamed.settings, root).balances if not balance.holds]
    assert {balance.fix for balance in wrong} == {
        "bring back the files below processed/stream_* from a copy, or remove them all with temp/stream and replay"
    }
    for folder in (root / "processed").glob("stream_*"):
        shutil.rmtree(folder)
    shutil.rmtree(root / STREAM_TEMP)
    for number in range(2):
        drop(root, number + 1, streamed.lines[number * EVENTS_EACH : (number + 1) * EVENTS_EACH])
    assert [record.batch for record in stream(streamed.settings, root)] == [0, 1]
    assert all(balance.holds for balance in check.run(local_engine(), streamed.settings, root).balances)


def test_a_record_that_is_damaged_is_named_and_one_that_is_gone_is_counted(streamed: Streamed, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(streamed.root, root)
    record = root / BATCH_LOG / "batch-00000001.json"
    content = record.read_bytes()
    record.write_bytes(content[:100])
    with pytest.raises(UnusableFileError, match=r"batch-00000001\.json, .* is damaged: bring back the files below"):
        check.run(local_engine(), streamed.settings, root)
    record.unlink()
    wrong = {one.what: one for one in check.run(local_engine(), streamed.settings, root).balances if not one.holds}
    assert wrong["batches from 0 on = records, per batch"].examples == ("1: 1 and 0",)
    assert wrong["clean lines = rows of stream_events, per batch"].examples == (f"1: 0 and {EVENTS_EACH}",)


def batch_of(file: Path) -> set[int]:
    return set(ds.dataset(file, format="parquet").to_table(columns=["batch"])["batch"].to_pylist())


def test_users_equal_those_of_a_batch_over_the_same_events(streamed: Streamed, tmp_path: Path) -> None:
    updated = newest_users(streamed)
    last = max(date.fromisoformat(row["last_seen"][:10]) for row in updated)
    found = {row["user_id"]: row for row in updated}
    made = streamed.batch_features(tmp_path / "batch", last)[USER_FEATURES]
    expected = [row for row in made if row["user_id"] in found]
    for row in expected:  # a streamed user's recency counts from the last date of its batch
        del row["recency"]
    assert [{name: found[row["user_id"]][name] for name in row} for row in expected] == expected
    assert len(expected) == len(found)


def newest_users(streamed: Streamed) -> list[dict[str, Any]]:
    rows = rows_of_files(table_relation(streamed.root, STREAM_USERS), "user_id", "batch")
    return list({row["user_id"]: row for row in rows}.values())


def test_products_equal_those_of_a_batch_over_the_same_events(streamed: Streamed, tmp_path: Path) -> None:
    state = StateStore(streamed.root).read()
    assert state is not None
    base = pq.read_table(streamed.root / base_file(PRODUCTS, state.products_from))
    streams = ds.dataset(streamed.root / STREAM_PRODUCTS.path, format="parquet").to_table()
    since = streams.filter(pc.greater_equal(streams["batch"], state.products_from)).select(base.column_names)
    sums = pa.concat_tables([base, since.cast(base.schema)]).select(units.PRODUCT_SUMS.names).cast(units.PRODUCT_SUMS)
    made = streamed.batch_features(tmp_path / "batch", date(2019, 11, 30))[PRODUCT_FEATURES]
    assert features_of(sums, tmp_path) == made


def features_of(sums: pa.Table, folder: Path) -> list[dict[str, Any]]:
    """Makes product features of sums, as a training does."""
    pq.write_table(sums, folder / "sums.parquet")
    kinds = zip(*(sums[name].to_pylist() for name in ("views", "carts", "purchases")), strict=True)
    points = sum(views + 2 * carts + 3 * purchases for views, carts, purchases in kinds)
    inputs = {"product_sums": Relation((folder / "sums.parquet",), units.PRODUCT_SUMS)}
    outputs = {PRODUCT_FEATURES.name: folder / PRODUCT_FEATURES.name}
    mean = points / pc.sum(sums["unique_users"]).as_py()
    local_engine().run(units.product_table, inputs, outputs=outputs, shared=mean)
    return rows_of_files(Relation.of(folder / PRODUCT_FEATURES.name, stored_schema(PRODUCT_FEATURES)), "product_id")


def test_the_report_shows_every_batch_and_every_hit(streamed: Streamed, trained_root: Trained) -> None:
    shutil.copytree(streamed.root, root := streamed.root.parent / "reported")
    shutil.copytree(trained_root.root / REPORTS, root / REPORTS)
    page = Page(report.run(local_engine(), root).read_text(encoding="utf-8"))
    assert page.section("live-stream") == ["chart-stream-hits", "chart-stream-segments", "chart-stream-times"]
    told = [record.relevance["updated"] for record in streamed.told]
    hits, trials = sum(one.hits for one in told), sum(one.trials for one in told)
    assert trials and page.tables["Hits of the lists"][-1][1] == f"{hits:,} of {trials:,}"
    assert [row[:2] for row in page.tables["Times of batches"][1:]] == [[str(n), "400"] for n in range(BATCHES)]


def test_windows_equal_those_of_sql(streamed: Streamed) -> None:
    events = ds.dataset(streamed.root / STREAM_EVENTS.path, format="parquet").to_table()
    windows = ds.dataset(streamed.root / STREAM_WINDOWS.path, format="parquet").to_table()
    assert events.num_rows and windows.num_rows
    with duckdb.connect() as sql:
        sql.execute("set timezone = 'UTC'")
        expected = sql.execute(
            """
            with seen as (select batch, max(event_time) as latest from events group by batch),
            marks as (
                select one.batch,
                    (select max(latest) from seen where seen.batch < one.batch) - interval 10 minutes as mark
                from seen as one)
            select epoch(time_bucket(interval 5 minutes, event_time)) as start, count(*) as events,
                count(*) filter (event_type = 'view') as views, count(*) filter (event_type = 'cart') as carts,
                count(*) filter (event_type = 'purchase') as purchases,
                count(*) filter (event_type = 'remove_from_cart') as removals
            from events join marks using (batch)
            where mark is null or time_bucket(interval 5 minutes, event_time) + interval 5 minutes > mark
            group by start order by start
            """
        ).fetchall()
        found = sql.execute(
            """
            select epoch(window_start) as start, sum(events)::bigint, sum(views)::bigint, sum(carts)::bigint,
                sum(purchases)::bigint, sum(removals)::bigint
            from windows group by start order by start
            """
        ).fetchall()
    assert found == expected


def test_users_are_placed_as_the_saved_model_places_them_but_for_those_who_stay_within_the_margin(
    streamed: Streamed, trained_root: Trained
) -> None:
    folder, metadata = newest(streamed.root, SEGMENTS)
    model = load_model(folder, metadata)
    users = ds.dataset(streamed.root / STREAM_USERS.path, format="parquet").to_table()
    first = users.filter(pc.equal(users["batch"], 0))  # before any centre moved
    placed = {row["user_id"]: row for row in place_users(model, first).to_pylist()}
    rows = {row["user_id"]: row for row in first.to_pylist()}
    former = {row["user_id"]: row["segment"] for row in trained_root.rows(USER_SEGMENTS) if row["user_id"] in rows}
    reach = 1 - streamed.settings.segment_margin
    stay = set()
    for user, segment in former.items():
        distances = distances_from_centres(model, rows[user])
        if segment != (there := placed[user]["segment"]) and distances[there] >= reach * distances[segment]:
            stay.add(user)
    assert (
        stay
        and len(former) < len(rows)
        and any(placed[user]["segment"] != former[user] for user in former.keys() - stay)
    )
    for user, row in rows.items():
        assert row["segment"] == (former[user] if user in stay else placed[user]["segment"])
        assert user in stay or {name: row[name] for name in placed[user]} == placed[user]


def distances_from_centres(model: SegmentModel, user: dict[str, Any]) -> dict[str, float]:
    """Segment -> distance of a user from its centre, in standard deviations."""
    point = model.scale.standardised(np.array([float(user[name] or 0) for name in FEATURES]))
    return {model.names[number]: float(np.linalg.norm(point - centre)) for number, centre in enumerate(model.centres)}


def test_segments_add_up_to_the_users(streamed: Streamed, trained_root: Trained) -> None:
    known = set(row["user_id"] for row in trained_root.rows(EVENTS))
    new = {row["user_id"] for row in streamed.rows(STREAM_EVENTS)} - known
    assert new, "November has new users"
    last = streamed.told[-1]
    assert sum(one.users for one in last.segments.values()) == len(known) + len(new)
    assert sum(record.activity.new_users for record in streamed.told if record.activity) == len(new)
    for record in streamed.told:
        moved = sum(move.users for move in record.moves)
        assert record.change_rate == pytest.approx(moved / record.known_users)
        assert all(move.source != move.target for move in record.moves)


def test_records_cross_rfm_groups_and_segments_as_the_table_has_them(streamed: Streamed) -> None:
    rows = streamed.rows(STREAM_USERS)
    users = Counter((row["batch"], row["rfm_segment"], row["segment"]) for row in rows)
    assert {(told.batch, one.rfm, one.segment): one.users for told in streamed.told for one in told.crossings} == users


def test_every_user_of_a_batch_gets_a_list_without_what_it_bought(streamed: Streamed) -> None:
    lists: dict[tuple[int, int], list[dict[str, Any]]] = {}
    for row in streamed.rows(STREAM_RECOMMENDATIONS):
        lists.setdefault((row["batch"], row["user_id"]), []).append(row)
    users = {(row["batch"], row["user_id"]): row["listed"] for row in streamed.rows(STREAM_USERS)}
    assert lists.keys() == users.keys()
    for key, places in lists.items():
        ordered = sorted(places, key=lambda row: row["rank"])
        assert [row["rank"] for row in ordered] == list(range(1, 11))
        assert [row["product_id"] for row in ordered] == users[key]
        assert all(row["source"] in ("als", "content", "popularity") for row in ordered)
    bought: dict[int, dict[int, int]] = {}
    for row in streamed.rows(STREAM_EVENTS):
        if row["event_type"] == "purchase":
            bought.setdefault(row["user_id"], {}).setdefault(row["product_id"], row["batch"])
    assert bought
    for (batch, user), listed in users.items():
        assert not {product for product, when in bought.get(user, {}).items() if when <= batch} & set(listed)


def test_a_user_of_the_stream_is_recommended_what_its_last_batch_listed(streamed: Streamed) -> None:
    rows = sorted(streamed.rows(STREAM_RECOMMENDATIONS), key=lambda row: row["rank"])
    last = {row["user_id"] for row in rows if row["batch"] == BATCHES - 1}
    for user in sorted(last)[:: max(1, len(last) // 20)]:
        listed = [
            Recommendation(row["product_id"], row["score"], row["source"])
            for row in rows
            if row["user_id"] == user and row["batch"] == BATCHES - 1
        ]
        found = recommend.run(streamed.settings, streamed.root, user, streamed.settings.top)
        assert_same_lists(found[: len(listed)], listed)


def test_a_user_whom_the_stream_has_not_seen_is_recommended_what_the_training_listed(
    streamed: Streamed, trained_root: Trained
) -> None:
    seen = {row["user_id"] for row in streamed.rows(STREAM_USERS)}
    unseen = sorted(set(trained_root.lists()) - seen)[0]
    asked = (trained_root.settings, unseen, trained_root.settings.top)
    found, trained = (recommend.run(asked[0], root, *asked[1:]) for root in (streamed.root, trained_root.root))
    assert found == trained


def test_new_products_are_recommended_after_a_refresh(streamed: Streamed, trained_root: Trained) -> None:
    old = {row["product_id"] for row in trained_root.rows(EVENTS)}
    new = [row for row in streamed.rows(STREAM_RECOMMENDATIONS) if row["product_id"] not in old]
    assert new and min(row["batch"] for row in new) >= 2
    assert all(row["source"] != "als" for row in new)


def test_records_tell_what_the_tables_hold(streamed: Streamed) -> None:
    for record in streamed.told:
        rows = [row for row in streamed.rows(STREAM_EVENTS) if row["batch"] == record.batch]
        types = Counter(row["event_type"] for row in rows)
        assert {kind: one.events for kind, one in record.events.items()} == {
            kind: types[kind] for kind in record.events
        }
        assert record.activity is not None and record.lists is not None
        assert record.activity.users == len({row["user_id"] for row in rows}) == record.lists.users
        assert sum(record.sources.values()) == 10 * record.lists.users
        wanted = [row for row in rows if row["event_type"] in ("cart", "purchase")]
        assert 0 < record.relevance["updated"].trials <= len({(row["user_id"], row["product_id"]) for row in wanted})
        assert record.top_products[0].points >= record.top_products[-1].points
        assert record.late == sum(row["late"] for row in rows)


def test_a_second_start_applies_nothing_twice_even_without_a_checkpoint(streamed: Streamed) -> None:
    assert stream(streamed.settings, streamed.root) == []
    shutil.rmtree(streamed.root / CHECKPOINT, ignore_errors=True)
    (last,) = (streamed.root / DONE).glob(f"{BATCHES - 1:08d}-*")  # as if it had been killed before it put this away
    taken = streamed.root / TAKEN / f"batch-{BATCHES - 1:08d}.csv"
    last.rename(taken)
    note = Note(batch=BATCHES - 1, name=streamed.told[-1].file, taken_at=DROPPED_AT)
    taken.with_suffix(".json").write_text(note.model_dump_json(), encoding="utf-8")
    before = {table.name: streamed.rows(table) for table in STREAM_TABLES}
    assert stream(streamed.settings, streamed.root) == []
    assert {name: len(rows) for name, rows in before.items()} == {
        table.name: len(streamed.rows(table)) for table in STREAM_TABLES
    }
    assert last.exists() and not list((streamed.root / TAKEN).iterdir())


def test_a_running_stream_takes_over_promoted_models(streamed: Streamed, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(streamed.root, root)
    training = train.run(local_engine(), streamed.settings, root, DateRange(), "4", force=True)
    october = len({row["user_id"] for row in streamed.rows(EVENTS)})
    assert training.als.users > october, "the stream's events are learned from, too"
    drop(root, 7, streamed.lines[:EVENTS_EACH:2])
    (record,) = stream(streamed.settings, root)
    assert set(record.models.values()) == {training.als.version}
    assert set(record.segments) == set(training.segments.segments)
    assert sum(one.users for one in record.segments.values()) == training.als.users
    assert record.activity is not None and record.activity.new_users == 0
    assert record.known_users == record.activity.users, "the training knew them all"
    after = Streamed(root, streamed.settings, [*streamed.told, record], streamed.lines)
    for number, compare in enumerate(
        (
            test_users_equal_those_of_a_batch_over_the_same_events,
            test_products_equal_those_of_a_batch_over_the_same_events,
        )
    ):
        (folder := tmp_path / str(number)).mkdir()
        compare(after, folder)


@pytest.fixture(scope="module")
def strange(trained_root: Trained, november: list[str], tmp_path_factory: pytest.TempPathFactory) -> Streamed:
    """A stream of files that are not as they should be, between good ones."""
    root = copy_of(trained_root, tmp_path_factory.mktemp("strange"))
    good, late = november[:300], november[300:600]
    drop(root, 1, good)
    put(root, "the-same.csv", DROPPED_AT + timedelta(seconds=15), "\n".join([HEADER, *good]) + "\n")
    drop(root, 2, [])
    for sequence in (3, 8):
        moment = DROPPED_AT + timedelta(seconds=10 * sequence)
        put(root, Drop(sequence, moment).name, moment, "")
    drop(root, 4, good, header="time,type,product")
    drop(root, 5, [*late[:100], late[100][:30]], ending="")
    drop(
        root,
        6,
        [
            csv_line(event_time="2038-01-19 03:14:07 UTC"),
            *(csv_line(event_time=LAST_TIME, user_id=user) for user in (7, 9, 10)),
        ],
    )
    early = csv_line(event_time="2019-11-01 00:00:01 UTC", user_id=8)
    drop(root, 7, [early, csv_line(event_time="yesterday"), HEADER])
    return Streamed(root, trained_root.settings, stream(trained_root.settings, root), november)


def by_name(strange: Streamed) -> dict[int | None, BatchRecord]:
    return {record.sequence: record for record in strange.told}


def test_the_same_bytes_under_another_name_are_a_duplicate(strange: Streamed) -> None:
    records = by_name(strange)
    assert (records[1].outcome, records[None].outcome) == ("applied", "duplicate")
    assert len([row for row in strange.rows(STREAM_EVENTS) if row["user_id"] > 10]) == 400


def test_a_header_alone_is_a_batch_without_events_and_no_header_is_refused(strange: Streamed) -> None:
    records = by_name(strange)
    assert (records[2].outcome, records[2].rows) == ("applied", 0)
    refused = {number: records[number].reason for number in (3, 4, 8) if records[number].outcome == "refused"}
    assert refused == {3: "empty", 4: "header", 8: "empty"}


def test_a_torn_line_goes_to_quarantine_and_the_others_count(strange: Streamed) -> None:
    record = by_name(strange)[5]
    assert (record.rows, record.clean, record.quarantined) == (101, 100, {"wrong_columns": 1})


def test_an_event_from_after_its_drop_goes_to_quarantine(strange: Streamed) -> None:
    record = by_name(strange)[6]
    assert (record.rows, record.clean, record.quarantined) == (4, 3, {"future_time": 1})
    assert record.last_event == datetime(2019, 11, 30, 23, tzinfo=timezone.utc)


def test_a_late_event_counts_but_in_no_window(strange: Streamed) -> None:
    record = by_name(strange)[7]
    assert (record.clean, record.late, record.quarantined) == (1, 1, {"bad_time": 2})
    assert record.watermark == datetime(2019, 11, 30, 22, 50, tzinfo=timezone.utc)
    (row,) = [row for row in strange.rows(STREAM_EVENTS) if row["user_id"] == 8]
    assert row["late"] and [one for one in strange.rows(STREAM_USERS) if one["user_id"] == 8]
    counted = sum(row["events"] for row in strange.rows(STREAM_WINDOWS))
    assert counted == len(strange.rows(STREAM_EVENTS)) - sum(one.late for one in strange.told)


def test_every_line_of_strange_files_is_an_event_or_in_quarantine(strange: Streamed) -> None:
    for record in strange.told:
        assert record.rows == record.clean + sum(record.quarantined.values())
    reasons = Counter(row["reason"] for row in strange.rows(STREAM_QUARANTINE))
    assert reasons == sum((Counter(record.quarantined) for record in strange.told), Counter())


def test_the_batch_log_holds_what_was_told(strange: Streamed) -> None:
    files = sorted((strange.root / "processed/stream_batches").glob("*.json"))
    assert [BatchRecord.model_validate(json.loads(path.read_text())) for path in files] == strange.told
