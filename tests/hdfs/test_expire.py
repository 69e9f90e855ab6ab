"""Retention: what goes, and what must never go."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from spark_apps.hdfs.admin import HdfsAdmin
from spark_apps.hdfs.layout import DEFAULT_LAYOUT, Layout, read_layout
from spark_apps.hdfs.retention import Expired, expired, remove
from spark_apps.storage import HdfsPath, root_path
from spark_apps.storage.transaction import Transaction
from spark_apps.tables import CHECKPOINT, DONE, INCOMING, REFUSED, REPLAY, STREAM_TEMP, TAKEN
from tests.hdfs.conftest import Shopstream
from tests.hdfs.server import HdfsServer

DAY = 86_400
OLD = 8
Place = Callable[..., None]


@pytest.fixture
def layout() -> Layout:
    return read_layout(DEFAULT_LAYOUT)


@pytest.fixture
def place(superuser: HdfsAdmin, shopstream: Shopstream) -> Place:
    """Puts a file there, as old as wanted; its parents are aged by `age`."""
    assert shopstream("apply").exit_code == 0

    def put(path: str, days: float) -> None:
        superuser.client.write(path, b"x" * 100, overwrite=True)
        age(superuser, path, days)

    return put


def age(hdfs: HdfsAdmin, path: str, days: float) -> None:
    moment = round((time.time() - days * DAY) * 1000)
    hdfs.client.set_times(path, modification_time=moment)


def paths(found: list[Expired]) -> list[str]:
    return sorted(one.path for one in found)


def listed(hdfs: HdfsAdmin, path: str) -> list[str]:
    return sorted(entry.path for entry in hdfs.walk(path))


def test_says_first_and_removes_with_yes(superuser: HdfsAdmin, place: Place, shopstream: Shopstream) -> None:
    place("/tmp/old", OLD)
    place("/tmp/young", 6.9)
    place("/spark-events/app-1", 31)
    place("/spark-events/app-2", 29)
    told = shopstream("expire")
    assert told.exit_code == 0
    assert "Would remove" in told.stdout
    assert "/tmp/old" in told.stdout
    assert "--yes" in told.stderr
    assert listed(superuser, "/tmp") == ["/tmp/old", "/tmp/young"]
    done = json.loads(shopstream("expire", "--yes", "--json").stdout)
    assert [(one["path"], one["rule"], one["days"], one["removed"], one["bytes"]) for one in done] == [
        ("/spark-events/app-1", "/spark-events", 30, True, 100),
        ("/tmp/old", "/tmp", 7, True, 100),
    ]
    assert listed(superuser, "/tmp") == ["/tmp/young"]
    assert listed(superuser, "/spark-events") == ["/spark-events/app-2"]
    assert shopstream("expire", "--yes").stdout == "Nothing has expired.\n"


def test_a_folder_is_as_old_as_the_newest_thing_in_it(superuser: HdfsAdmin, place: Place, layout: Layout) -> None:
    place("/tmp/a/b/old", OLD)
    place("/tmp/a/young", 1)
    age(superuser, "/tmp/a/b", OLD)
    age(superuser, "/tmp/a", OLD)
    assert paths(list(expired(superuser, layout))) == []
    age(superuser, "/tmp/a/young", OLD)
    assert paths(list(expired(superuser, layout))) == ["/tmp/a"]
    age(superuser, "/tmp/a/b", 1)
    assert paths(list(expired(superuser, layout))) == []


def test_directories_of_the_layout_and_what_has_no_rule_stay(
    superuser: HdfsAdmin, place: Place, layout: Layout
) -> None:
    for path in ("/data/raw/x", "/data/models/x", "/data/processed/x", "/user/spark/x", "/data/reports/x"):
        place(path, 4_000)
    for directory in layout.directories:
        age(superuser, directory.path, 4_000)
    assert paths(list(expired(superuser, layout))) == []


def test_files_can_be_judged_each_on_its_own(superuser: HdfsAdmin, place: Place, tmp_path: Path) -> None:
    path = tmp_path / "layout.yaml"
    text = DEFAULT_LAYOUT.read_text().replace("retention: { days: 30, of: entries }", "retention: {days: 3, of: files}")
    path.write_text(text)
    place("/spark-events/a/old", 4)
    place("/spark-events/a/young", 2)
    assert paths(list(expired(superuser, read_layout(path)))) == ["/spark-events/a/old"]


def test_what_changed_after_the_look_stays(superuser: HdfsAdmin, place: Place, layout: Layout) -> None:
    for name in ("a", "b", "c"):
        place(f"/tmp/{name}", OLD)
    first, second, third = expired(superuser, layout)
    age(superuser, "/tmp/a", 0)
    superuser.remove("/tmp/b")
    assert [remove(superuser, layout, one) for one in (first, second, third)] == [False, False, True]
    assert listed(superuser, "/tmp") == ["/tmp/a"]


@pytest.fixture
def root(hdfs_server: HdfsServer, place: Place) -> HdfsPath:
    path = root_path(f"{hdfs_server.uri}/data", hdfs_server.webhdfs, "spark")
    assert isinstance(path, HdfsPath)
    return path


def age_all(hdfs: HdfsAdmin, path: str, days: float) -> None:
    for entry in hdfs.walk(path):
        age(hdfs, entry.path, days)


def test_a_transaction_at_work_stays(superuser: HdfsAdmin, root: HdfsPath, layout: Layout) -> None:
    """The lock's refreshing is what keeps it young: one round of it, as after a job of eight days."""
    with Transaction(root, ["processed/events"]) as transaction:
        transaction.stage("processed/events").write_text("rows")
        age_all(superuser, "/data/temp", OLD)
        locks = [entry.path for entry in superuser.walk("/data/temp/publish") if entry.path.endswith("alive.lock")]
        age(superuser, locks[0], 10 / DAY)
        assert paths(list(expired(superuser, layout))) == []
        transaction.replace("processed/events")
        transaction.commit()
    assert (root / "processed/events").read_text() == "rows"


