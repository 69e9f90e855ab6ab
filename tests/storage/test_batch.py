"""The batch path by Spark with its tables on a real HDFS gives what it gives on one machine, in a local folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from spark_apps.engine.base import Engine
from spark_apps.engine.published import table_relation
from spark_apps.engine.spark import engine_of
from spark_apps.errors import BusyRootError, LostClaimError
from spark_apps.ingestion.manifests import read_manifests
from spark_apps.jobs import analyze, clean, load, quarantine, recommend, report, train, unload
from spark_apps.jobs.recommend import recommendations_csv
from spark_apps.settings import Settings
from spark_apps.storage import HdfsPath, StoragePath, write_parquet
from spark_apps.storage.transaction import Transaction, recover
from spark_apps.tables import (
    ANALYSIS,
    EVENTS,
    INTERACTIONS,
    PRODUCT_FEATURES,
    QUARANTINE,
    RECOMMENDATIONS,
    USER_FEATURES,
    DateRange,
)
from tests.engines import local_engine
from tests.factory import csv_line, rows_of_files, write_log

EXACT = {
    EVENTS: ("event_time", "user_id", "product_id", "user_session"),
    USER_FEATURES: ("user_id",),
    PRODUCT_FEATURES: ("product_id",),
    INTERACTIONS: ("user_id", "product_id"),
}


def run_batch(engine: Engine, settings: Settings, root: StoragePath, log: Path) -> dict[str, Any]:
    (landed, new), *_ = load.run(root, [log])
    assert new and not load.run(root, [log])[0][1]
    balance = clean.run(engine, root, DateRange())
    assert sum(day.raw for day in balance.values()) == landed.rows and all(day.balances() for day in balance.values())
    analyze.run(engine, root, DateRange())
    return train.run(engine, settings, root, DateRange(), "3").als.metrics


@pytest.mark.long  # tests/cluster/test_tables.py compares the same on a cluster
def test_tables_on_hdfs_are_the_local_ones(
    spark: SparkSession, settings: Settings, on_hdfs: HdfsPath, tmp_path: Path, sample_path: Path
) -> None:
    small = settings.model_copy(update={"als": settings.als.model_copy(update={"rank": 8, "iterations": 3})})
    engines: dict[StoragePath, Engine] = {tmp_path: local_engine(), on_hdfs: engine_of(spark)}
    here, there = (run_batch(engine, small, root, sample_path) for root, engine in engines.items())
    assert there == pytest.approx(here, rel=1e-5)
    for table, order in EXACT.items():
        found, expected = (rows_of_files(table_relation(root, table), *order) for root in (on_hdfs, tmp_path))
        assert found == expected, table.name
    user = rows_of_files(table_relation(tmp_path, RECOMMENDATIONS), "user_id", "rank")[0]["user_id"]
    lists = [[one.product_id for one in recommend.run(small, root, user, 10)] for root in (on_hdfs, tmp_path)]
    assert lists[0] == lists[1] and len(lists[0]) == 10
    file, rows = recommendations_csv.run(on_hdfs)
    assert file.read_text().count("\n") == rows + 1 == recommendations_csv.run(tmp_path)[1] + 1
    assert report.run(local_engine(), on_hdfs).is_file()
    figures = [(root / ANALYSIS).read_text(encoding="utf-8") for root in (on_hdfs, tmp_path)]
    assert figures[0] == figures[1]
    assert list((on_hdfs / "temp" / "publish").glob("*")) == []


def test_a_file_is_taken_out_of_hdfs(on_hdfs: HdfsPath, tmp_path: Path) -> None:
    days = {"right.csv": ["2019-10-01"], "wrong.csv": ["2019-10-01", "2019-12-24"]}
    load.run(
        on_hdfs,
        [write_log(tmp_path / name, [csv_line(event_time=day, brand=name) for day in days[name]]) for name in days],
    )
    unload.run(on_hdfs, ["wrong.csv"])
    assert [one.file for one in read_manifests(on_hdfs)] == ["right.csv"]
    dates = list((on_hdfs / "raw" / "events").glob("*"))
    assert [path.name for path in dates] == ["date=2019-10-01"] and len(list(dates[0].glob("*"))) == 1


def test_quarantined_lines_are_read_from_hdfs(on_hdfs: HdfsPath) -> None:
    for day, lines in {"2019-10-01": ["a", "b"], "2019-10-02": ["c"]}.items():
        rows = pa.table({"raw_line": lines, "reason": ["wrong_columns"] * len(lines)})
        write_parquet(on_hdfs / QUARANTINE.path / f"date={day}" / "part-0.parquet", rows)
    reasons, found = quarantine.run(on_hdfs, lambda day: True, "wrong_columns", 2)
    assert reasons == {"wrong_columns": 3} and [line.raw_line for line in found] == ["c", "a"]
    assert [line.fault for line in found] == ["it has 1 field instead of 9"] * 2


def test_two_writers_of_a_table_are_kept_apart(on_hdfs: HdfsPath) -> None:
    with Transaction(on_hdfs, ["processed/events"]):
        with pytest.raises(BusyRootError, match="is writing processed"):
            Transaction(on_hdfs, ["processed"])
        with Transaction(on_hdfs, ["processed/other"]):
            pass


def test_a_committed_transaction_of_a_dead_process_is_finished(
    on_hdfs: HdfsPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    from spark_apps.storage import transaction as module

    old = on_hdfs / "processed" / "events"
    old.mkdir(parents=True)
    (old / "part").write_text("old")
    with monkeypatch.context() as patch:
        patch.setattr(module, "_roll_forward", lambda root, folder: None)  # killed right after its journal
        with Transaction(on_hdfs, ["processed/events"]) as cut_off:
            staged = cut_off.stage("processed/events")
            staged.mkdir()
            (staged / "part").write_text("new")
            cut_off.replace("processed/events")
            cut_off.commit()
    assert (old / "part").read_text() == "old"
    recover(on_hdfs)
    assert (old / "part").read_text() == "new"
    assert list((on_hdfs / "temp" / "publish").glob("*")) == []


def test_a_writer_that_was_taken_for_dead_publishes_nothing(on_hdfs: HdfsPath) -> None:
    with (
        pytest.raises(LostClaimError, match="nothing was replaced"),
        Transaction(on_hdfs, ["processed/events"]) as transaction,
    ):
        staged = transaction.stage("processed/events")
        staged.mkdir()
        transaction.replace("processed/events")
        alive = staged.parents[2] / "alive.lock"
        alive.write_text('{"host": "another", "pid": 1, "started": "1", "id": "another"}')
        transaction.commit()
    assert not (on_hdfs / "processed").exists()
