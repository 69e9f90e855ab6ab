"""Rows that were landed, cleaned and trained on across hosts are those of one machine, and lie on all of them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from pyspark.sql import SparkSession

from spark_apps.jobs import clean, load
from spark_apps.tables import EVENTS, QUARANTINE, DateRange, Table, read_table
from tests.cluster.conftest import RunningCluster, eventually
from tests.comparing import assert_rows
from tests.hosts.standin import StandIns

CLEANED = {
    EVENTS: ("event_time", "user_id", "product_id", "event_type", "user_session", "price"),
    QUARANTINE: ("raw_line",),
}


def test_every_row_of_the_log_is_clean_or_in_quarantine(loaded: RunningCluster, log: Path) -> None:
    rows = sum(table.num_rows for table in map(loaded.arrow, CLEANED) if table is not None)
    assert rows == sum(1 for _ in log.open("rb")) - 1 > 0


def test_clean_rows_are_those_of_one_machine(
    loaded: RunningCluster, spark: SparkSession, log: Path, tmp_path: Path
) -> None:
    load.run(tmp_path, [log])
    clean.run(spark, tmp_path, DateRange())
    for table, order in CLEANED.items():
        assert_rows(loaded.rows(table, *order), rows_here(spark, tmp_path, table, order).to_pylist())


def test_blocks_lie_on_every_host(loaded: RunningCluster, hosts: StandIns) -> None:
    def spread() -> bool:
        hdfs = loaded.status()["hdfs"]
        blocks = {node["address"].partition(":")[0]: node["blocks"] for node in hdfs["datanodes"]}
        assert hdfs["missing_blocks"] == 0
        return blocks.keys() == set(hosts.addresses().values()) and all(blocks.values())

    eventually(spread, "each host has blocks")
    eventually(lambda: loaded.status()["hdfs"]["under_replicated"] == 0, "each block has its copies")


def rows_here(spark: SparkSession, root: Path, table: Table, order: tuple[str, ...]) -> pa.Table:
    return in_order(read_table(spark, root, table).toArrow(), order)


def in_order(table: pa.Table, order: tuple[str, ...]) -> pa.Table:
    return table.sort_by([(name, "ascending") for name in order])
