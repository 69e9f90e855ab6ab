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
from spark_apps.platform.influxdb import Influx
from spark_apps.telemetry.provision import READER_TOKEN, WRITER_TOKEN, Role, provision
from spark_apps.telemetry.sinks import InfluxSink

VARIABLE = "SHOPSTREAM_INFLUXD"
# where docker/from-source/build.py keeps what it built, and where earlier versions of it did
CACHED = [
    Path(f"~/.cache/shopstream/from-source/{folder}/influxd").expanduser()
    for folder in ("influxdb-2.9.1", "influxd-v2.9.1")
]
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

    def kill(self) -> None:
        """Ends it as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(30)
        self.process = None


def influxd() -> Path:
    binary = next((one for one in ([Path(_GIVEN)] if _GIVEN else CACHED) if os.access(one, os.X_OK)), None)
    if binary is None:
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
    write_admin_secrets(folder)
    return folder


def write_admin_secrets(folder: Path) -> None:
    for name, value in (("influxdb_admin_password", "a-good-password"), ("influxdb_admin_token", "adm1n-t0ken-" * 4)):
        path = folder / name
        path.write_text(f"{value}\n")
        path.chmod(0o600)


@dataclass
class Store:
    """A server with org, bucket and tokens."""

    server: InfluxServer
    writer_file: Path
    reader_file: Path

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def reader(self) -> str:
        return self.reader_file.read_text().strip()

    def sink(self) -> InfluxSink:
        return InfluxSink(self.url, self.writer_file)


@pytest.fixture
def store(influx: InfluxServer, secrets: Path) -> Store:
    roles = [Role("write", secrets / WRITER_TOKEN), Role("read", secrets / READER_TOKEN)]
    assert len(list(provision(influx.url, secrets, roles))) == 4
    return Store(influx, roles[0].file, roles[1].file)


@pytest.fixture
def shopstream(secrets: Path) -> Provision:
    """Runs `shopstream metrics provision` with the test's secrets."""

    def run(url: str, *options: str | Path) -> Result:
        arguments = ["metrics", "provision", "--url", url, "--secrets", secrets, *options]
        return CliRunner().invoke(main, [str(one) for one in arguments], env={"COLUMNS": "200"})

    return run
