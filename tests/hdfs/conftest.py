"""The HDFS server for this folder's tests, emptied for each, and the hdfs commands as a person runs them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from spark_apps.cli import main
from spark_apps.hdfs.admin import HdfsAdmin
from tests.hdfs.server import HdfsServer
from tests.waiting import serving

Shopstream = Callable[..., Result]


@pytest.fixture
def superuser(hdfs_server: HdfsServer) -> Iterator[HdfsAdmin]:
    """The superuser's connection to a file system that holds nothing."""
    connection = HdfsAdmin(hdfs_server.webhdfs, hdfs_server.superuser)
    _empty(connection)
    yield connection
    _empty(connection)


@pytest.fixture
def as_spark(hdfs_server: HdfsServer) -> HdfsAdmin:
    """The connection of the user who runs jobs."""
    return HdfsAdmin(hdfs_server.webhdfs, "spark")


@pytest.fixture
def shopstream(hdfs_server: HdfsServer) -> Shopstream:
    """Runs `shopstream hdfs ...` against the server."""
    return _command({"SHOPSTREAM_WEBHDFS": hdfs_server.webhdfs})


@pytest.fixture
def local() -> Shopstream:
    """Runs `shopstream hdfs ...` for roots on this machine."""
    return _command({})


def _command(settings: dict[str, str]) -> Shopstream:
    def run(*arguments: str | Path, columns: int = 200, **more: str) -> Result:
        environment = {**settings, **more, "COLUMNS": str(columns)}
        return CliRunner().invoke(main, ["hdfs", *map(str, arguments)], env=environment)

    return run


def _empty(connection: HdfsAdmin) -> None:
    for entry in connection.entries("/"):
        connection.remove(entry.path)
    connection.set_permission("/", "755")


class _Stranger(BaseHTTPRequestHandler):
    def _say(self) -> None:
        code, body = self.server.answer  # type: ignore[attr-defined]
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_PUT = _say  # noqa: N815

    def log_message(self, *arguments: object) -> None:
        """Keeps the test's output clean."""


@pytest.fixture(params=[(200, b"<html>"), (404, b"<html>"), (500, b"{}"), (200, b"{}"), (401, b"")])
def stranger(request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of a web server that is no NameNode."""
    with serving(_Stranger) as server:
        server.answer = request.param  # type: ignore[attr-defined]
        yield f"http://127.0.0.1:{server.server_port}"
