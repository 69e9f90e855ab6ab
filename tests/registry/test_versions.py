"""Model versions: names that never collide, metadata that says whether everything is there."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from spark_apps import __version__
from spark_apps.errors import MissingModelError
from spark_apps.registry.versions import (
    ALS,
    POPULARITY,
    SEGMENTS,
    Metadata,
    new_version,
    newest,
    versions,
    write_metadata,
)
from spark_apps.tables import METADATA, model_path

OLD, NEW = "20240101T000000Z", "20240102T000000Z"


def metadata(**changed: object) -> Metadata:
    known: dict[str, object] = {
        "name": ALS,
        "version": OLD,
        "seed": 42,
        "first_date": "2019-10-01",
        "last_date": "2019-10-31",
        "users": 3,
        "products": 4,
        "interactions": 5,
        "segments": ["Casual_Browsers", "VIP_Customers"],
        "parameters": {"rank": 50, "als": "implicit"},
        "metrics": {"cost": 1.5, "curve": [{"k": 2, "silhouette": None}]},
    }
    return Metadata.describe(**{**known, **changed})


def complete_version(root: Path, version: str, name: str = ALS) -> Path:
    folder = root / model_path(name, version)
    (folder / "userFactors").mkdir(parents=True)
    (folder / "userFactors" / "part-0.parquet").write_bytes(b"factors")
    (folder / "readme").write_bytes(b"")
    write_metadata(folder, metadata(name=name, version=version))
    return folder


def test_a_version_is_named_by_the_utc_time(tmp_path: Path) -> None:
    version = new_version(tmp_path)
    assert re.fullmatch(r"\d{8}T\d{6}Z", version)
    moment = datetime.strptime(version, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    assert abs(datetime.now(timezone.utc) - moment) < timedelta(minutes=1)


@pytest.mark.parametrize("name", [ALS, SEGMENTS, POPULARITY])
def test_versions_made_within_one_second_differ(tmp_path: Path, name: str) -> None:
    made = []
    for _ in range(5):
        made.append(new_version(tmp_path))
        (tmp_path / model_path(name, made[-1])).mkdir(parents=True)
    assert len(set(made)) == 5
    assert made == sorted(made)


def test_metadata_is_read_as_it_was_written(tmp_path: Path) -> None:
    folder = complete_version(tmp_path, OLD)
    found, read = newest(tmp_path, ALS)
    assert found == folder
    assert read.files == {"readme": 0, "userFactors/part-0.parquet": 7}
    assert read.model_copy(update={"files": {}}) == metadata().model_copy(update={"trained_at": read.trained_at})
    assert read.code_version == __version__
    assert datetime.fromisoformat(read.trained_at).utcoffset() == timedelta(0)


def test_the_newest_complete_version_is_taken(tmp_path: Path) -> None:
    complete_version(tmp_path, NEW)
    complete_version(tmp_path, OLD)
    assert newest(tmp_path, ALS)[1].version == NEW
    assert [version.version for version in versions(tmp_path, ALS)] == [OLD, NEW]


def _without_metadata(folder: Path) -> None:
    (folder / METADATA).unlink()


def _metadata_cut_short(folder: Path) -> None:
    (folder / METADATA).write_bytes((folder / METADATA).read_bytes()[:-40])


def _metadata_not_text(folder: Path) -> None:
    (folder / METADATA).write_bytes(b"\xff\x00\xfe")


def _metadata_without_a_field(folder: Path) -> None:
    known = json.loads((folder / METADATA).read_text(encoding="utf-8"))
    del known["seed"]
    (folder / METADATA).write_text(json.dumps(known), encoding="utf-8")


def _file_missing(folder: Path) -> None:
    (folder / "userFactors" / "part-0.parquet").unlink()


def _file_cut_short(folder: Path) -> None:
    (folder / "userFactors" / "part-0.parquet").write_bytes(b"fact")


def _file_grown(folder: Path) -> None:
    (folder / "userFactors" / "part-0.parquet").write_bytes(b"factors and more")


DAMAGES = [
    _without_metadata,
    _metadata_cut_short,
    _metadata_not_text,
    _metadata_without_a_field,
    _file_missing,
    _file_cut_short,
    _file_grown,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__.strip("_"))
def test_an_incomplete_version_is_never_the_newest(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    complete_version(tmp_path, OLD)
    damage(complete_version(tmp_path, NEW))
    assert newest(tmp_path, ALS)[1].version == OLD
    listed = {version.version: version.metadata is not None for version in versions(tmp_path, ALS)}
    assert listed == {OLD: True, NEW: False}


def test_without_a_complete_version_the_command_that_makes_one_is_named(tmp_path: Path) -> None:
    with pytest.raises(MissingModelError, match=r"no complete model als.*shopstream train"):
        newest(tmp_path, ALS)
    _file_missing(complete_version(tmp_path, OLD))
    with pytest.raises(MissingModelError):
        newest(tmp_path, ALS)


def test_models_do_not_stand_in_for_each_other(tmp_path: Path) -> None:
    complete_version(tmp_path, NEW, SEGMENTS)
    complete_version(tmp_path, OLD, ALS)
    assert newest(tmp_path, ALS)[1].version == OLD
