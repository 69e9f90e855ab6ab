"""A real InfluxDB on 127.0.0.1, new for each test that asks for it."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from spark_apps.cli import main
from spark_apps.metrics.connection import Influx

VARIABLE = "SHOPSTREAM_INFLUXD"
CACHED = Path("~/.cache/shopstream/from-source/influxd-v2.9.1/influxd").expanduser()
READY_SECONDS = 60
# tests/conftest.py takes SHOPSTREAM_ variables away before tests run
_GIVEN = os.environ.get(VARIABLE)

Provision = Callable[..., Result]


@dataclass
class InfluxServer:
    """A server that may be stopped and started with its data kept."""

    binary: Path
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        places = {name: str(self.folder / name) for name in ("bolt", "sqlite", "engine")}
        options = [part for name, place in places.items() for part in (f"--{name}-path", place)]
        with (self.folder / "influxd.log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.binary, *options, "--http-bind-address", f"127.0.0.1:{self.port}", "--reporting-disabled"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
            )
        Influx(self.url).await_ready(READY_SECONDS)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)
            self.process = None


def influxd() -> Path:
    binary = Path(_GIVEN) if _GIVEN else CACHED
    if not os.access(binary, os.X_OK):
        pytest.skip(f"influxd is not here: set {VARIABLE} to InfluxDB 2's server program")
    return binary


@contextmanager
def running(folder: Path) -> Iterator[InfluxServer]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    server = InfluxServer(influxd(), folder, port)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@pytest.fixture
def influx(tmp_path: Path) -> Iterator[InfluxServer]:
    """A server that was never set up."""
    folder = tmp_path / "influx"
    folder.mkdir()
    with running(folder) as server:
        yield server


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    """The admin's secrets, as `shopstream cluster up` makes them."""
    folder = tmp_path / "secrets"
    folder.mkdir(mode=0o700)
    for name, value in (("influxdb_admin_password", "a-good-password"), ("influxdb_admin_token", "adm1n-t0ken-" * 4)):
        path = folder / name
        path.write_text(f"{value}\n")
        path.chmod(0o600)
    return folder


@pytest.fixture
def shopstream(secrets: Path) -> Provision:
    """Runs `shopstream metrics provision` with the test's secrets."""

    def run(url: str, *options: str | Path) -> Result:
        arguments = ["metrics", "provision", "--url", url, "--secrets", secrets, *options]
        return CliRunner().invoke(main, [str(one) for one in arguments], env={"COLUMNS": "200"})

    return run
