"""Points through an outage of an InfluxDB in a container, of the image that the cluster uses."""

from __future__ import annotations

import os
import re
import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from spark_apps.cluster.secrets import make_secrets
from spark_apps.platform.influxdb import Influx
from spark_apps.telemetry.provision import READER_TOKEN, WRITER_TOKEN, Role, provision
from spark_apps.telemetry.sinks import InfluxSink
from tests.cluster.conftest import REPOSITORY, docker
from tests.telemetry.batch_logs import outlive_an_outage

READY_SECONDS = 120
_PATHS = ("bolt", "sqlite", "engine")


class Container:
    """An InfluxDB of its own, on a free port of 127.0.0.1."""

    def __init__(self, image: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        paths = [f"--{name}-path=/var/lib/influxdb2/influxd.{name}" for name in _PATHS]
        self.id = docker(
            *("run", "--detach", "--name", f"shopstream-test-influxdb-{uuid.uuid4().hex[:8]}"),
            *("--user", "1000:1000", "--cap-drop", "ALL", "--publish", f"127.0.0.1:{self._port}:8086"),
            *("--entrypoint", "influxd", image, *paths, "--reporting-disabled"),
        ).strip()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def kill(self) -> None:
        docker("kill", self.id)

    def start(self) -> None:
        docker("start", self.id)
        Influx(self.url).await_ready(READY_SECONDS)

    def remove(self) -> None:
        docker("rm", "--force", "--volumes", self.id)


def image() -> str:
    """The image that compose/monitoring.yaml names, or what stands in its place here."""
    text = (REPOSITORY / "compose" / "monitoring.yaml").read_text(encoding="utf-8")
    usual = re.search(r"image: \$\{INFLUXDB_IMAGE:-(.+)\}", text)
    assert usual is not None
    return os.environ.get("INFLUXDB_IMAGE") or usual[1]


@pytest.fixture
def container(engine: None) -> Iterator[Container]:
    made = Container(image())
    try:
        Influx(made.url).await_ready(READY_SECONDS)
        yield made
    finally:
        made.remove()


def test_a_sender_outlives_a_killed_container(container: Container, tmp_path: Path) -> None:
    secrets, root = tmp_path / "secrets", tmp_path / "root"
    make_secrets(secrets)
    root.mkdir()
    writer, reader = Role("write", secrets / WRITER_TOKEN), Role("read", secrets / READER_TOKEN)
    assert len(list(provision(container.url, secrets, [writer, reader]))) == 4
    sink = InfluxSink(container.url, writer.file)
    outlive_an_outage(container, root, sink, reader.file.read_text().strip())
