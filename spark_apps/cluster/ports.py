"""The cluster's ports on the host, all on 127.0.0.1, and who holds one that is taken."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from spark_apps.errors import UserError

HOST = "127.0.0.1"
PREFIX = "SHOPSTREAM_PORT_"
DEFAULTS = {"HDFS": 9870, "SPARK": 8080, "HISTORY": 18080, "DRIVER": 4040, "INFLUXDB": 8086, "GRAFANA": 3000}
MONITORING = ("INFLUXDB", "GRAFANA")
_LISTENING = "0A"
_CONNECT_SECONDS = 0.5


def port_numbers(offset: int, own: Mapping[str, str | int]) -> dict[str, int]:
    """Returns the port of each page, by name.

    Args:
        offset: added to every usual port, for a second cluster beside the first.
        own: ports that the user set one by one, by name; they win.

    Raises:
        UserError: when one is not a port.
    """
    ports = {name: str(own.get(name, port + offset)) for name, port in DEFAULTS.items()}
    for name, value in ports.items():
        if not value.isdigit() or not 1024 <= int(value) <= 65535:
            raise UserError(
                f"{PREFIX}{name}={value} is not a port from 1024 to 65535: give another one or --port-offset."
            )
    if len(set(ports.values())) < len(ports):
        raise UserError("Two of the cluster's ports are the same: give each SHOPSTREAM_PORT_ variable its own.")
    return {name: int(value) for name, value in ports.items()}


def taken(ports: Iterable[int]) -> list[int]:
    """Returns those ports that another program listens on."""
    return [port for port in ports if _answers(port) or not _bindable(port)]


def holder(port: int) -> str | None:
    """Returns the program that listens on a port, where this platform tells (Linux, one's own processes)."""
    if not sys.platform.startswith("linux"):
        return None
    sockets = _listening_sockets(port)
    for process in Path("/proc").glob("[0-9]*") if sockets else ():
        if sockets & _sockets_of(process):
            return f"{_first_line(process / 'comm')} (process {process.name})"
    return None


def listening(table: str) -> set[int]:
    """Returns the ports that something listens on, by the text of a Linux host's /proc/net/tcp or tcp6."""
    return {port for port, _ in _listeners(table)}


def _listeners(table: str) -> Iterator[tuple[int, str]]:
    """The port and the socket's number of each line that stands for a listener."""
    for columns in (line.split() for line in table.splitlines()[1:]):
        if columns[3] == _LISTENING:
            yield int(columns[1].rpartition(":")[2], 16), columns[9]


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=_CONNECT_SECONDS):
            return True
    except OSError:
        return False


def _bindable(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        if sys.platform != "win32":  # there it would allow a second listener
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _listening_sockets(port: int) -> set[str]:
    found = set()
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        found |= {f"socket:[{inode}]" for one, inode in _listeners(_text(table)) if one == port}
    return found


def _sockets_of(process: Path) -> set[str]:
    try:
        links = list((process / "fd").iterdir())
    except OSError:  # another user's process, or one that has just ended
        return set()
    return {target for link in links if (target := _target(link))}


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:  # closed in the meantime
        return ""


def _first_line(path: Path) -> str:
    return (_text(path).splitlines() or ["another program"])[0]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
