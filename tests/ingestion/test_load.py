"""The load job: what stands under the root afterwards, and what a second or a broken load changes (SPEC D2, D6)."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import signal
import subprocess
import sys
from datetime import date, datetime, timezone
from pathlib import Path

import pytest

from spark_apps.errors import BadInputError, BusyRootError, UnusableFileError
from spark_apps.ingestion.manifests import Manifest, raw_rows, read_manifests
from spark_apps.jobs import load
from spark_apps.storage.transaction import Transaction
from spark_apps.tables import UNDATED, DateRange
from tests.factory import csv_line, write_log

LINES = [
    csv_line(event_time="2019-10-01 10:00:00 UTC", user_id=1),
    csv_line(event_time="2019-10-02 10:00:00 UTC", user_id=2),
    csv_line(event_time="2019-10-01 11:00:00 UTC", user_id=3),
    "no date at all",
]


def listing(root: Path) -> dict[str, tuple[int, int, int]]:
    """Every file below raw/ with what changes when it is written or replaced."""
    found = sorted(path for path in (root / "raw").rglob("*") if path.is_file())
    stats = [(path.relative_to(root).as_posix(), path.stat()) for path in found]
    return {name: (stat.st_ino, stat.st_mtime_ns, stat.st_size) for name, stat in stats}


def leftovers(root: Path) -> list[str]:
    return [path.name for path in (root / "temp" / "publish").iterdir() if path.is_dir()]


def test_raw_rows_stand_by_date_with_a_manifest(tmp_path: Path) -> None:
    log = write_log(tmp_path / "october.csv", LINES, newline="\r\n")
    before = datetime.now(timezone.utc).replace(microsecond=0)
    [(manifest, new)] = load.run(tmp_path / "root", [log])
    digest = hashlib.sha256(log.read_bytes()).hexdigest()
    rows = {"2019-10-01": 2, "2019-10-02": 1, UNDATED: 1}
    assert new
    assert manifest.model_dump(exclude={"landed_at"}) == {
        "file": "october.csv",
        "bytes": log.stat().st_size,
        "sha256": digest,
        "rows": 4,
        "rows_per_date": rows,
    }
    assert before <= datetime.fromisoformat(manifest.landed_at) <= datetime.now(timezone.utc)
    assert json.loads((tmp_path / f"root/raw/manifests/{digest}.json").read_text()) == manifest.model_dump()
    raw = tmp_path / "root" / "raw" / "events"
    found = {path.relative_to(raw).as_posix(): path.read_bytes() for path in raw.rglob("*.csv")}
    ends = [line.encode() + b"\r\n" for line in LINES]
    assert found == {
        f"date=2019-10-01/{digest[:16]}.csv": ends[0] + ends[2],
        f"date=2019-10-02/{digest[:16]}.csv": ends[1],
        f"date={UNDATED}/{digest[:16]}.csv": ends[3],
    }
    assert leftovers(tmp_path / "root") == []


@pytest.mark.parametrize("again", ["same", "renamed", "packed"])
def test_the_same_content_again_changes_nothing(again: str, tmp_path: Path) -> None:
    root, log = tmp_path / "root", write_log(tmp_path / "october.csv", LINES)
    [(first, _)] = load.run(root, [log])
    before = listing(root)
    other = {"same": log, "renamed": tmp_path / "other.csv", "packed": tmp_path / "october.csv.gz"}[again]
    if again != "same":
        content = log.read_bytes()
        other.write_bytes(gzip.compress(content) if again == "packed" else content)
    [(second, new)] = load.run(root, [other])
    assert not new
    assert second == first
    assert listing(root) == before
    assert leftovers(root) == []


def test_another_file_is_added_beside_the_first(tmp_path: Path) -> None:
    root = tmp_path / "root"
    load.run(root, [write_log(tmp_path / "a.csv", LINES)])
    before = listing(root)
    more = write_log(tmp_path / "b.csv", [csv_line(event_time="2019-10-02", user_id=n) for n in range(5)])
    load.run(root, [more])
    after = listing(root)
    assert {name: after[name] for name in before} == before
    assert raw_rows(read_manifests(root), DateRange()) == {
        date(2019, 10, 1): 2,
        date(2019, 10, 2): 6,
        None: 1,
    }
    assert raw_rows(read_manifests(root), DateRange(date(2019, 10, 2))) == {date(2019, 10, 2): 6}


def test_files_of_the_same_size_are_told_apart(tmp_path: Path) -> None:
    one = write_log(tmp_path / "a.csv", [csv_line(user_id=1)])
    other = write_log(tmp_path / "b.csv", [csv_line(user_id=2)])
    landed = load.run(tmp_path / "root", [one, other, one])
    assert [new for _, new in landed] == [True, True, False]
    assert [manifest.file for manifest in read_manifests(tmp_path / "root")].count("a.csv") == 1


def test_a_log_without_events_lands_as_no_rows(tmp_path: Path) -> None:
    [(manifest, new)] = load.run(tmp_path / "root", [write_log(tmp_path / "empty.csv", [])])
    assert (new, manifest.rows, manifest.rows_per_date) == (True, 0, {})
    assert not (tmp_path / "root" / "raw" / "events").exists()


def test_a_refused_file_leaves_nothing(tmp_path: Path) -> None:
    root = tmp_path / "root"
    with pytest.raises(BadInputError):
        load.run(root, [write_log(tmp_path / "bad.csv", LINES, header="time,what")])
    assert listing(root) == {}
    assert leftovers(root) == []


def test_every_path_is_checked_before_the_first_file_is_landed(tmp_path: Path) -> None:
    good = write_log(tmp_path / "good.csv", LINES)
    with pytest.raises(UnusableFileError):
        load.run(tmp_path / "root", [good, tmp_path / "nothing.csv"])
    assert listing(tmp_path / "root") == {}


def test_files_before_a_refused_one_stay_landed(tmp_path: Path) -> None:
    good, bad = write_log(tmp_path / "good.csv", LINES), write_log(tmp_path / "bad.csv", [], header="x")
    with pytest.raises(BadInputError, match=r"bad\.csv"):
        load.run(tmp_path / "root", [good, bad])
    assert [manifest.file for manifest in read_manifests(tmp_path / "root")] == ["good.csv"]


KILLED_WHILE_LANDING = """
import os, signal, sys
from pathlib import Path
from spark_apps.ingestion import landing
from spark_apps.jobs import load

