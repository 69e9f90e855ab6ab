"""What usage tells, against files put there."""

from __future__ import annotations

import json

import pytest

from spark_apps.hdfs.admin import Entry, HdfsAdmin
from spark_apps.hdfs.usage import SMALL_BYTES, Usage, measure
from spark_apps.platform.webhdfs import client
from tests.hdfs.conftest import Shopstream


def file(path: str, size: int, replication: int = 1) -> Entry:
    return Entry(path, True, "spark", "shopstream", "644", size, replication, 0)


def folder(path: str) -> Entry:
    return Entry(path, False, "spark", "shopstream", "755", 0, 0, 0)


def test_adds_up() -> None:
    found = [
        folder("/t/date=1"),
        folder("/t/date=2"),
        file("/t/_SUCCESS", 0),
        file("/t/date=1/.part.crc", 9),
        file("/t/date=1/a", SMALL_BYTES - 1, 3),
        file("/t/date=1/b", SMALL_BYTES, 2),
        file("/t/date=2/a", 10),
        file("/t/date=2/b", 20),
    ]
    assert measure(found) == Usage(
        files=6,
        directories=2,
        bytes=2 * SMALL_BYTES + 38,
        bytes_with_copies=3 * (SMALL_BYTES - 1) + 2 * SMALL_BYTES + 39,
        small_files=3,
        mergeable=1,
    )


def test_nothing_is_nothing() -> None:
    assert measure([]) == Usage(0, 0, 0, 0, 0, 0)


@pytest.fixture
def filled(superuser: HdfsAdmin, shopstream: Shopstream) -> HdfsAdmin:
    assert shopstream("apply").exit_code == 0
    for path, size in {
        "/data/raw/events/date=2019-10-01/one.csv": 1_000,
        "/data/processed/events/date=2019-10-01/a.parquet": 10,
        "/data/processed/events/date=2019-10-01/b.parquet": 20,
        "/data/processed/events/date=2019-10-02/a.parquet": 30,
        "/data/processed/events/_SUCCESS": 0,
        "/tmp/x/y": 5,
    }.items():
        client(superuser.client.url, superuser.client.user, copies=2).write(path, b"x" * size)
    return superuser


def test_usage_by_directory_and_table(filled: HdfsAdmin, shopstream: Shopstream) -> None:
    told = json.loads(shopstream("usage", "--json").stdout)
    directories = {one["path"]: one for one in told["directories"]}
    tables = {one["name"]: one for one in told["tables"]}
    assert told["small_bytes"] == 16 << 20
    assert directories["/data"]["bytes"] == 1_060
    assert directories["/data/raw"]["bytes_with_copies"] == 2_000
    assert directories["/data/processed"]["files"] == 4
    assert directories["/tmp"]["quota_space"] == 50 << 30
    assert directories["/data/temp"]["files"] == 0
    assert directories["/data/temp"]["directories"] == 3  # publish, stream and stream/done
    assert set(tables) == {"raw events", "events"}
    events = tables["events"]
    assert (events["bytes"], events["bytes_with_copies"], events["small_files"]) == (60, 120, 3)
    assert events["mergeable"] == 1


def test_usage_agrees_with_the_namenode(filled: HdfsAdmin, shopstream: Shopstream) -> None:
    for one in json.loads(shopstream("usage", "--json").stdout)["directories"]:
        told = filled.quotas(one["path"])
        assert told.space_used == one["bytes_with_copies"], one
        assert told.names_used == one["files"] + one["directories"] + 1, one


def test_usage_for_people_fits_80_columns(filled: HdfsAdmin, shopstream: Shopstream) -> None:
    told = shopstream("usage", columns=80)
    assert told.exit_code == 0
    assert "/data/temp/publish" in told.stdout
    assert "small: data files below 16 MiB" in told.stdout
    assert "shopstream hdfs compact events" in told.stderr
    assert max(len(line) for line in told.stdout.splitlines()) <= 80


def test_usage_of_an_empty_file_system(superuser: HdfsAdmin, shopstream: Shopstream) -> None:
    told = shopstream("usage", "--json")
    assert json.loads(told.stdout)["directories"] == []
    assert shopstream("usage").exit_code == 0
