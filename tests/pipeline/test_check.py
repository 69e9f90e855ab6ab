"""`shopstream check`: a root that jobs made balances; one that somebody or something changed does not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from pyspark.sql import SparkSession

from spark_apps.cli import main
from spark_apps.engine.spark import engine_of
from spark_apps.errors import NothingToDoError
from spark_apps.jobs import check, clean, features, load
from spark_apps.reconciliation.reconcile import SHOWN_PLACES, Reconciliation
from spark_apps.settings import Settings
from spark_apps.tables import EVENTS, INTERACTIONS, RECOMMENDATIONS, USER_FEATURES, USER_SEGMENTS, DateRange, Table
from tests.engines import local_engine
from tests.factory import csv_line, write_log
from tests.pipeline.conftest import Trained

LINES = "lines landed = events + quarantine, per date"
BATCH_BALANCES = 8


@pytest.fixture
def root(trained_root: Trained, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    for name in ("raw", "processed", "models"):
        shutil.copytree(trained_root.root / name, tmp_path / "root" / name)
    return tmp_path / "root"


def failing(trained: Trained, root: Path) -> dict[str, Reconciliation]:
    return {one.what: one for one in check.run(local_engine(), trained.settings, root).balances if not one.holds}


def change(root: Path, table: Table, rows: slice) -> int:
    """Leaves some rows of one of a table's files; returns how many are gone."""
    file = max((root / table.path).rglob("*.parquet"), key=lambda path: (pq.read_metadata(path).num_rows, path.name))
    before = pq.read_table(file, partitioning=None)
    kept = before.to_pylist()[rows]
    rewrite(file, kept, before.schema)
    return before.num_rows - len(kept)


def rewrite(file: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    """Puts other rows into a file, and takes away the checksum of the former."""
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), file)
    file.with_name(f".{file.name}.crc").unlink(missing_ok=True)


def test_what_the_jobs_made_balances(trained: Trained) -> None:
    counted = check.run(local_engine(), trained.settings, trained.root)
    assert (counted.uncleaned_dates, counted.uncleaned_lines) == (0, 0)
    found = counted.balances
    assert [one.what for one in found if not one.holds] == []
    assert len(found) == BATCH_BALANCES
    events = len(trained.rows(EVENTS))
    assert [one.found for one in found if one.what.startswith("events = ")] == [events] * 3


def test_both_engines_count_the_same(root: Path, trained_root: Trained, spark: SparkSession) -> None:
    for table in (EVENTS, INTERACTIONS, USER_SEGMENTS, RECOMMENDATIONS):
        change(root, table, slice(20, None))
    found = [check.run(engine, trained_root.settings, root) for engine in (local_engine(), engine_of(spark))]
    assert found[0] == found[1]
    assert max(len(one.examples) for one in found[0].balances) == SHOWN_PLACES


def test_it_balances_on_a_machine_of_another_zone(in_new_york: None, tmp_path: Path) -> None:
    lines = [csv_line(event_time=f"2019-10-{day} 03:00:00 UTC") for day in ("01", "15", "31")]
    load.run(tmp_path, [write_log(tmp_path / "october.csv", lines)])
    clean.run(local_engine(), tmp_path, DateRange())
    features.run(local_engine(), Settings(), tmp_path, DateRange())
    assert all(one.holds for one in check.run(local_engine(), Settings(), tmp_path).balances)


def test_a_lost_event_is_missed_by_every_table_made_of_it(root: Path, trained_root: Trained) -> None:
    assert change(root, EVENTS, slice(1, None)) == 1
    found = failing(trained_root, root)
    assert [name.split(",")[0] for name in found] == [
        "lines landed = events + quarantine",
        "events = those of user_features",
        "events = those of product_features",
        "events = those of interactions",
    ]
    assert {one.differing for one in found.values()} == {1}
    assert found[LINES].expected == found[LINES].found + 1
    assert found[LINES].fix == "shopstream clean"


@pytest.mark.parametrize(
    ("table", "what"),
    [
        (USER_FEATURES, "events = those of user_features, per user"),
        (INTERACTIONS, "events = those of interactions, per product"),
        (USER_SEGMENTS, "users = rows of user_segments, per user"),
        (RECOMMENDATIONS, "users in segments = whole lists of recommendations, per user"),
    ],
    ids=lambda value: value.name if isinstance(value, Table) else "",
)
def test_a_row_that_is_gone_is_named(table: Table, what: str, root: Path, trained_root: Trained) -> None:
    change(root, table, slice(1, None))
    found = failing(trained_root, root)
    assert what in found and found[what].differing == 1 and len(found[what].examples) == 1


