"""A cluster on several hosts, as the commands of one host see it: over ssh, the way Ansible itself goes.

Docker is asked on each host. Jobs are submitted in the client's host. The pages of HDFS and Spark, which no other
machine may reach, are asked through one ssh connection to that host that lasts as long as the command.
"""

from __future__ import annotations

import io
import json
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from spark_apps.cluster import ports
from spark_apps.cluster.compose.docker import Docker, json_rows
from spark_apps.cluster.compose.project import Compose, Container, own_containers, read_container
from spark_apps.cluster.config import ClusterConfig
from spark_apps.cluster.hosts import placement
from spark_apps.cluster.hosts.placement import Host
from spark_apps.cluster.state import DEFAULT_NAME, Cluster, find_cluster
from spark_apps.errors import UserError

INVENTORY_VARIABLE = "SHOPSTREAM_INVENTORY"
# what of a host's variables leads ssh to it
READ = (
    *("inventory_hostname", "ansible_host", "ansible_port", "ansible_user", "ansible_ssh_private_key_file"),
    *("ansible_ssh_common_args", "ansible_ssh_extra_args"),
)
# a page's name in `ports` -> the group on whose host it is
_PAGES = {
    "HDFS": "namenode",
    "SPARK": "spark_master",
    "HISTORY": "spark_master",
    "DRIVER": "client",
    "INFLUXDB": "monitoring",
    "GRAFANA": "monitoring",
}
_CONNECT_SECONDS = 10
_ANSWER_SECONDS = 60.0
_COPY_SECONDS = 3600.0
AT_ONCE = 16
_PAUSE = 0.05


class UnreachableError(UserError):
    """A host of the inventory does not answer by ssh."""

    def __init__(self, host: str, text: str) -> None:
        last = (text.strip().splitlines() or ["no reason given"])[-1].rstrip(".")
        self.problem = f"Host {host} cannot be reached by ssh ({last})"
        self.remedy = f"check that `ansible -m ping {host}` works"
        super().__init__(f"{self.problem}: {self.remedy}.")


@dataclass(frozen=True)
class Inventory:
    """The hosts of an inventory: their variables as they stand there, by name."""

    path: Path
    variables: Mapping[str, Mapping[str, Any]]

    @property
    def name(self) -> str:
        """The cluster's name."""
        first = next(iter(self.variables.values()))
        return str(first.get("shopstream_name") or DEFAULT_NAME)

    def members(self, group: str) -> list[str]:
        """Returns the names of a group's hosts."""
        return [name for name, values in self.variables.items() if group in values["group_names"]]

    def address(self, host: str) -> str:
        """Returns the address that a host's containers listen on."""
        values = self.variables[host]
        return str(values.get("shopstream_address") or values.get("ansible_host") or host)

    def pages(self) -> dict[str, tuple[str, int]]:
        """Returns the address and port of each page that there is, by its name in `ports`."""
        hosts = {name: self.members(group)[:1] for name, group in _PAGES.items()}
        return {name: (self.address(host), ports.DEFAULTS[name]) for name, found in hosts.items() for host in found}


class HostDocker(Docker):
    """The docker client of a host."""

    def __init__(self, host: str, variables: Mapping[str, Any]) -> None:
        super().__init__("docker")
        self.host = host
        self.ssh = ssh_arguments({"inventory_hostname": host, **variables})
        self._sudo = ["sudo", "-n"] if variables.get("ansible_become") else []

    def command(self, *arguments: str) -> list[str]:
        """Returns the command line that runs docker there."""
        return self.shell(shlex.join([*self._sudo, self.program, *arguments]))

    def shell(self, line: str) -> list[str]:
        """Returns the command line that runs a line of shell there."""
        return [*self.ssh, line]

    def python(self, program: Path, *arguments: str) -> str:
        """Runs a file of this machine by the host's Python, as root where Ansible becomes root, and returns its output.

        Raises:
            UnreachableError: when there is no answer.
        """
        line = shlex.join([*self._sudo, "python3", "-", *arguments])
        return _asked(self.host, self.shell(line), program.read_bytes())

    def config(self) -> ClusterConfig:
        """Returns what cluster.env says there.

        Raises:
            UnreachableError: when there is no answer.
        """
        return ClusterConfig.parse(_asked(self.host, self.shell(f"cat {placement.FOLDER}/cluster.env")))

    @contextmanager
    def temporary_files(self, texts: Mapping[str, str]) -> Iterator[str]:
        """Has the host hold files for as long as they are needed, and gives the folder.

        Args:
            texts: what each file holds, by its name below the folder.

        Raises:
            UnreachableError: when there is no answer.
        """
        folder = _asked(self.host, self.shell("mktemp -d")).strip()
        try:
            _asked(self.host, self.shell(f"tar -x -C {folder}"), _archive(texts))
            yield folder
        finally:
            _asked(self.host, self.shell(f"rm -r {folder}"))


