"""Lines in quarantine, shown without Spark, and what is said where no line could be used (SPEC D4, Q3)."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result

from spark_apps.cli import main
from spark_apps.errors import MissingTableError, NothingCleanError, NothingToDoError
from spark_apps.jobs import analyze, clean, features, load, quarantine, unload
from spark_apps.settings import Settings
from spark_apps.storage import write_parquet
from spark_apps.tables import STREAM_QUARANTINE, DateRange
from tests.engines import local_engine
from tests.factory import csv_line, write_log

FIRST, SECOND = date(2019, 10, 1), date(2019, 10, 2)
BAD = [
    *(csv_line(event_time=f"2019-10-01 00:00:{second:02} UTC", category_id="2.1E+18") for second in range(30)),
    csv_line(event_time="2019-10-02T00:00:00Z"),
    "nothing",
]
EXCEL = "category_id 2.1E+18 is not a whole number"


def cleaned(root: Path, *lines: str) -> Path:
    load.run(root, [write_log(root.parent / "log.csv", lines)])
    clean.run(local_engine(), root, DateRange())
    return root


@pytest.fixture(scope="module")
def bad_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return cleaned(tmp_path_factory.mktemp("bad") / "root", *BAD)


@pytest.fixture
def bad(bad_once: Path, tmp_path: Path) -> Path:
    """A cleaned log without a usable line."""
    shutil.copytree(bad_once, tmp_path / "root")
    return tmp_path / "root"


def streamed(root: Path, day: date, *lines: tuple[str, str]) -> None:
    texts, reasons = zip(*lines, strict=True)
    rows = pa.table({"raw_line": texts, "reason": reasons, "batch": pa.array([7] * len(lines), pa.int32())})
    write_parquet(root / STREAM_QUARANTINE.path / f"date={day}" / "part.zstd.parquet", rows)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_lines_are_shown_with_what_is_wrong_the_latest_first(bad: Path) -> None:
    shown = run("quarantine", "--root", bad, "--limit", 2)
    assert shown.exit_code == 0
    lines = [line for line in shown.stdout.splitlines() if line[:1] not in "┏┃┡│└"]
    assert lines == [
        "In quarantine            ",
        "2019-10-02: bad_time: event_time 2019-10-02T00:00:00Z is not a time such as 2019-10-01 00:00:00 UTC",
        "    2019-10-02T00:00:00Z,view,1001,2053013555631882655,electronics.smartphone,s…",
        f"2019-10-01: bad_id: {EXCEL}, as a spreadsheet rounds it",
        "    2019-10-01 00:00:00 UTC,view,1001,2.1E+18,electronics.smartphone,samsung,10…",
        "2 of 32 lines.",
    ]  # fmt: skip
    assert [reason in shown.stdout for reason in ("bad_id", "bad_time", "wrong_columns")] == [True] * 3


def test_reason_date_and_limit_choose(bad: Path) -> None:
    counts, lines = quarantine.run(bad, lambda day: True, "wrong_columns", 20)
    assert counts == {"bad_id": 30, "bad_time": 1, "wrong_columns": 1}
    assert [(line.date, line.raw_line, line.batch) for line in lines] == [(None, "nothing", None)]
    counts, lines = quarantine.run(bad, lambda day: day == FIRST, None, 1000)
    assert counts == {"bad_id": 30} and [line.raw_line for line in lines] == BAD[:30]
    found = json.loads(run("quarantine", "--date", "undated", "--json", "--root", bad).stdout)
    assert found["reasons"] == {"wrong_columns": 1} and found["lines"][0]["raw_line"] == "nothing"
    assert len(json.loads(run("quarantine", "--json", "--root", bad).stdout)["lines"]) == 20


def test_lines_of_the_stream_are_shown_too(bad: Path) -> None:
    streamed(
        bad, date(2019, 11, 1), (csv_line(event_time="2019-11-01", price="cheap"), "bad_price"), ("", "empty_line")
    )
    counts, lines = quarantine.run(bad, lambda day: True, None, 3)
    assert counts == {"bad_id": 30, "bad_time": 1, "wrong_columns": 1, "bad_price": 1, "empty_line": 1}
    assert [(line.batch, line.reason) for line in lines] == [(7, "bad_price"), (7, "empty_line"), (None, "bad_time")]
    assert (
        "2019-11-01, batch 7 of the stream: bad_price: price cheap is not a number"
        in run("quarantine", "--root", bad).stdout
    )


def test_what_there_is_not_is_said(bad: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingTableError, match="run `shopstream clean` first"):
        quarantine.run(tmp_path, lambda day: True, None, 1)
    unknown = run("quarantine", "--reason", "bad_ids", "--root", bad)
    assert unknown.exit_code == 2 and "There is no reason bad_ids: it is one of empty_line, " in unknown.stderr
    assert run("quarantine", "--reason", "bad_price", "--root", bad).stdout == "No such line is in quarantine.\n"
    good = cleaned(tmp_path / "good" / "root", csv_line())
    assert run("quarantine", "--root", good).stdout == "No line is in quarantine.\n"
    assert run("quarantine", "--date", "1.10.2019", "--root", good).exit_code == 2


def test_it_starts_no_spark_and_a_long_line_is_no_trouble(tmp_path: Path) -> None:
    root = cleaned(tmp_path / "root", "x" * 3_000_000)
    command = [sys.executable, "-c", f"""
