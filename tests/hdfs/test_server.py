from __future__ import annotations

from tests.hdfs.server import HdfsServer, bean


def test_is_ready(hdfs_server: HdfsServer) -> None:
    assert bean(hdfs_server, "FSNamesystemState")["NumLiveDataNodes"] == 1
    assert "Live datanodes (1)" in hdfs_server.admin("-report")
