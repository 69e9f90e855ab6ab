"""What a real NameNode says of a DataNode that was drained, and of the one that comes to its address."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from spark_apps.hdfs.admin import HdfsAdmin
from spark_apps.telemetry.platform_report import look
from tests.hdfs.server import HdfsServer, another_datanode, bean, hadoop_jars, running
from tests.waiting import eventually

NOBODY = "http://127.0.0.1:9"
# dead after twice this and ten heartbeats of a second
RECHECK_MS = 500


def states(server: HdfsServer) -> dict[str, str]:
    """State of each live DataNode by address and port."""
    live = json.loads(bean(server, "NameNodeInfo")["LiveNodes"])
    return {one["xferaddr"]: one["adminState"] for one in live.values()}


def counts(server: HdfsServer) -> tuple[int, int]:
    """DataNodes that take data, and those that the dashboard shows as dead."""
    dead = look(server.webhdfs, NOBODY, 0).figures["platform_hdfs"]["dead_nodes"]
    return HdfsAdmin(server.webhdfs, server.superuser).live_datanodes(), dead


@pytest.mark.usefixtures("java")
def test_a_drained_datanode_counts_no_more_and_its_address_may_be_taken_again(tmp_path: Path) -> None:
    exclude = tmp_path / "exclude"
    exclude.touch()
    more = {"dfs.hosts.exclude": str(exclude), "dfs.namenode.heartbeat.recheck-interval": str(RECHECK_MS)}
    more["dfs.namenode.decommission.interval"] = "1s"
    folder = tmp_path / "hdfs"
    folder.mkdir()
    with running(hadoop_jars(), folder, more) as server:
        first = set(states(server))
        with another_datanode(server, tmp_path / "second"):
            eventually(lambda: len(states(server)) == 2, "the second one has registered")
            [second] = set(states(server)) - first
            exclude.write_text(f"{second}\n")
            server.admin("-refreshNodes")
            eventually(lambda: states(server)[second] == "Decommissioned", "the second one is empty")
            assert counts(server) == (1, 0)
        eventually(lambda: bean(server, "FSNamesystemState")["NumDeadDataNodes"] == 1, "the second one is lost")
        assert counts(server) == (1, 0)
        with another_datanode(server, tmp_path / "third"):
            eventually(lambda: len(states(server)) == 2, "the third one has registered")
            assert set(states(server).values()) == {"In Service"}
            assert counts(server) == (2, 0)