def test_a_dead_transaction_goes_and_a_committed_one_stays(superuser: HdfsAdmin, place: Place, layout: Layout) -> None:
    place("/data/temp/publish/dead/staged/x", OLD)
    place("/data/temp/publish/dead/owner.json", OLD)
    place("/data/temp/publish/committed/staged/x", OLD)
    place("/data/temp/publish/committed/journal.json", OLD)
    place("/data/temp/publish/opening.lock", OLD)
    place("/data/temp/other/x", OLD)
    age_all(superuser, "/data/temp", OLD)
    assert paths(list(expired(superuser, layout))) == ["/data/temp/other", "/data/temp/publish/dead"]


def test_what_replay_and_stream_go_on_from_stays(superuser: HdfsAdmin, place: Place, layout: Layout) -> None:
    for kept in (INCOMING, TAKEN, REFUSED, REPLAY, CHECKPOINT):
        place(f"/data/{kept}/x", 4_000)
    place(f"/data/{DONE}/data/{INCOMING}/old.csv", OLD)
    place(f"/data/{DONE}/data/{INCOMING}/young.csv", 6.9)
    age_all(superuser, f"/data/{STREAM_TEMP}", OLD)
    age(superuser, f"/data/{DONE}/data/{INCOMING}/young.csv", 6.9)
    assert paths(list(expired(superuser, layout))) == [f"/data/{DONE}/data/{INCOMING}/old.csv"]


def test_a_journal_elsewhere_is_a_file_like_others(superuser: HdfsAdmin, place: Place, layout: Layout) -> None:
    place("/tmp/x/journal.json", OLD)
    age_all(superuser, "/tmp", OLD)
    assert paths(list(expired(superuser, layout))) == ["/tmp/x"]