def test_what_is_landed_and_not_cleaned_is_told_and_no_fault(root: Path, trained_root: Trained, tmp_path: Path) -> None:
    lines = [csv_line(event_time=f"2019-11-0{day}") for day in (1, 1, 2)]
    load.run(root, [write_log(tmp_path / "november.csv", lines)])
    counted = check.run(local_engine(), trained_root.settings, root)
    assert all(one.holds for one in counted.balances)
    assert (counted.uncleaned_dates, counted.uncleaned_lines) == (2, 3)


def test_a_date_that_is_gone_is_missed_by_the_features(root: Path, trained_root: Trained) -> None:
    gone = root / EVENTS.path / "date=2019-10-15"
    events = sum(pq.read_metadata(file).num_rows for file in gone.glob("*.parquet"))
    shutil.rmtree(gone)
    found = failing(trained_root, root)["events = those of user_features, per user"]
    assert found.found - found.expected == events > 0


def test_dates_that_no_file_has_are_missed_and_cleaning_fixes_it(settings: Settings, tmp_path: Path) -> None:
    logs = [write_log(tmp_path / f"{day}.csv", [csv_line(event_time=day)]) for day in ("2019-10-01", "2019-12-24")]
    root = tmp_path / "root"
    load.run(root, logs)
    clean.run(local_engine(), root, DateRange())
    shutil.rmtree(root / "raw")
    load.run(root, logs[:1])
    [wrong] = [one for one in check.run(local_engine(), settings, root).balances if not one.holds]
    assert (wrong.what, wrong.fix) == (LINES, "shopstream clean")
    clean.run(local_engine(), root, DateRange())
    assert all(one.holds for one in check.run(local_engine(), settings, root).balances)
    shutil.rmtree(root / "raw")
    clean.run(local_engine(), root, DateRange())
    with pytest.raises(NothingToDoError, match="There is nothing to count"):
        check.run(local_engine(), settings, root)


def test_features_of_events_that_are_gone_differ(root: Path, trained_root: Trained) -> None:
    shutil.rmtree(root / "raw")
    clean.run(local_engine(), root, DateRange())
    assert {one.fix for one in failing(trained_root, root).values()} == {"shopstream train"}


def test_a_product_listed_though_bought_is_told(root: Path, trained_root: Trained) -> None:
    bought = next(row for row in trained_root.rows(INTERACTIONS) if row["purchases"])
    (file,) = [
        path
        for path in (root / RECOMMENDATIONS.path).rglob("*.parquet")
        if bought["user_id"] in pq.read_table(path, columns=["user_id"], partitioning=None)["user_id"].to_pylist()
    ]
    table = pq.read_table(file, partitioning=None)
    rows = table.to_pylist()
    next(row for row in rows if row["user_id"] == bought["user_id"])["product_id"] = bought["product_id"]
    rewrite(file, rows, table.schema)
    (found,) = failing(trained_root, root).values()
    assert found.what == "products listed though bought = none, per user"
    assert found.examples == (f"{bought['user_id']}: 0 and 1",)


def test_nothing_to_count_is_the_user_s_error(trained_root: Trained, tmp_path: Path) -> None:
    with pytest.raises(NothingToDoError, match="run `shopstream clean` first"):
        check.run(local_engine(), trained_root.settings, tmp_path)


def test_the_command_ends_with_1_where_something_differs(root: Path) -> None:
    held = CliRunner().invoke(main, ["check", "--root", str(root)])
    assert (held.exit_code, held.stdout.splitlines()[-1]) == (0, f"All {BATCH_BALANCES} counts agree.")
    lost = change(root, EVENTS, slice(2, None))
    told = CliRunner().invoke(main, ["check", "--root", str(root)])
    assert told.exit_code == 1
    assert "To fix: shopstream clean" in told.stdout and max(map(len, told.stdout.splitlines())) <= 120
    as_json = CliRunner().invoke(main, ["check", "--root", str(root), "--json"])
    first = json.loads(as_json.stdout)["balances"][0]
    assert (as_json.exit_code, first["holds"], first["expected"] - first["found"]) == (1, False, lost)
