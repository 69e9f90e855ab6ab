"""One real cluster for all tests in this folder, brought up by the command that users type.

Or one that runs on several hosts already: SHOPSTREAM_INVENTORY names its inventory, and testinfra's Ansible back end
gets to the hosts. Files of tests that start, stop or grow a cluster on this machine are not for such a one.
"""

from __future__ import annotations

import atexit
import fcntl
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import requests
import testinfra
from testinfra.backend.base import BaseBackend, CommandResult
from testinfra.host import Host
from testinfra.utils.ansible_runner import AnsibleRunner

from spark_apps.generator import GeneratorSpec, write_events
from spark_apps.tables import Table
from tests import waiting
from tests.cluster.reference_run import TRAINED, ReferenceRun, started
from tests.cluster.sizes import EVENTS
from tests.conftest import sample_file
from tests.factory import read_published
from tests.java import FIRST_COMPILER
from tests.waiting import T

REPOSITORY = Path(__file__).resolve().parents[2]
NAME = os.environ.get("SHOPSTREAM_TEST_CLUSTER", "shopstream-test")
MEMORY = os.environ.get("SHOPSTREAM_TEST_MEMORY", "9g")
PORT_OFFSET = 2000
# set in CI: there a missing engine is a failure, elsewhere a reason to skip
ENGINE_REQUIRED = bool(os.environ.get("SHOPSTREAM_REQUIRE_ENGINE"))
KEEP_CLUSTER = bool(os.environ.get("SHOPSTREAM_KEEP_CLUSTER"))
# of a cluster on several hosts, which is there already
INVENTORY = os.environ.get("SHOPSTREAM_INVENTORY")
# for a machine of two cores that others use too
PATIENCE = 600.0
_PAUSE_SECONDS = 0.5  # a look is a command in a container
THIS_MACHINE = testinfra.get_host("local://")
# groups of an inventory whose hosts run a service; any other runs on those of `monitoring`
GROUPS = {
    "namenode": "namenode",
    "datanode": "datanodes",
    "spark-master": "spark_master",
    "history-server": "spark_master",
    "spark-worker": "spark_workers",
    "client": "client",
}

# Run by the client's Python: the names in a folder below the root.
_NAMES = """
import json, os, sys, urllib.error, urllib.request
url = f"{os.environ['SHOPSTREAM_WEBHDFS']}/webhdfs/v1/data/{sys.argv[1]}?op=LISTSTATUS&user.name=spark"
try:
    found = json.load(urllib.request.urlopen(url, timeout=30))["FileStatuses"]["FileStatus"]
except urllib.error.HTTPError as error:
    if error.code != 404:
        raise
    found = []
for entry in found:
    print(entry["pathSuffix"])
"""
# Run by the client's Python: the Parquet files of one table as one Arrow stream on standard output.
_DUMP = """
import sys
import pyarrow as pa
from spark_apps.settings import load_settings, table_root
from spark_apps.storage import open_parquet
root = table_root(load_settings())
folder, partition = root / sys.argv[1], sys.argv[2]
tables = []
for path in sorted(folder.rglob("*.parquet"), key=str):
    table = open_parquet(path).read()
    if partition:
        value = path.parent.name.removeprefix(partition + "=")
        table = table.append_column(partition, pa.array([value] * len(table)))
    tables.append(table)
if not tables:
    sys.exit()  # a table without a row has no file
whole = pa.concat_tables(tables)
with pa.ipc.new_stream(sys.stdout.buffer, whole.schema) as writer:
    writer.write_table(whole)
"""


@dataclass(frozen=True)
class Container:
    """A running container on one of a cluster's machines."""

    id: str
    machine: Host = field(compare=False, repr=False)

    def docker(self, command: str, *arguments: str) -> str:
        """Runs a docker command on it and returns its output."""
        return docker(command, self.id, *arguments, machine=self.machine)

    def run(self, *command: str, user: str | None = None) -> str:
        """Runs a command in it and returns its output."""
        as_user = ["--user", user] if user else []
        return docker("exec", *as_user, self.id, *command, machine=self.machine)

    @property
    def host(self) -> Host:
        """What testinfra sees inside of it."""
        return Host(_Inside(self))


class _Inside(BaseBackend):
    """testinfra's back end for containers, on whatever machine they run."""

    NAME = "docker"

    def __init__(self, container: Container) -> None:
        super().__init__(container.id)
        self._container = container

    def run(self, command: str, *args: str, **kwargs: Any) -> CommandResult:
        inner = self.get_command(command, *args)
        return self._container.machine.run("docker exec %s /bin/sh -c %s", self._container.id, inner)


