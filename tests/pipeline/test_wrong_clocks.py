"""One wrong clock moves nobody else's: not in a training, and not in the stream (SPEC D4, F1, T2)."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

from spark_apps.commands.stream import tell_batch
from spark_apps.generator import GeneratorSpec, write_events
from spark_apps.jobs import clean, features, load, train
from spark_apps.jobs.stream.state_store import StateStore
from spark_apps.registry.versions import ALS, SEGMENTS, newest
from spark_apps.settings import Settings
from spark_apps.tables import (
    EVENTS,
    QUARANTINE,
    RECOMMENDATIONS,
    STREAM_USERS,
    STREAM_WINDOWS,
    USER_FEATURES,
    USER_SEGMENTS,
    DateRange,
    Table,
)
from tests.engines import local_engine
from tests.factory import csv_line, write_log
from tests.pipeline.conftest import small_settings
from tests.pipeline.test_stream import drop, stream

OCTOBER_EVENTS = 4_000
# long after October, and long before its file is landed
STRAY, STRAY_DAY = 900_000_001, "2025-06-01"
LONG_AGO = 900_000_002
LAST_DATE = "2019-10-31"


def rows(root: Path, table: Table) -> list[dict[str, Any]]:
    """A table's rows, read without Spark."""
    dataset = ds.dataset(root / table.path, format="parquet", partitioning="hive")
    return [dict(row) for row in dataset.to_table().to_pylist()]


def of_others(root: Path, table: Table) -> list[dict[str, Any]]:
    others = [row for row in rows(root, table) if row["user_id"] not in (STRAY, LONG_AGO)]
    return sorted(others, key=lambda row: (row["user_id"], row.get("rank", 0)))


@pytest.fixture(scope="module")
def october(tmp_path_factory: pytest.TempPathFactory) -> Path:
    log = tmp_path_factory.mktemp("october") / "october.csv"
    write_events(GeneratorSpec(OCTOBER_EVENTS, "2019-10", 11), log)
    return log


def trained(settings: Settings, root: Path, logs: list[Path]) -> Path:
    load.run(root, logs)
    clean.run(local_engine(), root, DateRange())
    train.run(local_engine(), small_settings(settings), root, DateRange(), "5", force=True)
    return root


@pytest.fixture(scope="module")
def usual(settings: Settings, october: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(settings, tmp_path_factory.mktemp("usual") / "root", [october])


def test_a_row_from_after_the_landing_changes_nothing_at_all(
    settings: Settings, october: Path, usual: Path, tmp_path: Path
) -> None:
    log = write_log(tmp_path / "one-row.csv", [csv_line(event_time="2099-01-01", user_id=STRAY)])
    root = trained(settings, tmp_path / "root", [october, log])
    assert [(row["reason"], str(row["date"])) for row in rows(root, QUARANTINE)] == [("future_time", "2099-01-01")]
    for table in (EVENTS, USER_FEATURES, USER_SEGMENTS, RECOMMENDATIONS):
        assert sorted(rows(root, table), key=str) == sorted(rows(usual, table), key=str), table.name


def test_a_row_far_ahead_and_one_of_long_ago_move_nobody_else(
    settings: Settings,
    october: Path,
    usual: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    product = rows(usual, RECOMMENDATIONS)[0]["product_id"]
    strays = [
        csv_line(event_time=f"{STRAY_DAY} 00:00:00 UTC", user_id=STRAY, product_id=product),
        csv_line(event_time="1970-01-01 00:00:00 UTC", user_id=LONG_AGO, product_id=product),
    ]
    root = trained(settings, tmp_path / "root", [october, write_log(tmp_path / "strays.csv", strays)])
    said = capsys.readouterr().err
    assert f"Recency counts from {LAST_DATE}: only 1 of 289 users was seen after it, up to {STRAY_DAY}" in said
    assert "Recency counts to 2019-10-01 at most: only 1 of 289 users was seen last long before" in said
    assert of_others(root, USER_FEATURES) == of_others(usual, USER_FEATURES)
    recency = {row["user_id"]: row["recency"] for row in rows(root, USER_FEATURES)}
    assert recency[STRAY] == 0 and recency[LONG_AGO] == 30
    before, after = ({row["user_id"]: row for row in of_others(one, USER_SEGMENTS)} for one in (usual, root))
    assert before.keys() == after.keys()
    assert {user: row["segment"] for user, row in after.items()} == {
        user: row["segment"] for user, row in before.items()
    }
    # two users more may move the edges of quintiles, as any two would, and with them the users on one edge
    moved = [abs(after[user]["rfm_recency"] - row["rfm_recency"]) for user, row in before.items()]
    assert max(moved) <= 1 and sum(moved) < 0.2 * len(moved)
    lists = [{(row["user_id"], row["product_id"]) for row in of_others(one, RECOMMENDATIONS)} for one in (usual, root)]
    assert len(lists[0] & lists[1]) > 0.7 * len(lists[0])
    for name in (ALS, SEGMENTS):
        metadata = newest(root, name)[1]
        assert (metadata.first_date, metadata.last_date) == ("1970-01-01", STRAY_DAY)
        assert metadata.reference_date == LAST_DATE


def test_in_the_stream_one_row_closes_no_window(
    settings: Settings, usual: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "root"
    shutil.copytree(usual, root)
    ahead = csv_line(event_time=f"{STRAY_DAY} 00:00:00 UTC", user_id=STRAY)
    usual_rows = [csv_line(event_time=f"2019-11-01 00:0{minute}:00 UTC", user_id=minute + 1) for minute in range(8)]
    drop(root, 1, [usual_rows[0], ahead])
    drop(root, 2, usual_rows[6:])
    drop(root, 3, [ahead.replace(str(STRAY), str(STRAY + 5))])
    drop(root, 4, usual_rows[1:2])
    told = stream(small_settings(settings), root)
    assert [(record.clean, record.ahead, record.late) for record in told] == [
        (2, 1, 0),
        (2, 0, 0),
        (1, 1, 0),
        (1, 0, 0),
    ]
    windows = Counter(str(row["window_start"]) for row in rows(root, STREAM_WINDOWS) for _ in range(row["events"]))
    assert windows == {
        "2019-11-01 00:00:00+00:00": 2,
        "2019-11-01 00:05:00+00:00": 2,
        f"{STRAY_DAY} 00:00:00+00:00": 2,
    }
    assert [f"{record.watermark:%m-%d %H:%M}" for record in told if record.watermark] == ["10-31 23:50"] + [
        "10-31 23:57"
    ] * 2
    assert [f"{record.last_event:%Y-%m-%d}" for record in told if record.last_event] == ["2019-11-01"] * 2 + [
        STRAY_DAY,
        "2019-11-01",
    ]
    assert {row["recency"] for row in rows(root, STREAM_USERS)} == {0}
    state = StateStore(root).read()
    assert state is not None and state.last_date == "2019-11-01"
    tell_batch(told[0])
    assert (
        "1 event far ahead, up to 2025-06-01 00:00: counted, but the watermark does not follow."
        in capsys.readouterr().err
    )
    features.run(local_engine(), settings, root, DateRange())
    before = {row["user_id"]: row["recency"] for row in rows(usual, USER_FEATURES)}
    after = {row["user_id"]: row["recency"] for row in rows(root, USER_FEATURES)}
    assert {user: recency + 1 for user, recency in before.items()} == {user: after[user] for user in before}
    assert after[STRAY] == after[STRAY + 5] == 0