landing.BLOCK_BYTES = 1000
real, blocks = landing._DateFiles.append, 0

def append(files, day, rows):
    global blocks
    real(files, day, rows)
    blocks += 1
    if blocks == 10:
        os.kill(os.getpid(), signal.SIGKILL)

landing._DateFiles.append = append
load.run(Path(sys.argv[1]), [Path(sys.argv[2])])
"""


def test_a_killed_load_leaves_nothing_and_can_be_run_again(tmp_path: Path) -> None:
    lines = [csv_line(event_time=f"2019-10-{1 + n // 100:02}", user_id=n) for n in range(500)]
    root, log = tmp_path / "root", write_log(tmp_path / "october.csv", lines)
    killed = subprocess.run([sys.executable, "-c", KILLED_WHILE_LANDING, root, log], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert listing(root) == {}
    assert len(leftovers(root)) == 1
    [(manifest, new)] = load.run(root, [log])
    undisturbed = tmp_path / "undisturbed"
    load.run(undisturbed, [log])
    assert new
    assert manifest.rows == 500
    raw = [sorted(path.relative_to(r) for path in (r / "raw").rglob("*.csv")) for r in (root, undisturbed)]
    assert raw[0] == raw[1]
    assert all((root / path).read_bytes() == (undisturbed / path).read_bytes() for path in raw[0])
    assert leftovers(root) == []


def test_two_loads_of_one_file_do_not_run_at_once(tmp_path: Path) -> None:
    root, log = tmp_path / "root", write_log(tmp_path / "october.csv", LINES)
    with Transaction(root, ["raw/manifests/october.csv"]), pytest.raises(BusyRootError, match=str(os.getpid())):
        load.run(root, [log])


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    root, log = tmp_path / "root", write_log(tmp_path / "october.csv", LINES)
    load.run(root, [log])
    [path] = (root / "raw" / "manifests").iterdir()
    path.write_text(path.read_text()[:40])
    with pytest.raises(UnusableFileError, match=f"{path} is damaged: remove it and load its file again"):
        load.run(root, [log])
    path.unlink()
    [(manifest, new)] = load.run(root, [log])
    assert new
    assert isinstance(manifest, Manifest)
