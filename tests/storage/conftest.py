"""Folders on a real HDFS and on this machine."""

from __future__ import annotations

import getpass
import uuid
from pathlib import Path

import pytest

from spark_apps.storage import HdfsPath, StoragePath, root_path
from tests.hdfs.server import HdfsServer


@pytest.fixture
def on_hdfs(hdfs_server: HdfsServer) -> HdfsPath:
    """A new folder on HDFS that belongs to the user who runs the tests, as whom Spark writes."""
    folder = f"/storage-{uuid.uuid4().hex[:8]}"
    made = root_path(hdfs_server.uri + folder, hdfs_server.webhdfs, hdfs_server.superuser)
    made.mkdir()
    assert isinstance(made, HdfsPath)
    made.connection.set_owner(folder, owner=getpass.getuser(), group="shopstream")
    owned = root_path(hdfs_server.uri + folder, hdfs_server.webhdfs)
    assert isinstance(owned, HdfsPath)
    return owned


@pytest.fixture(params=["local", "hdfs"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> StoragePath:
    """The same for both kinds of storage."""
    if request.param == "local":
        return tmp_path
    found: HdfsPath = request.getfixturevalue("on_hdfs")
    return found
