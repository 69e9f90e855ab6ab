"""Stand-ins for hosts: containers with systemd, sshd and, unless bare, a Docker engine of their own (Linux, as root).

    python tests/hosts/standin.py up [--hosts 3] [--bare] | add [--bare] | inventory | down
    python tests/hosts/standin.py cut HOST | heal HOST | remove HOST

host1, host2 ... stand on one bridge network at fixed addresses. The first carries what a cluster has once, the
others a DataNode and a worker each; the state folder holds the inventory that says so, a fresh ssh key and the
hosts' own keys.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.append(str(REPOSITORY))  # for a run as a script

from tests.cluster.engine import BASE_IMAGE, DOCKER, MIRROR, EngineError, run, succeeds, wait_until  # noqa: E402
from tests.java import FIRST_COMPILER  # noqa: E402

NAME = "shopstream-hosts"
IMAGE = "shopstream-test/host"
LABEL, HOST_LABEL, ADDRESS_LABEL = "shopstream.stand-ins", "shopstream.host", "shopstream.address"
# the first that no other network overlaps is taken
SUBNETS = tuple(f"10.213.{number}" for number in range(16))
FIRST_ADDRESS = 10
# what a host's control group may take, and what its containers may take of it, in MiB
HEAD_MEMORY, HEAD_BUDGET = 5120, 4600
MEMORY, BUDGET = 3072, 2700
CORES = 1
READY_SECONDS = 180
# what a container needs to be a host: systemd and an engine mount, set up networks and make control groups.
# The machine's clock and limits stay out of its reach.
RIGHTS = (
    *("--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE", "--cap-drop", "SYS_TIME", "--cgroupns", "private"),
    *(part for name in ("seccomp", "apparmor", "systempaths") for part in ("--security-opt", f"{name}=unconfined")),
    *("--tmpfs", "/run", "--tmpfs", "/run/lock"),
)


@dataclass(frozen=True)
class StandIns:
    """The hosts of one name, as they are in the engine: nothing but keys and the inventory is kept in the folder."""

    name: str = NAME
    state: Path = REPOSITORY / ".cluster" / "stand-ins"

    @property
    def inventory(self) -> Path:
        """The inventory for ansible-playbook."""
        return self.state / "inventory.yaml"

    @property
    def key(self) -> Path:
        """The private key that root's account on every host takes."""
        return self.state / "key"

    @property
    def known_hosts(self) -> Path:
        """The hosts' own keys, as read from inside them."""
        return self.state / "known_hosts"

    def addresses(self) -> dict[str, str]:
        """Returns the hosts that are there, cut-off ones too, with their addresses."""
        form = f'{{{{.Label "{HOST_LABEL}"}}}} {{{{.Label "{ADDRESS_LABEL}"}}}}'
        listed = ask([DOCKER, "ps", "--all", "--filter", self._filter(), "--format", form])
        return dict(sorted((pair.split() for pair in listed.splitlines()), key=lambda pair: _number(pair[0])))

    def up(self, count: int, bare: bool = False) -> None:
        """Makes hosts until there are so many.

        Args:
            count: how many there shall be in all.
            bare: without a Docker engine.

        Raises:
            EngineError: when one cannot be made or does not answer.
        """
        self._make_key()
        self._build("bare" if bare else "docker")
        if not self._networks():
            self._make_network()
        last = max(map(_number, self.addresses()), default=0)
        for number in range(last + 1, last + 1 + count - len(self.addresses())):
            self._make_host(f"host{number}", bare)
        for host in self.addresses():
            self._admit(host)
        self.write_inventory()

    def add(self, bare: bool = False) -> str:
        """Makes one more host and returns its name."""
        self.up(len(self.addresses()) + 1, bare)
        return next(reversed(self.addresses()))

    def remove(self, host: str) -> None:
        """Takes one host away for good, with its disks."""
        run([DOCKER, "rm", "--force", "--volumes", self._container(host)])
        run([DOCKER, "volume", "rm", self._volume(host)])
        self.write_inventory()

    def down(self) -> None:
        """Takes all hosts, their disks, their network and the folder away."""
        for container in ask([DOCKER, "ps", "--all", "--quiet", "--filter", self._filter()]).split():
            run([DOCKER, "rm", "--force", "--volumes", container])
        for volume in ask([DOCKER, "volume", "ls", "--quiet", "--filter", self._filter()]).split():
            run([DOCKER, "volume", "rm", volume])
        for network in self._networks():
            run([DOCKER, "network", "rm", network])
        shutil.rmtree(self.state, ignore_errors=True)

    def cut(self, host: str) -> None:
        """Stops a host's containers at once, as a power cut would, then takes its network away."""
        running = self.inside(host, "docker", "ps", "--quiet").split() if self._has_engine(host) else []
        self._stopped(host).write_text("\n".join(running), encoding="ascii")
        if running:
            self.inside(host, "docker", "kill", *running)
        run([DOCKER, "network", "disconnect", "--force", self.name, self._container(host)])

    def heal(self, host: str) -> None:
        """Gives a host that was cut off its network back, then starts the containers that ran on it."""
        address = self.addresses()[host]
        place = ["--ip", address, "--alias", host]
        run([DOCKER, "network", "connect", *place, self.name, self._container(host)])
        self._await_ssh(host)
        running = self._stopped(host).read_text(encoding="ascii").split()
        if running:
            self.inside(host, "docker", "start", *running)
        self._stopped(host).unlink()

    def inside(self, host: str, *command: str) -> str:
        """Runs a command on a host, past its network, and returns its output."""
        return ask([DOCKER, "exec", self._container(host), *command])

    def ssh(self, host: str) -> list[str]:
        """Returns the beginning of an ssh command to a host."""
        return ["ssh", "-i", str(self.key), *self._ssh_options(), "-o", "ConnectTimeout=5", f"root@{self._at(host)}"]

    def write_inventory(self) -> None:
        """Writes the inventory of the hosts that are there, by rename."""
        part = self.inventory.with_suffix(".part")
        part.write_text(yaml.safe_dump(self._inventory(), sort_keys=False), encoding="utf-8")
        part.replace(self.inventory)

    def _inventory(self) -> dict[str, Any]:
        addresses = self.addresses()
        first, *others = addresses
        groups = {group: [first] for group in ("namenode", "spark_master", "monitoring", "client")}
        groups |= {"datanodes": list(addresses), "spark_workers": others}
        common = {
            "ansible_user": "root",
            "ansible_port": 22,
            "ansible_ssh_private_key_file": str(self.key),
            "ansible_ssh_common_args": " ".join(self._ssh_options()),
        }
        children: dict[str, Any] = {group: {"hosts": {host: {} for host in hosts}} for group, hosts in groups.items()}
        hosts = {host: _variables(address, host == first) for host, address in addresses.items()}
        # pages of the hosts are for cluster hosts alone, and for this machine
        variables = {
            "shopstream_name": self.name,
            "shopstream_allowed": [self._in_subnet(1)],
            "shopstream_java_options": FIRST_COMPILER,
        }
        cluster = {"vars": variables, "children": children}
        return {"all": {"vars": common, "hosts": hosts, "children": {"shopstream": cluster}}}

    def _ssh_options(self) -> list[str]:
        options = (f"UserKnownHostsFile={self.known_hosts}", "StrictHostKeyChecking=yes", "IdentitiesOnly=yes")
        return [part for option in options for part in ("-o", option)]

    def _make_key(self) -> None:
        self.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.key.exists():
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.name, "-f", str(self.key)])

    def _build(self, target: str) -> None:
        tests = REPOSITORY / "tests"
        values = {"BASE_IMAGE": BASE_IMAGE, "DEBIAN_MIRROR": MIRROR}
        run(
            [
                *(DOCKER, "buildx", "build", "--quiet", "--load", "--target", target, "--tag", f"{IMAGE}:{target}"),
                *(part for value in values.items() for part in ("--build-arg", "=".join(value))),
                *("--file", str(tests / "hosts" / "Dockerfile"), str(tests)),
            ]
        )

    def _make_network(self) -> None:
        create = [DOCKER, "network", "create", "--label", f"{LABEL}={self.name}"]
        if not any(succeeds([*create, "--subnet", f"{subnet}.0/24", self.name]) for subnet in SUBNETS):
            raise EngineError(f"No network {self.name} could be made: all of {SUBNETS[0]}.0/24 and on are taken.")

    def _make_host(self, host: str, bare: bool) -> None:
        volume, address = self._volume(host), self._in_subnet(FIRST_ADDRESS + _number(host))
        labels = {LABEL: self.name, HOST_LABEL: host, ADDRESS_LABEL: address}
        memory = HEAD_MEMORY if host == "host1" else MEMORY
        run([DOCKER, "volume", "create", "--label", f"{LABEL}={self.name}", volume])
        run(
            [
                *(DOCKER, "run", "--detach", "--name", self._container(host), "--hostname", host, *RIGHTS),
                *(part for label in labels.items() for part in ("--label", "=".join(label))),
                *("--network", self.name, "--network-alias", host, "--ip", address, "--memory", f"{memory}m"),
                # an engine's layers cannot lie on a container's own
                *("--volume", f"{volume}:/var/lib/docker", f"{IMAGE}:{'bare' if bare else 'docker'}"),
            ]
        )

    def _admit(self, host: str) -> None:
        """Lets the key in and writes down the host's own, then waits until ssh and the engine answer."""
        public = "/etc/ssh/ssh_host_ed25519_key.pub"
        self._await(f"{host} has its keys", [DOCKER, "exec", self._container(host), "test", "-s", public])
        key = self.key.with_suffix(".pub").read_text(encoding="ascii").strip()
        keep = f"install -d -m 700 /root/.ssh && echo '{key}' >/root/.ssh/authorized_keys"
        self.inside(host, "sh", "-c", keep)
        own = " ".join(self.inside(host, "cat", public).split()[:2])
        known = self.known_hosts.read_text(encoding="ascii").splitlines() if self.known_hosts.exists() else []
        others = [line for line in known if line.split()[0] != self._at(host)]
        self.known_hosts.write_text("\n".join([*others, f"{self._at(host)} {own}\n"]), encoding="ascii")
        self._await_ssh(host)
        if self._has_engine(host):
            self._await(f"the engine of {host} answers", [DOCKER, "exec", self._container(host), "docker", "info"])

    def _await_ssh(self, host: str) -> None:
        self._await(f"{host} answers by ssh", [*self.ssh(host), "true"])

    def _await(self, what: str, command: list[str]) -> None:
        if not wait_until(lambda: succeeds(command), READY_SECONDS):
            raise EngineError(f"Not within {READY_SECONDS} s: {what}. `docker logs` of the container may say why.")

    def _has_engine(self, host: str) -> bool:
        return succeeds([DOCKER, "exec", self._container(host), "test", "-S", "/run/docker.sock"])

    def _networks(self) -> list[str]:
        return ask([DOCKER, "network", "ls", "--quiet", "--filter", self._filter()]).split()

    def _in_subnet(self, number: int) -> str:
        form = "{{(index .IPAM.Config 0).Subnet}}"
        subnet = ask([DOCKER, "network", "inspect", "--format", form, self.name]).strip()
        return f"{subnet.rpartition('.')[0]}.{number}"

    def _at(self, host: str) -> str:
        return self.addresses()[host]

    def _container(self, host: str) -> str:
        return f"{self.name}-{host}"

    def _volume(self, host: str) -> str:
        return f"{self.name}-{host}-engine"

    def _stopped(self, host: str) -> Path:
        """What ran on a host when it was cut off."""
        return self.state / f"{host}.stopped"

    def _filter(self) -> str:
        return f"label={LABEL}={self.name}"


