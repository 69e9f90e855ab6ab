"""A loaded file taken out again, and the notice that dates hold rows of several files (SPEC D2, D6)."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from spark_apps.cli import main
from spark_apps.errors import BusyRootError, NothingToDoError, UserError
from spark_apps.ingestion.manifests import read_manifests
from spark_apps.jobs import check, clean, features, load, simulate, unload
from spark_apps.settings import Settings
from spark_apps.storage.catalog import published_dates
from spark_apps.storage.transaction import Transaction, recover
from spark_apps.tables import BATCH_LOG, EVENTS, REPLAY, DateRange
from tests.engines import local_engine
from tests.factory import csv_line, write_log
from tests.streaming.replays import NOVEMBER, never, write_record

FIRST, SECOND, CHRISTMAS = date(2019, 10, 1), date(2019, 10, 2), date(2019, 12, 24)


def log(folder: Path, name: str, *days: object, rows: int = 1, user: int = 1) -> Path:
    """A log of some rows of each date; other users make another content."""
    lines = [csv_line(event_time=str(day), user_id=user + number) for day in days for number in range(rows)]
    return write_log(folder / name, lines)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The right file, and a wrong one that has a date of it and another."""
    right = log(tmp_path, "right.csv", FIRST, SECOND, rows=3)
    load.run(tmp_path / "root", [right, log(tmp_path, "wrong.csv", SECOND, CHRISTMAS, user=7)])
    return tmp_path / "root"


def loaded(root: Path) -> list[str]:
    return [manifest.file for manifest in read_manifests(root)]