@dataclass(frozen=True)
class RunningCluster:
    """A cluster as its user sees it, and as a test has to look into it."""

    name: str
    inventory: str | None = None

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts a shopstream command against this cluster."""
        command = [sys.executable, "-m", "spark_apps", *self._addressed(arguments)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY)

    def shopstream(self, *arguments: str, code: int = 0, timeout: float = 1800) -> str:
        """Runs a shopstream command against this cluster and returns its output."""
        process = self.start(*arguments)
        output, errors = process.communicate(timeout=timeout)
        assert process.returncode == code, (
            f"{arguments} ended with {process.returncode}:\n{output[-2000:]}{errors[-4000:]}"
        )
        return output if code == 0 else output + errors

    def status(self) -> dict[str, Any]:
        """Returns what `cluster status --json` prints; its exit code is 1 while a service is not ready."""
        process = self.start("cluster", "status", "--json")
        output, errors = process.communicate(timeout=120)
        assert process.returncode in (0, 1), errors[-2000:]
        found: dict[str, Any] = json.loads(output)
        return found

    def containers(self, service: str) -> list[Container]:
        """Returns a service's running containers."""
        labels = (f"com.docker.compose.project={self.name}", f"com.docker.compose.service={service}")
        listing = ("ps", "-q", "--no-trunc", *(part for label in labels for part in ("--filter", f"label={label}")))
        return [
            Container(one, machine)
            for machine in self.machines(service)
            for one in sorted(docker(*listing, machine=machine).split())
        ]

    def machines(self, service: str) -> list[Host]:
        """Returns where a service runs."""
        if self.inventory is None:
            return [THIS_MACHINE]
        runner = _runner(self.inventory, Path(self.inventory).stat().st_mtime_ns)
        found = runner.get_hosts(GROUPS.get(service, "monitoring"))
        return [runner.get_host(host, ssh_config=_ssh_config()) for host in found]

    def run_in(self, service: str, *command: str, user: str | None = None) -> str:
        """Runs a command in the first container of a service and returns its output."""
        return self.containers(service)[0].run(*command, user=user)

    def names_in(self, folder: str) -> list[str]:
        """Returns the names in a folder below the root on HDFS, none where it is not there; cheap on one host."""
        if self.inventory:
            return self.run_in("client", "python", "-c", _NAMES, folder).splitlines()
        url = f"http://127.0.0.1:{9870 + PORT_OFFSET}/webhdfs/v1/data/{folder}"
        answer = requests.get(url, params={"op": "LISTSTATUS", "user.name": "spark"}, timeout=30)
        if answer.status_code == 404:
            return []
        assert answer.ok, answer.text
        return [entry["pathSuffix"] for entry in answer.json()["FileStatuses"]["FileStatus"]]

    @property
    def secrets(self) -> Path:
        """The folder of its secrets on this machine."""
        return REPOSITORY / ".cluster" / self.name / "secrets"

    def rows(self, table: Table, *order: str) -> list[dict[str, Any]]:
        """Returns a table's rows on the cluster's HDFS, sorted by columns."""
        found = self.arrow(table)
        return found.sort_by([(name, "ascending") for name in order]).to_pylist() if found else []

    def arrow(self, table: Table) -> pa.Table | None:
        """Returns a table on the cluster's HDFS, or None where it has no row."""
        client = self.containers("client")[0]
        words = ("docker", "exec", client.id, "python", "-c", _DUMP, table.path, table.partition or "")
        done = run_on(client.machine, *words)
        return pa.ipc.open_stream(io.BytesIO(done.stdout_bytes)).read_all() if done.stdout_bytes else None

    def _addressed(self, arguments: Sequence[str]) -> list[str]:
        """A command with the option that says which cluster is meant."""
        option = ("--inventory", self.inventory) if self.inventory else ("--name", self.name)
        if arguments[0] == "submit":
            return ["submit", *option, *arguments[1:]]
        return [*arguments, *option]


def docker(*arguments: str, machine: Host = THIS_MACHINE) -> str:
    """Runs a docker command on a machine and returns its output."""
    found: str = run_on(machine, "docker", *arguments).stdout
    return found


def run_on(machine: Host, *command: str) -> CommandResult:
    """Runs a command on a machine; one that fails fails the test."""
    done = machine.run(" ".join(["%s"] * len(command)), *command)
    assert done.rc == 0, f"{' '.join(command)[:400]}: {done.stderr[-2000:]}"
    return done


def eventually(condition: Callable[[], T], what: str, patience: float = PATIENCE) -> T:
    """Waits as long as a cluster may take until a condition holds, and returns its value."""
    return waiting.eventually(condition, what, patience, _PAUSE_SECONDS)


def _engine_fault() -> str | None:
    try:
        done = subprocess.run(["docker", "info"], capture_output=True, text=True, check=False, timeout=60)
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        return f"no Docker engine: {error}"
    return None if done.returncode == 0 else f"no Docker engine: {done.stderr.strip().splitlines()[-1:]}"


