"""What a layout file may say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from spark_apps.hdfs.layout import DEFAULT_LAYOUT, BadLayoutError, Layout, read_layout
from spark_apps.tables import (
    CHECKPOINT,
    DONE,
    INCOMING,
    RAW_EVENTS,
    RAW_MANIFESTS,
    REFUSED,
    REPLAY,
    REPORTS,
    STREAM_TEMP,
    TABLES,
    TAKEN,
    TRANSACTIONS,
)

BLOCK = 128 << 20
GOOD = {"path": "/data", "owner": "spark", "group": "shopstream", "mode": "0750", "description": "all"}


def read(folder: Path, *directories: dict[str, Any], **more: object) -> Layout:
    path = folder / "layout.yaml"
    path.write_text(yaml.safe_dump({"tables": "/data", "directories": list(directories), **more}))
    return read_layout(path)


def test_the_kits_own_layout_has_a_place_for_everything_that_is_written() -> None:
    layout = read_layout(DEFAULT_LAYOUT)
    written = (RAW_EVENTS, RAW_MANIFESTS, REPORTS, "models/als", *(table.path for table in TABLES))
    homes = {below: below.split("/")[0] for below in written} | {TRANSACTIONS: TRANSACTIONS, DONE: DONE}
    homes |= dict.fromkeys((INCOMING, TAKEN, REFUSED, REPLAY, CHECKPOINT), STREAM_TEMP)
    for below, its_home in homes.items():
        home = layout.home_of(f"{layout.tables}/{below}")
        assert home is not None
        assert home.path == f"{layout.tables}/{its_home}"
        assert (home.owner, home.group) == ("spark", "shopstream")


def test_the_kits_own_layout_lets_blocks_be_written() -> None:
    """A file being written takes a whole block of each copy from the quota, whatever its size."""
    for directory in read_layout(DEFAULT_LAYOUT).directories:
        assert directory.space is None or directory.space >= 50 * 3 * BLOCK


def test_retention_as_the_specification_has_it() -> None:
    kept = {d.path: d.retention.days for d in read_layout(DEFAULT_LAYOUT).directories if d.retention}
    temporary = ("/data/temp", "/data/temp/publish", "/data/temp/stream/done", "/tmp")
    assert kept == {"/spark-events": 30, **dict.fromkeys(temporary, 7)}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"colour": "red"}, "/data, colour: there is no such key"),
        ({"mode": "0999"}, "/data, mode: '0999' is no mode: write four octal digits"),
        ({"mode": 0o750}, "/data, mode: Input should be a valid string"),
        ({"mode": "7777"}, "/data, mode: '7777' is no mode"),
        ({"path": "data"}, "data, path: 'data' is no absolute path"),
        ({"path": "/data/"}, "'/data/' is no absolute path"),
        ({"path": "/data/../etc"}, "is no absolute path"),
        ({"path": "//data"}, "is no absolute path"),
        ({"owner": "two words"}, "/data, owner: String should match pattern"),
        ({"space": "20 GB"}, "/data, space: '20 GB' is not a size: write it as 12g or 20GiB"),
        ({"space": 0}, "/data, space: Input should be greater than 0"),
        ({"names": "many"}, "/data, names: Input should be a valid integer"),
        ({"replication": 0}, "/data, replication: Input should be greater than or equal to 1"),
        ({"retention": {"days": 0, "of": "files"}}, "/data, retention, days: Input should be greater than 0"),
        ({"retention": {"days": 1}}, "/data, retention, of: Field required"),
        ({"retention": {"days": 1, "of": "all"}}, "/data, retention, of: Input should be 'entries' or 'files'"),
        ({"description": ""}, "/data, description: String should have at least 1 character"),
        ({"description": None}, "/data, description: Input should be a valid string"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(BadLayoutError, match=re.escape(said)) as refused:
        read(tmp_path, {**GOOD, **change})
    assert "\n" not in str(refused.value)


def test_mistakes_between_directories_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadLayoutError, match="/data is listed twice"):
        read(tmp_path, GOOD, GOOD)
    with pytest.raises(BadLayoutError, match="/data/a/b is listed without its parent /data/a"):
        read(tmp_path, GOOD, {**GOOD, "path": "/data/a/b"})
    with pytest.raises(BadLayoutError, match="tables: /other is not among the directories"):
        read(tmp_path, GOOD, tables="/other")
    with pytest.raises(BadLayoutError, match="more: there is no such key"):
        read(tmp_path, GOOD, more=1)
    with pytest.raises(BadLayoutError, match="directories: List should have at least 1 item"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "is not YAML"),
        ("\t", "is not YAML"),
        ("", "cannot be used"),
        ("- 1", "cannot be used"),
        ("tables: /data\ntables: /other\ndirectories: []", "the key tables stands there twice"),
        ("directories: [1]", "cannot be used"),
        ("!!python/object/apply:os.getcwd []", "is not YAML"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "layout.yaml"
    path.write_text(text)
    with pytest.raises(BadLayoutError, match=said) as refused:
        read_layout(path)
    assert str(path) in str(refused.value)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadLayoutError, match="cannot be read"):
        read_layout(tmp_path / "none.yaml")


def test_parents_come_first(tmp_path: Path) -> None:
    layout = read(tmp_path, {**GOOD, "path": "/data/a"}, {**GOOD, "path": "/b"}, GOOD)
    assert [one.path for one in layout.in_order()] == ["/b", "/data", "/data/a"]


def test_the_nearest_directory_is_a_files_home(tmp_path: Path) -> None:
    layout = read(tmp_path, GOOD, {**GOOD, "path": "/data/a"})
    homes = {path: layout.home_of(path) for path in ("/data/ab", "/data/a/b", "/data/a", "/other", "/")}
    assert {path: home and home.path for path, home in homes.items()} == {
        "/data/ab": "/data",
        "/data/a/b": "/data/a",
        "/data/a": "/data/a",
        "/other": None,
        "/": None,
    }