@dataclass(frozen=True)
class HostsCluster(Cluster):
    """The cluster's settings as they stand on the client's host, with the ports of the ssh connection."""

    there: ClusterConfig = field(default_factory=ClusterConfig)
    inventory: Path = Path()

    def config(self) -> ClusterConfig:
        """Returns what cluster.env says there."""
        return self.there

    def option(self) -> str:
        """Returns the option that names this cluster in a command."""
        return f" --inventory {self.inventory}"


class HostsCompose(Compose):
    """Compose on the client's host, and the containers of all hosts."""

    def __init__(
        self, inventory: Inventory, cluster: HostsCluster, files: Sequence[str], folder: str = placement.FOLDER
    ) -> None:
        """Names the files.

        Args:
            inventory: the hosts.
            cluster: its settings on the client's host.
            files: the Compose files there.
            folder: where these and cluster.env stand there.
        """
        self.dockers = dockers(inventory)
        client = inventory.members("client")[0]
        super().__init__(self.dockers[client], cluster, bool(inventory.members("monitoring")))
        self.inventory = inventory
        self._files, self._folder = files, folder
        self.pages = {name: f"http://{address}:{port}" for name, (address, port) in inventory.pages().items()}

    @property
    def client(self) -> HostDocker:
        """The docker of the client's host."""
        assert isinstance(self.docker, HostDocker)
        return self.docker

    def command(self, *arguments: str) -> list[str]:
        """Returns the whole command line of a Compose call on the client's host."""
        where = ["-p", self.cluster.name, "--project-directory", placement.FOLDER]
        where += ["--env-file", f"{self._folder}/cluster.env"]
        files = [part for name in self._files for part in ("-f", f"{self._folder}/{name}")]
        return self.docker.command("compose", *where, *files, *arguments)

    def services(self) -> list[str]:
        """Returns all services of the cluster, on whatever host."""
        groups = [group for group in placement.SERVICES if self.inventory.members(group)]
        named = [*placement.ONE_SHOTS.items(), *placement.SERVICES.items()]
        return list(dict.fromkeys(one for group, services in named if group in groups for one in services))

    def containers(self) -> list[Container]:
        """Returns the containers of all hosts; those of a host that does not answer are missing."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            return [one for found in pool.map(self._containers_of, self.dockers.values()) for one in found]

    def memory(self) -> tuple[int, int]:
        """Returns the sum of all hosts' limits, and of their budgets, in MiB."""
        with ThreadPoolExecutor(AT_ONCE) as pool:
            sums = list(pool.map(self._memory_of, self.dockers.values()))
        return sum(limits for limits, _ in sums), sum(budget for _, budget in sums)

    def _memory_of(self, docker: HostDocker) -> tuple[int, int]:
        config = docker.config()
        groups = self.inventory.variables[docker.host]["group_names"]
        limits = sum(config.limits[part] for part in placement.parts_of(groups))
        return limits, config.memory

    def _containers_of(self, docker: HostDocker) -> list[Container]:
        done = docker.call("compose", "-p", self.cluster.name, "ps", "--all", "--format", "json")
        return own_containers(read_container(row) for row in json_rows(done.stdout)) if done.returncode == 0 else []

    @contextmanager
    def uploaded(self, files: Sequence[Path]) -> Iterator[dict[Path, str]]:
        """Copies files to the client's host for as long as they are needed there."""
        folder = f"{placement.FOLDER}/input-{secrets.token_hex(4)}"
        _asked(self.client.host, self.client.shell(f"mkdir -m 755 {folder}"))
        try:
            places = {path: f"{folder}/{path.name}" for path in files}
            for path, place in places.items():
                self._copy(path, place)
            yield places
        finally:
            _asked(self.client.host, self.client.shell(f"rm -r {folder}"))

    def _copy(self, path: Path, place: str) -> None:
        line = f"cat >{shlex.quote(place)} && chmod 644 {shlex.quote(place)}"
        with path.open("rb") as stream:
            done = subprocess.run(
                self.client.shell(line), stdin=stream, stderr=subprocess.PIPE, check=False, timeout=_COPY_SECONDS
            )
        if done.returncode:
            raise UnreachableError(self.client.host, done.stderr.decode("utf-8", "replace"))


@contextmanager
def open_hosts(path: Path) -> Iterator[HostsCompose]:
    """Opens the way to a cluster's hosts.

    Args:
        path: the inventory.

    Raises:
        UserError: when it names no cluster, or a host does not answer.
    """
    inventory = read_inventory(path)
    client = inventory.members("client")[0]
    docker = dockers(inventory)[client]
    stored = docker.config()
    with _forwarded(docker, inventory.pages()) as local:
        config = replace(stored, ports={**stored.ports, **local})
        here = find_cluster(inventory.name)
        cluster = HostsCluster(here.name, here.repository, here.folder, config, path)
        yield HostsCompose(inventory, cluster, _files(inventory, client))


