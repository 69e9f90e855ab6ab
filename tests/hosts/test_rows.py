"""Rows that were landed and cleaned across hosts are those of the log, and lie on all hosts."""

from __future__ import annotations

from pathlib import Path

from spark_apps.schemas import CSV_COLUMNS
from spark_apps.tables import EVENTS, QUARANTINE
from tests import oracle
from tests.cluster.conftest import RunningCluster, eventually
from tests.hosts.standin import StandIns

IN_ORDER = f"select {', '.join(CSV_COLUMNS)} from events order by all"


def test_every_row_of_the_log_is_clean_or_in_quarantine(loaded: RunningCluster, log: Path) -> None:
    rows = sum(table.num_rows for table in map(loaded.arrow, (EVENTS, QUARANTINE)) if table is not None)
    assert rows == sum(1 for _ in log.open("rb")) - 1 > 0


def test_clean_rows_are_those_of_the_log(loaded: RunningCluster, log: Path) -> None:
    found = oracle.rows(oracle.of_events(loaded.arrow(EVENTS)), IN_ORDER)
    assert found == oracle.rows(oracle.of_log(log), IN_ORDER)


def test_blocks_lie_on_every_host(loaded: RunningCluster, hosts: StandIns) -> None:
    def spread() -> bool:
        hdfs = loaded.status()["hdfs"]
        blocks = {node["address"].partition(":")[0]: node["blocks"] for node in hdfs["datanodes"]}
        assert hdfs["missing_blocks"] == 0
        return blocks.keys() == set(hosts.addresses().values()) and all(blocks.values())

    eventually(spread, "each host has blocks")
    eventually(lambda: loaded.status()["hdfs"]["under_replicated"] == 0, "each block has its copies")