@pytest.fixture(scope="session")
def engine() -> None:
    """A Docker engine, without which these tests are skipped, or in CI fail."""
    fault = _engine_fault()
    if fault and ENGINE_REQUIRED:
        pytest.fail(fault)
    if fault:
        pytest.skip(fault)


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[RunningCluster]:
    """Two DataNodes and two workers, with InfluxDB and Grafana; or what runs on the hosts of an inventory."""
    if INVENTORY:
        yield cluster_of(Path(INVENTORY))
    else:
        request.getfixturevalue("engine")
        with _alone():
            yield from _made_here()


def cluster_of(inventory: Path) -> RunningCluster:
    """Returns the cluster on the hosts of an inventory."""
    runner = _runner(str(inventory), inventory.stat().st_mtime_ns)
    (first,) = runner.get_hosts("namenode")
    return RunningCluster(runner.get_variables(first).get("shopstream_name", "shopstream"), str(inventory.absolute()))


@lru_cache
def _runner(inventory: str, changed: int) -> AnsibleRunner:
    """testinfra's way to the hosts of an inventory, read again where the file has changed since."""
    ansible = str(Path(sys.executable).parent)
    if ansible not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([ansible, os.environ["PATH"]])  # testinfra calls ansible-inventory
    return AnsibleRunner(inventory)


@lru_cache
def _ssh_config() -> str:
    """A configuration of ssh with which one connection to a host serves many commands; the user's own is in it."""
    folder = tempfile.TemporaryDirectory(prefix="shopstream-")
    atexit.register(folder.cleanup)
    path = Path(folder.name) / "config"
    lines = ("Include ~/.ssh/config", "Host *", f"ControlPath {folder.name}/%C", "ServerAliveInterval 5")
    path.write_text("\n".join(lines), encoding="utf-8")
    return str(path)


@contextmanager
def _alone() -> Iterator[None]:
    """One test run has the cluster at a time: a second one would begin by destroying that of the first."""
    folder = REPOSITORY / ".cluster"
    folder.mkdir(exist_ok=True)
    with (folder / f"{NAME}.tests.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pytest.fail(f"Another test run uses the cluster {NAME}: wait for it, or set SHOPSTREAM_TEST_CLUSTER.")
        yield


def _made_here() -> Iterator[RunningCluster]:
    made = RunningCluster(NAME)
    sizes = ("--memory", MEMORY, "--workers", "2", "--datanodes", "2", "--port-offset", str(PORT_OFFSET))
    if not KEEP_CLUSTER:
        remove_left_over(made)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SHOPSTREAM_JAVA_OPTIONS", FIRST_COMPILER)
            made.shopstream("cluster", "up", "--build", *sizes, timeout=2400)  # of this code, not of an earlier one
        yield made
    finally:
        if not KEEP_CLUSTER:
            made.shopstream("cluster", "destroy", "--yes", timeout=300)


def remove_left_over(cluster: RunningCluster) -> None:
    """Removes what a killed run left, of this copy or another: its rows are not ours."""
    if docker("volume", "ls", "-q", "--filter", f"label=com.docker.compose.project={cluster.name}"):
        cluster.shopstream("cluster", "destroy", "--yes", timeout=300)


@pytest.fixture(scope="session")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real sample, or as many generated events where it is not to be had."""
    path = sample_file() or tmp_path_factory.mktemp("log") / "synthetic.csv"
    if not path.exists():
        write_events(GeneratorSpec(4_999, "2019-10", 11), path)
    return path


@pytest.fixture(scope="session")
def loaded(cluster: RunningCluster, log: Path) -> RunningCluster:
    """The cluster with the log landed and cleaned."""
    cluster.shopstream("cluster", "load", str(log))
    cluster.shopstream("submit", "clean")
    return cluster


@pytest.fixture(scope="session")
def trained(loaded: RunningCluster) -> RunningCluster:
    """The same with its models and lists."""
    loaded.shopstream("submit", "train")
    return loaded


@pytest.fixture(scope="session")
def november(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The log of November that is streamed."""
    path = tmp_path_factory.mktemp("november") / "november.csv"
    write_events(GeneratorSpec(EVENTS, "2019-11", 11), path)
    return path


@pytest.fixture(scope="session")
def reference_run(log: Path, november: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ReferenceRun]:
    """Both logs on one machine; under way since the first who asked for it."""
    run = started(log, november, tmp_path_factory.mktemp("undisturbed"))
    try:
        yield run
    finally:
        run.process.terminate()
        run.process.communicate()


@pytest.fixture(scope="session")
def local_root(reference_run: ReferenceRun) -> Path:
    """The same rows, cleaned and trained on one machine."""
    return reference_run.root(TRAINED)


def local_rows(root: Path, table: Table, *order: str) -> list[dict[str, Any]]:
    """Returns the rows of a table on this machine, sorted by columns."""
    return read_published(root, table).sort_by([(name, "ascending") for name in order]).to_pylist()
