"""What of a host can be reached, and by whom."""

from __future__ import annotations

import json

import pytest

from tests.cluster.conftest import RunningCluster, docker
from tests.hosts.standin import IMAGE, StandIns

SSH = 22
# Run on a host: what it listens on, as pairs of address and port.
_LISTENING = "ss -Hltn | awk '{print $4}'"
# Run by a stranger: those of the places given that answer.
_ANSWERING = """
import json, socket, sys
answering = []
for address, port in json.loads(sys.argv[1]):
    with socket.socket() as probe:
        probe.settimeout(5)
        if probe.connect_ex((address, port)) == 0:
            answering.append([address, port])
print(json.dumps(answering))
"""


@pytest.fixture(scope="module")
def places(hosts: StandIns, cluster: RunningCluster) -> dict[str, list[tuple[str, int]]]:
    """By host, where something listens beyond the host itself; ssh left out."""
    found = {}
    for host in hosts.addresses():
        lines = hosts.inside(host, "sh", "-c", _LISTENING).split()
        pairs = [(line.rpartition(":")[0].strip("[]"), int(line.rpartition(":")[2])) for line in lines]
        found[host] = [(address, port) for address, port in pairs if port != SSH and not address.startswith("127.")]
    return found


def answering(hosts: StandIns, wanted: list[tuple[str, int]]) -> list[list[object]]:
    """Which places answer somebody on the hosts' network who is none of them."""
    stranger = ("run", "--rm", "--network", hosts.name, "--entrypoint", "python3", f"{IMAGE}:bare")
    found: list[list[object]] = json.loads(docker(*stranger, "-c", _ANSWERING, json.dumps(wanted)))
    return found


def test_services_listen_on_the_address_of_the_inventory_alone(
    hosts: StandIns, places: dict[str, list[tuple[str, int]]]
) -> None:
    for host, address in hosts.addresses().items():
        assert places[host], f"nothing listens on {host}"
        assert {place for place in places[host] if place[0].removeprefix("::ffff:") != address} == set()


def test_a_stranger_on_the_network_reaches_ssh_alone(hosts: StandIns, places: dict[str, list[tuple[str, int]]]) -> None:
    doors = [(address, SSH) for address in hosts.addresses().values()]
    rooms = [(hosts.addresses()[host], port) for host, found in places.items() for _, port in found]
    assert answering(hosts, [*doors, *rooms]) == [list(door) for door in doors]