def read_inventory(path: Path) -> Inventory:
    """Reads an inventory in any form that Ansible knows.

    Raises:
        UserError: when Ansible is missing, cannot read it, or it lacks the cluster's groups.
    """
    program = shutil.which("ansible-inventory", path=str(Path(sys.executable).parent)) or shutil.which(
        "ansible-inventory"
    )
    if program is None:
        raise UserError("Ansible is not installed here: run `make setup-hosts`.")
    if not path.exists():
        raise UserError(f"There is no inventory {path}: copy ansible/inventory.example.yaml and name your hosts there.")
    done = subprocess.run([program, "-i", str(path), "--list"], capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"Ansible cannot read {path}: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
    listed = json.loads(done.stdout)
    members = {group: _members(listed, group) for group in placement.SERVICES}
    known = listed["_meta"]["hostvars"]
    variables = {
        host: {**known.get(host, {}), "group_names": [group for group, hosts in members.items() if host in hosts]}
        for host in dict.fromkeys(host for hosts in members.values() for host in hosts)
    }
    for group in placement.ONE_HOST:
        if not members[group]:
            raise UserError(f"The group {group} of {path} has no host: see ansible/inventory.example.yaml.")
    return Inventory(path, variables)


def ssh_arguments(variables: Mapping[str, Any]) -> list[str]:
    """Returns the ssh command that leads to a host, without what is to run there.

    Args:
        variables: the host's, as the inventory gives them.
    """
    command = ["ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={_CONNECT_SECONDS}"]
    if variables.get("ansible_ssh_private_key_file"):
        command += ["-i", str(variables["ansible_ssh_private_key_file"])]
    if variables.get("ansible_port"):
        command += ["-p", str(variables["ansible_port"])]
    for name in ("ansible_ssh_common_args", "ansible_ssh_extra_args"):
        command += shlex.split(str(variables.get(name) or ""))
    user = f"{variables['ansible_user']}@" if variables.get("ansible_user") else ""
    return [*command, f"{user}{variables.get('ansible_host') or variables['inventory_hostname']}"]


def ssh_command(variables: Mapping[str, Any]) -> str:
    """Returns the same as a line for a shell."""
    return shlex.join(ssh_arguments({name: variables[name] for name in READ if name in variables}))


def dockers(inventory: Inventory) -> dict[str, HostDocker]:
    """Returns the docker client of each host."""
    return {host: HostDocker(host, values) for host, values in inventory.variables.items()}


def _files(inventory: Inventory, client: str) -> list[str]:
    """The Compose files on the client's host: as the roles chose them there, by groups alone."""
    hosts = [
        Host(name, inventory.address(name), 0, 0, frozenset(values["group_names"]))
        for name, values in inventory.variables.items()
    ]
    return placement.compose_files(next(host for host in hosts if host.name == client), hosts)


def _members(listed: Mapping[str, Any], group: str) -> set[str]:
    """The hosts of a group and of the groups below it."""
    entry = listed.get(group, {})
    return set(entry.get("hosts", ())).union(*(_members(listed, child) for child in entry.get("children", ())))


@contextmanager
def _forwarded(docker: HostDocker, pages: Mapping[str, tuple[str, int]]) -> Iterator[dict[str, int]]:
    """Ports of this machine that lead through the client's host to the cluster's pages."""
    local = _free_ports(list(pages))
    # a connection of its own: in one that the user keeps open the ports would outlive this command
    options = ["-N", "-o", "ExitOnForwardFailure=yes", "-o", "ControlPath=none"]
    for name, (address, port) in pages.items():
        options += ["-L", f"{ports.HOST}:{local[name]}:{address}:{port}"]
    process = subprocess.Popen(
        [docker.ssh[0], *options, *docker.ssh[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is for the job: this lasts until that has ended
    )
    try:
        _await_open(docker.host, process, local.values())
        yield local
    finally:
        process.terminate()
        process.communicate()


def _await_open(host: str, process: subprocess.Popen[str], local: Any) -> None:
    end = time.monotonic() + _ANSWER_SECONDS
    for port in local:
        while not _opens(port):
            if process.poll() is not None or time.monotonic() > end:
                process.terminate()
                raise UnreachableError(host, process.communicate()[1] or "")
            time.sleep(_PAUSE)


def _opens(port: int) -> bool:
    try:
        with socket.create_connection((ports.HOST, port), timeout=_CONNECT_SECONDS):
            return True
    except OSError:
        return False


def _free_ports(names: Sequence[str]) -> dict[str, int]:
    probes = {name: socket.socket() for name in names}
    try:
        for probe in probes.values():
            probe.bind((ports.HOST, 0))
        return {name: int(probe.getsockname()[1]) for name, probe in probes.items()}
    finally:
        for probe in probes.values():
            probe.close()


def _archive(texts: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in texts.items():
            content = text.encode("utf-8")
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _asked(host: str, command: Sequence[str], given: bytes = b"") -> str:
    try:
        done = subprocess.run(command, input=given, capture_output=True, check=False, timeout=_ANSWER_SECONDS)
    except subprocess.TimeoutExpired:
        raise UnreachableError(host, f"no answer within {_ANSWER_SECONDS:.0f} s") from None
    if done.returncode:
        raise UnreachableError(host, done.stderr.decode("utf-8", "replace"))
    return done.stdout.decode("utf-8", "replace")