def ask(command: Sequence[str]) -> str:
    """Runs a command and returns its output.

    Raises:
        EngineError: with its last line, when it fails.
    """
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8", errors="replace", check=False
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise EngineError(f"{' '.join(command)} failed: {last}")
    return done.stdout


def _variables(address: str, head: bool) -> dict[str, Any]:
    memory = HEAD_BUDGET if head else BUDGET
    return {"ansible_host": address, "shopstream_memory": f"{memory}m", "shopstream_cores": CORES}


def _number(host: str) -> int:
    return int(host.removeprefix("host"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; returns 0, or 2 after an error."""
    options = _parser().parse_args(arguments)
    hosts = StandIns(options.name, options.state.absolute())
    try:
        _do(hosts, options)
    except EngineError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _do(hosts: StandIns, options: argparse.Namespace) -> None:
    if options.command == "up":
        hosts.up(options.hosts, options.bare)
    elif options.command == "add":
        hosts.add(options.bare)
    elif options.command == "inventory":
        hosts.write_inventory()
    elif options.command == "down":
        hosts.down()
        return
    else:
        {"cut": hosts.cut, "heal": hosts.heal, "remove": hosts.remove}[options.command](options.host)
    for host, address in hosts.addresses().items():
        print(f"{host}  {address}")
    print(hosts.inventory)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Stand-ins for hosts, for the tests of a cluster on several.")
    parser.add_argument("--name", default=NAME, help="name of the network, and beginning of the containers' names")
    parser.add_argument("--state", type=Path, default=StandIns.state, help="folder of the keys and the inventory")
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="make hosts until there are so many")
    up.add_argument("--hosts", type=int, default=3)
    for command in (up, commands.add_parser("add", help="one host more")):
        command.add_argument("--bare", action="store_true", help="without a Docker engine")
    for name, text in (("inventory", "write the inventory again"), ("down", "all away")):
        commands.add_parser(name, help=text)
    for name, text in (
        ("cut", "stop a host's containers, then its network"),
        ("heal", "undo `cut`"),
        ("remove", "take a host away for good"),
    ):
        commands.add_parser(name, help=text).add_argument("host")
    return parser


if __name__ == "__main__":
    sys.exit(main())
