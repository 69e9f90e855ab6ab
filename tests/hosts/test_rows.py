"""Rows that were landed, cleaned and trained on across hosts are those of one machine, and lie on all of them."""

from __future__ import annotations

from pathlib import Path

from pyspark.sql import SparkSession

from spark_apps.jobs import clean, load
from spark_apps.tables import DateRange
from tests.cluster.conftest import RunningCluster, eventually
from tests.hosts.rows import CLEANED, assert_tables, in_order, rows_here
from tests.hosts.standin import StandIns


def test_every_row_of_the_log_is_clean_or_in_quarantine(loaded: RunningCluster, log: Path) -> None:
    rows = sum(table.num_rows for table in map(loaded.arrow, CLEANED) if table is not None)
    assert rows == sum(1 for _ in log.open("rb")) - 1 > 0


def test_clean_rows_are_those_of_one_machine(
    loaded: RunningCluster, spark: SparkSession, log: Path, tmp_path: Path
) -> None:
    load.run(tmp_path, [log])
    clean.run(spark, tmp_path, DateRange())
    for table, order in CLEANED.items():
        expected, found = rows_here(spark, tmp_path, table, order), loaded.arrow(table)
        # a table without a row has no file
        assert_tables(in_order(found or expected.slice(0, 0), order), expected)


def test_blocks_lie_on_every_host(loaded: RunningCluster, hosts: StandIns) -> None:
    def spread() -> bool:
        hdfs = loaded.status()["hdfs"]
        blocks = {node["address"].partition(":")[0]: node["blocks"] for node in hdfs["datanodes"]}
        assert hdfs["missing_blocks"] == 0
        return blocks.keys() == set(hosts.addresses().values()) and all(blocks.values())

    eventually(spread, "each host has blocks")
    eventually(lambda: loaded.status()["hdfs"]["under_replicated"] == 0, "each block has its copies")