def raw(root: Path) -> list[str]:
    """Files and folders of raw rows."""
    return sorted(path.relative_to(root / "raw").as_posix() for path in (root / "raw").rglob("*"))


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_a_file_goes_with_its_rows_and_nothing_else_does(root: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    load.run(alone, [tmp_path / "right.csv"])
    done = unload.run(root, ["wrong.csv"])
    assert (done.dates, done.cleaned_dates, done.tables, done.versions) == ([SECOND, CHRISTMAS], [], [], {})
    assert raw(root) == raw(alone)
    assert [path.name for path in (root / "temp" / "publish").iterdir() if path.is_dir()] == []


def test_it_can_be_loaded_again(root: Path, tmp_path: Path) -> None:
    before = raw(root)
    unload.run(root, ["wrong.csv"])
    [(_, new)] = load.run(root, [tmp_path / "wrong.csv"])
    assert new and raw(root) == before


def test_a_file_is_known_by_name_content_and_sha(root: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere" / "other.csv.gz"
    elsewhere.parent.mkdir()
    elsewhere.write_bytes(gzip.compress((tmp_path / "wrong.csv").read_bytes()))
    sha = next(one.sha256 for one in read_manifests(root) if one.file == "wrong.csv")
    for given in ("wrong.csv", "gone/wrong.csv", str(tmp_path / "wrong.csv"), str(elsewhere), sha[:6], sha.upper()):
        assert [one.file for one in unload.run(root, [given]).files] == ["wrong.csv"], given
        assert loaded(root) == ["right.csv"]
        load.run(root, [tmp_path / "wrong.csv"])


def test_several_files_go_together_or_none_does(root: Path) -> None:
    with pytest.raises(NothingToDoError, match=r"^nothing\.csv is not loaded: name one of right\.csv \([0-9a-f]{12}\)"):
        unload.run(root, ["wrong.csv", "nothing.csv"])
    assert loaded(root) == ["right.csv", "wrong.csv"]
    unload.run(root, ["wrong.csv", "right.csv", "wrong.csv"])
    assert loaded(root) == [] and raw(root) == ["events", "manifests"]
    with pytest.raises(NothingToDoError, match=r"^right\.csv is not loaded, and no other file is\.$"):
        unload.run(root, ["right.csv"])


def test_of_two_files_of_one_name_the_content_says_which(root: Path, tmp_path: Path) -> None:
    other = log(tmp_path / "other", "wrong.csv", FIRST, user=9)
    load.run(root, [other])
    shas = [one.sha256[:12] for one in read_manifests(root) if one.file == "wrong.csv"]
    with pytest.raises(UserError) as raised:
        unload.run(root, ["wrong.csv"])
    assert all(f"wrong.csv ({sha})" in str(raised.value) for sha in shas)
    assert unload.run(root, [str(other)]).dates == [FIRST]
    assert unload.run(root, ["wrong.csv"]).dates == [SECOND, CHRISTMAS]


def test_a_path_whose_content_is_not_loaded_takes_nothing_out(root: Path, tmp_path: Path) -> None:
    changed = log(tmp_path / "changed", "wrong.csv", FIRST, user=9)
    with pytest.raises(NothingToDoError, match=r"^The content of .*changed/wrong\.csv is not loaded: "):
        unload.run(root, [str(changed)])
    assert loaded(root) == ["right.csv", "wrong.csv"]


def test_a_raw_file_that_is_missing_is_no_hindrance(root: Path) -> None:
    for path in (root / "raw" / "events" / f"date={CHRISTMAS}").iterdir():
        path.unlink()
    unload.run(root, ["wrong.csv"])
    assert loaded(root) == ["right.csv"]


def test_what_is_loaded_is_listed(root: Path, tmp_path: Path) -> None:
    for arguments in ([], ["--list"]):
        shown = run("unload", *arguments, "--root", root)
        assert shown.exit_code == 0
        for text in ("right.csv", "wrong.csv", "2019-12-24", read_manifests(root)[0].sha256[:12]):
            assert text in shown.stdout
    assert [one["file"] for one in json.loads(run("unload", "--json", "--root", root).stdout)] == loaded(root)
    assert run("unload", "--root", tmp_path / "empty").stdout == "No file is loaded.\n"
    assert run("unload", "--list", "wrong.csv", "--root", root).exit_code == 2
    assert loaded(root) == ["right.csv", "wrong.csv"]


_KILLED = """
import os, signal, sys
from pathlib import Path
from spark_apps.jobs import unload

left = int(sys.argv[2])

def killing(real):
    def step(*arguments, **named):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*arguments, **named)
    return step

for name in ("rename", "replace", "unlink"):
    setattr(Path, name, killing(getattr(Path, name)))
unload.run(Path(sys.argv[1]), ["wrong.csv"])
"""


def test_killed_at_any_step_nothing_is_half_taken_out(root: Path, tmp_path: Path) -> None:
    whole = raw(root)
    step, outcomes = 0, set()
    while True:
        step += 1
        command = [sys.executable, "-c", _KILLED, str(root), str(step)]
        killed = subprocess.run(command, check=False, timeout=60).returncode
        assert killed in (0, -signal.SIGKILL)
        recover(root)
        outcomes.add(tuple(loaded(root)))
        if "wrong.csv" in loaded(root):
            assert raw(root) == whole
            continue
        assert f"events/date={CHRISTMAS}" not in raw(root) and len(raw(root)) == len(whole) - 4
        load.run(root, [tmp_path / "wrong.csv"])
        if killed == 0:
            break
    assert step > 3 and outcomes == {("right.csv",), ("right.csv", "wrong.csv")}


def test_clean_and_unload_keep_each_other_waiting(root: Path) -> None:
    with Transaction(root, [EVENTS.path]), pytest.raises(BusyRootError):
        unload.run(root, ["wrong.csv"])
    assert loaded(root) == ["right.csv", "wrong.csv"]


def test_a_replay_at_work_on_the_file_is_not_disturbed(root: Path, tmp_path: Path) -> None:
    november = log(tmp_path, "november.csv", "2019-11-01", rows=5)
    load.run(root, [november])
    plan = simulate.Plan(NOVEMBER, events=2, interval=timedelta(), files=1)
    simulate.run(root, plan, never)
    with Transaction(root, [REPLAY]), pytest.raises(BusyRootError):
        unload.run(root, ["november.csv"])
    with Transaction(root, [REPLAY]):
        unload.run(root, ["wrong.csv"])  # which it does not replay
    assert loaded(root) == ["right.csv", "november.csv"]


def test_a_replay_that_rests_half_way_begins_anew_afterwards(root: Path, tmp_path: Path) -> None:
    right = log(tmp_path, "november.csv", "2019-11-01", rows=5)
    load.run(root, [log(tmp_path, "other.csv", "2019-11-01", rows=4, user=50)])
    simulate.run(root, simulate.Plan(NOVEMBER, events=2, interval=timedelta(), files=1), never)
    done = run("unload", "other.csv", "--root", root)
    assert "The replay of 2019-11 took in its rows: 2 of 4 events are dropped" in done.stdout
    load.run(root, [right])
    with pytest.raises(UserError, match="start it from its first event with --again"):
        simulate.run(root, simulate.Plan(NOVEMBER), never)
    assert simulate.run(root, simulate.Plan(NOVEMBER, interval=timedelta(), again=True), never).complete


def test_after_the_wrong_file_the_next_clean_makes_its_dates_anew(root: Path, settings: Settings) -> None:
    clean.run(local_engine(), root, DateRange())
    assert unload.run(root, ["wrong.csv"]).cleaned_dates == [SECOND, CHRISTMAS]
    balance = clean.run(local_engine(), root, DateRange())
    assert {day: (one.raw, one.clean) for day, one in balance.items()} == {
        FIRST: (3, 3),
        SECOND: (3, 3),
        CHRISTMAS: (0, 0),
    }
    assert published_dates(root, EVENTS) == [FIRST, SECOND]
    assert all(one.holds for one in check.run(local_engine(), settings, root).balances)


def test_a_stream_that_began_with_the_file_is_named(root: Path, tmp_path: Path) -> None:
    clean.run(local_engine(), root, DateRange())
    write_record(root, 0, "batch-00000001-20261130T000000.000000Z.csv")
    record = root / BATCH_LOG / "batch-00000000.json"
    told = json.loads(record.read_text())
    for committed_at, expected in (("2019-01-01T00:00:00Z", False), ("2100-01-01T00:00:00Z", True)):
        record.write_text(json.dumps({**told, "committed_at": committed_at}))
        done = run("unload", "wrong.csv", "--root", root)
        assert done.exit_code == 0 and ("The stream began with" in done.stdout) == expected
        load.run(root, [tmp_path / "wrong.csv"])
    load.run(root, [log(tmp_path, "november.csv", "2019-11-01")])  # not cleaned, as what is replayed
    assert not unload.run(root, ["november.csv"]).streamed


def test_tables_made_of_the_file_are_named(root: Path, settings: Settings, tmp_path: Path) -> None:
    load.run(root, [log(tmp_path, "early.csv", "2019-09-01")])
    clean.run(local_engine(), root, DateRange())
    features.run(local_engine(), settings, root, DateRange(FIRST, None))
    assert unload.run(root, ["early.csv"]).tables == []
    assert unload.run(root, ["wrong.csv"]).tables == ["user_features", "product_features", "interactions"]


def test_a_load_says_which_dates_hold_rows_of_another_file(tmp_path: Path) -> None:
    root = tmp_path / "root"
    load.run(root, [log(tmp_path, "sample.csv", FIRST, rows=2)])
    shown = run("load", log(tmp_path, "whole.csv", FIRST, SECOND, rows=5), "--root", root)
    assert shown.exit_code == 0
    assert "2019-10-01: 2 rows of sample.csv" in shown.stderr and "2019-10-02" not in shown.stderr
    assert "`shopstream unload sample.csv`" in shown.stderr
    for quiet in ([tmp_path / "whole.csv"], [log(tmp_path, "later.csv", CHRISTMAS)]):
        assert "sample.csv" not in run("load", *quiet, "--root", root).stderr


def test_of_a_year_a_few_dates_are_named(tmp_path: Path) -> None:
    root, days = tmp_path / "root", [FIRST + timedelta(days=number) for number in range(365)]
    load.run(root, [log(tmp_path, "year one.csv", *days)])
    shown = run("load", log(tmp_path, "year.csv", *days, user=2), "--root", root, "--json")
    assert json.loads(shown.stdout)[0]["new"]
    [notice] = shown.stderr.splitlines()
    assert "2019-10-01: 1 row of year one.csv" in notice and "and 362 more" in notice and len(notice) < 400
    assert "unload 'year one.csv'" in notice


def test_two_files_of_one_name_are_told_apart_in_the_notice(tmp_path: Path) -> None:
    root = tmp_path / "root"
    load.run(root, [log(tmp_path / "a", "october.csv", FIRST)])
    [first] = read_manifests(root)
    shown = run("load", log(tmp_path / "b", "october.csv", FIRST, user=2), "--root", root)
    assert f"october.csv ({first.sha256[:12]})" in shown.stderr
    assert run("unload", first.sha256[:12], "--root", root).exit_code == 0
    assert loaded(root) == ["october.csv"] and read_manifests(root)[0].sha256 != first.sha256
