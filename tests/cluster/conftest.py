"""One real cluster for all tests in this folder, brought up by the command that users type."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import requests
from pyspark.sql import SparkSession

from spark_apps.generator import GeneratorSpec, write_events
from spark_apps.jobs import clean, load, train
from spark_apps.settings import Settings
from spark_apps.tables import DateRange, Table, read_table
from tests.conftest import sample_file

REPOSITORY = Path(__file__).resolve().parents[2]
NAME = os.environ.get("SHOPSTREAM_TEST_CLUSTER", "shopstream-test")
MEMORY = os.environ.get("SHOPSTREAM_TEST_MEMORY", "9g")
PORT_OFFSET = 2000
# set in CI: there a missing engine is a failure, elsewhere a reason to skip
ENGINE_REQUIRED = bool(os.environ.get("SHOPSTREAM_REQUIRE_ENGINE"))
KEEP_CLUSTER = bool(os.environ.get("SHOPSTREAM_KEEP_CLUSTER"))
PATIENCE = 240.0
PAUSE = 0.5

# Run by the client's Python: the Parquet files of one table as one Arrow stream on standard output.
_DUMP = """
import sys
import pyarrow as pa, pyarrow.parquet as pq
from spark_apps.settings import load_settings, table_root
root = table_root(load_settings())
folder, partition = root / sys.argv[1], sys.argv[2]
tables = []
for path in sorted(folder.rglob("*.parquet"), key=str):
    with path.open("rb") as stream:
        table = pq.ParquetFile(stream).read()
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
class RunningCluster:
    """A cluster as its user sees it, and as a test has to look into it."""

    name: str

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts a shopstream command against this cluster."""
        command = [sys.executable, "-m", "spark_apps", *_with_name(arguments, self.name)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY)

    def shopstream(self, *arguments: str, code: int = 0, timeout: float = 900) -> str:
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

    def containers(self, service: str) -> list[str]:
        """Returns the ids of a service's running containers."""
        labels = (f"com.docker.compose.project={self.name}", f"com.docker.compose.service={service}")
        filters = [part for label in labels for part in ("--filter", f"label={label}")]
        return sorted(docker("ps", "-q", "--no-trunc", *filters).split())

    def run_in(self, service: str, *command: str, user: str | None = None) -> str:
        """Runs a command in the first container of a service and returns its output."""
        as_user = ["--user", user] if user else []
        return docker("exec", *as_user, self.containers(service)[0], *command)

    def names_in(self, folder: str) -> list[str]:
        """Returns the names in a folder below the root on HDFS, none where it is not there; cheap enough to poll."""
        url = f"http://127.0.0.1:{9870 + PORT_OFFSET}/webhdfs/v1/data/{folder}"
        answer = requests.get(url, params={"op": "LISTSTATUS", "user.name": "spark"}, timeout=30)
        if answer.status_code == 404:
            return []
        assert answer.ok, answer.text
        return [entry["pathSuffix"] for entry in answer.json()["FileStatuses"]["FileStatus"]]

    def rows(self, table: Table, *order: str) -> list[dict[str, Any]]:
        """Returns a table's rows on the cluster's HDFS, sorted by columns."""
        client = self.containers("client")[0]
        command = ["docker", "exec", client, "python", "-c", _DUMP, table.path, table.partition or ""]
        done = subprocess.run(command, capture_output=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr.decode()[-2000:]
        if not done.stdout:
            return []
        found = pa.ipc.open_stream(io.BytesIO(done.stdout)).read_all()
        return found.sort_by([(name, "ascending") for name in order]).to_pylist()


def docker(*arguments: str, timeout: float = 120) -> str:
    """Runs a docker command and returns its output."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=timeout)
    assert done.returncode == 0, f"docker {' '.join(arguments)}: {done.stderr[-2000:]}"
    return done.stdout


def eventually(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Waits until a condition holds and returns its value."""
    deadline = time.monotonic() + patience
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {patience:.0f} s"
        time.sleep(PAUSE)
    return value


def _with_name(arguments: Sequence[str], name: str) -> list[str]:
    if arguments[0] == "submit":
        return ["submit", "--name", name, *arguments[1:]]
    return [*arguments, "--name", name]


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
def cluster(engine: None) -> Iterator[RunningCluster]:
    """Two DataNodes and two workers, with InfluxDB and Grafana."""
    made = RunningCluster(NAME)
    sizes = ("--memory", MEMORY, "--workers", "2", "--datanodes", "2", "--port-offset", str(PORT_OFFSET))
    left_over = docker("volume", "ls", "-q", "--filter", f"label=com.docker.compose.project={NAME}")
    if left_over and not KEEP_CLUSTER:
        made.shopstream("cluster", "destroy", "--yes", timeout=300)  # of a killed run: its rows are not ours
    try:
        made.shopstream("cluster", "up", "--build", *sizes, timeout=2400)  # of this code, not of an earlier one
        yield made
    finally:
        if not KEEP_CLUSTER:
            made.shopstream("cluster", "destroy", "--yes", timeout=300)


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
def local_root(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, log: Path) -> Path:
    """The same rows, cleaned and trained on one machine."""
    root = tmp_path_factory.mktemp("local")
    load.run(root, [log])
    clean.run(spark, root, DateRange())
    train.run(spark, Settings(root=str(root)), root, DateRange(), "5")
    return root


def local_rows(spark: SparkSession, root: Path, table: Table, *order: str) -> list[dict[str, Any]]:
    """Returns the rows of a table on this machine, sorted by columns."""
    return read_table(spark, root, table).toArrow().sort_by([(name, "ascending") for name in order]).to_pylist()
