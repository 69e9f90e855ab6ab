from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator

import pytest

from spark_apps.cluster import ports
from spark_apps.cluster.config import ClusterConfig
from spark_apps.errors import UserError


@pytest.fixture
def listener() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_an_offset_moves_every_port() -> None:
    assert ports.port_numbers(0, {})["HDFS"] == 9870
    moved = ports.port_numbers(100, {"GRAFANA": "3333"})
    assert moved["HDFS"] == 9970
    assert moved["GRAFANA"] == 3333
    assert len(moved) == 6


@pytest.mark.parametrize("value", ["80", "70000", "http", ""])
def test_what_is_no_port_is_refused(value: str) -> None:
    with pytest.raises(UserError, match=r"SHOPSTREAM_PORT_SPARK=.* is not a port"):
        ports.port_numbers(0, {"SPARK": value})


def test_two_services_cannot_share_a_port() -> None:
    with pytest.raises(UserError, match="Two of the cluster's ports are the same"):
        ports.port_numbers(0, {"SPARK": 9870})


def test_without_monitoring_its_ports_are_not_wanted() -> None:
    numbers = ports.port_numbers(0, {})
    assert len(ClusterConfig(ports=numbers).used_ports()) == 6
    assert set(ClusterConfig(ports=numbers, monitoring=False).used_ports()) == {"HDFS", "SPARK", "HISTORY", "DRIVER"}


def test_a_port_that_is_listened_on_is_taken(listener: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        free = other.getsockname()[1]
    assert ports.taken([listener, free]) == [listener]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells who listens")
def test_the_holder_of_a_port_is_named(listener: int) -> None:
    assert str(ports.holder(listener)).endswith(f"(process {os.getpid()})")


def test_a_port_that_nobody_holds_has_no_holder(listener: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        free = other.getsockname()[1]
    assert ports.holder(free) is None