import sys
from spark_apps.cli import main
sys.argv = ["shopstream", "quarantine", "--root", {str(root)!r}]
try:
    main()
finally:
    from pyspark import SparkContext
    assert SparkContext._gateway is None
"""]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert "it has 1 field instead of 9" in done.stdout and len(done.stdout) < 1000


def test_clean_says_a_line_for_each_reason_and_never_to_train(bad: Path) -> None:
    done = run("clean", "--root", bad)
    assert done.exit_code == 2
    assert f"bad_id: 30 of 32 lines (93.8%): {EXCEL}" in done.stdout
    assert "    2019-10-01 00:00:00 UTC,view,1001,2.1E+18," in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines() if line.startswith("    "))
    last = done.stderr.splitlines()[-1]
    assert last.startswith("Error: No event survived cleaning: `shopstream quarantine` shows") and last.endswith(".")
    assert "train" not in done.output
    assert quarantine.run(bad, lambda day: True, None, 1)[0].total() == 32
    of_a_date = run("clean", "--root", bad, "--from", FIRST, "--to", FIRST, "--json")
    assert of_a_date.exit_code == 2 and "No event of 2019-10-01 to 2019-10-01 survived" in of_a_date.stderr
    assert json.loads(of_a_date.stdout)[0]["quarantined"] == {"bad_id": 30}


def test_clean_of_good_and_bad_lines_goes_on(bad: Path) -> None:
    load.run(bad, [write_log(bad.parent / "good.csv", [csv_line()])])
    done = run("clean", "--root", bad)
    assert done.exit_code == 0 and "Next: shopstream analyze, or shopstream train" in done.stderr
    assert f"bad_id: 30 of 33 lines (90.9%): {EXCEL}" in done.stdout and "`shopstream quarantine`" in done.stdout


def test_clean_without_files_any_more_names_what_it_removed(bad: Path) -> None:
    unload.run(bad, ["log.csv"])
    done = run("clean", "--root", bad)
    assert done.exit_code == 0
    assert "Removed, as no loaded file has rows of it: 2019-10-01, 2019-10-02, no date" in done.stdout
    assert "Next: shopstream load FILE" in done.stderr
    for command in ("analyze", "train", "features", "segment"):
        told = run(command, "--root", bad)
        assert (
            told.exit_code == 2 and "There is no event under" in told.stderr and "shopstream load FILE" in told.stderr
        )


@pytest.mark.parametrize("command", ["analyze", "train", "features", "segment", "evaluate"])
def test_the_commands_after_it_say_the_same(command: str, bad: Path) -> None:
    done = run(command, "--root", bad)
    *details, last = done.stderr.splitlines()
    assert done.exit_code == 2 and done.stdout == ""
    assert last.startswith("Error: No event survived cleaning: `shopstream quarantine` shows")
    assert f"bad_id: 30 of 32 lines (93.8%): {EXCEL}, as a spreadsheet rounds it" in details
    assert "choose another" not in done.stderr


def test_the_demo_says_the_same_and_which_time_it_wants(tmp_path: Path) -> None:
    log = write_log(tmp_path / "iso.csv", [csv_line(event_time="2019-10-01 00:00:00+00:00")])
    done = run("demo", "--input", log, "--root", tmp_path / "demo")
    assert done.exit_code == 2
    assert (
        "bad_time: 1 of 1 lines (100.0%): event_time 2019-10-01 00:00:00+00:00 is not a time such as "
        "2019-10-01 00:00:00 UTC"
    ) in done.stderr
    assert "Error: No event survived cleaning" in done.stderr.splitlines()[-1]


def test_dates_are_blamed_only_where_they_were_asked_for(settings: Settings, bad: Path) -> None:
    load.run(bad, [write_log(bad.parent / "good.csv", [csv_line(event_time="2019-10-03")])])
    clean.run(local_engine(), bad, DateRange())
    with pytest.raises(NothingCleanError, match="No event of 2019-10-01 to 2019-10-02 survived cleaning"):
        analyze.run(local_engine(), bad, DateRange(FIRST, SECOND))
    with pytest.raises(NothingToDoError, match=r"holds no date in .*: choose another --from and --to"):
        features.run(local_engine(), settings, bad, DateRange(date(2020, 1, 1), None))
