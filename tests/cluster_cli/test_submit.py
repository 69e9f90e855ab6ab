from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from spark_apps.cluster.compose.project import Compose
from spark_apps.cluster.config import ClusterConfig
from spark_apps.cluster.operations.submit import MARK, NoResourcesError, check_resources, load, submit
from spark_apps.errors import UserError
from spark_apps.platform.spark_master import SparkMaster, SparkWorker
from tests.cluster_cli.fake_docker import FakeDocker, change, master_page, row, serving, worker
from tests.conftest import REPOSITORY
from tests.waiting import PATIENCE, beside, eventually

SIZES = ClusterConfig(executor_memory=1024, worker_cores=2)


def listed(
    cores: int = 2, cores_free: int = 2, memory: int = 2048, memory_free: int = 2048, state: str = "ALIVE"
) -> SparkWorker:
    return SparkWorker("id", "host", state, cores, cores_free, memory, memory_free)


def test_one_worker_with_room_is_enough() -> None:
    check_resources(SparkMaster((listed(cores_free=0), listed())), SIZES)


@pytest.mark.parametrize(
    ("master", "told"),
    [
        (None, "The Spark master does not answer: start it with `shopstream cluster up"),
        (SparkMaster(()), "No Spark worker is registered"),
        (SparkMaster((listed(state="DEAD"), listed(state="DECOMMISSIONED"))), "No Spark worker is registered"),
        (SparkMaster((listed(cores_free=1),), ("shopstream train",)), "All workers are taken by shopstream train"),
        (
            SparkMaster((listed(memory_free=1023), listed(cores_free=0))),
            "add a worker with `shopstream cluster scale worker=3",
        ),
        (
            SparkMaster((listed(memory=512, memory_free=512),)),
            "the largest worker has 512 MiB and 2: run `shopstream cluster up",
        ),
        (SparkMaster((listed(cores=1, cores_free=1),)), "An executor needs 1024 MiB and 2 cores"),
    ],
)
def test_a_job_that_would_wait_for_ever_is_refused(master: SparkMaster | None, told: str) -> None:
    with pytest.raises(NoResourcesError) as refused:
        check_resources(master, SIZES, " --name dev")
    assert told in str(refused.value)
    assert "--name dev" in str(refused.value)


@pytest.fixture
def ready(compose: Compose, docker: FakeDocker) -> Compose:
    """A client that runs."""
    docker.containers(row("client"))
    return compose


def test_a_job_runs_in_the_client_with_its_options_and_exit_code(ready: Compose, docker: FakeDocker) -> None:
    docker.answer("exec -T", "done\n", code=7)
    environment = ready.cluster.config().variables()
    memory, cores = int(environment["SHOPSTREAM_EXECUTOR_MEMORY"][:-1]), int(environment["SHOPSTREAM_WORKER_CORES"])
    with serving(master_page(worker("a", cores=cores, memory=memory))) as port:
        change(ready.cluster, SHOPSTREAM_PORT_SPARK=port)
        assert submit(ready, "train", ["--seed", "7", "--name", "x y"]) == 7
    [arguments] = docker.asked("exec -T")
    assert arguments[-6:] == ["client", "shopstream", "train", "--seed", "7", "--name", "x y"][-6:]
    assert arguments[arguments.index("--env") + 1].startswith(f"{MARK}=")
    assert f"SHOPSTREAM_REPLICATION={environment['SHOPSTREAM_REPLICATION']}" in arguments


def test_files_of_a_job_during_which_a_datanode_left_get_as_many_copies_as_there_can_be(
    ready: Compose, docker: FakeDocker, tmp_path: Path
) -> None:
    change(ready.cluster, SHOPSTREAM_REPLICATION=3)
    told: list[str] = []
    over = tmp_path / "over"
    docker.answer("exec -T", until=over)

    def drain() -> None:
        eventually(lambda: docker.asked("exec -T"), "the job runs")
        change(ready.cluster, SHOPSTREAM_REPLICATION=2)
        over.touch()

    with beside(drain):
        assert submit(ready, "models", ["list"], told.append) == 0
    assert docker.asked("run --rm")[0][-1] == "layout"
    assert told == ["The number of DataNodes changed: files get 2 copies of each block"]


def test_a_job_of_an_unchanged_cluster_is_followed_by_nothing(ready: Compose, docker: FakeDocker) -> None:
    assert submit(ready, "models", ["list"]) == 0
    assert docker.asked("run --rm") == [] and docker.asked("up --detach") == []


def test_nothing_is_submitted_when_no_worker_could_take_it(ready: Compose, docker: FakeDocker) -> None:
    with serving(master_page(worker("a", used=2, memory_used=2048), applications=("stream",))) as port:
        change(ready.cluster, SHOPSTREAM_PORT_SPARK=port, SHOPSTREAM_EXECUTOR_MEMORY="1024m")
        with pytest.raises(NoResourcesError, match="taken by stream"):
            submit(ready, "train", [])
        assert docker.asked("exec") == []
        assert submit(ready, "models", ["list"]) == 0


def test_without_a_client_nothing_is_submitted(compose: Compose, docker: FakeDocker) -> None:
    docker.containers(row("client", state="exited"))
    with pytest.raises(UserError, match="The service client of cluster shopstream is not running"):
        submit(compose, "train", [])


def test_ctrl_c_is_handed_on_to_the_job(ready: Compose, docker: FakeDocker, tmp_path: Path) -> None:
    over = tmp_path / "over"
    docker.answer("^ps --quiet", "abc123\n")
    docker.answer("exec -i abc123", "models\n", makes=over)
    docker.answer("compose .*exec -T", until=over, code=130)

    def interrupt() -> None:
        eventually(lambda: docker.asked("exec -T"), "the job runs")
        os.kill(os.getpid(), signal.SIGINT)

    usual = signal.getsignal(signal.SIGINT)
    with beside(interrupt):
        assert submit(ready, "models", []) == 130  # the job's own end is waited for, and its exit code kept
    [job], [sent] = docker.asked("exec -T"), docker.asked("exec -i abc123")
    assert sent[-2:] == [job[job.index("--env") + 1], str(int(signal.SIGINT))]
    assert signal.getsignal(signal.SIGINT) is usual


def test_ctrl_c_before_the_job_is_there_reaches_it_when_it_is(
    ready: Compose, docker: FakeDocker, tmp_path: Path
) -> None:
    over = tmp_path / "over"
    docker.answer("^ps --quiet", "abc123\n")
    docker.answer("exec -i abc123", "")
    docker.answer("compose .*exec -T", until=over, code=130)

    def interrupt() -> None:
        eventually(lambda: docker.asked("exec -T"), "the job is about to run")
        os.kill(os.getpid(), signal.SIGINT)
        eventually(lambda: len(docker.asked("exec -i abc123")) > 1, "the job is looked for again")
        docker.answer("exec -i abc123", "models\n", makes=over)

    with beside(interrupt):
        assert submit(ready, "models", []) == 130


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the client is Linux")
def test_the_signal_reaches_the_topmost_process_of_a_submission_alone(tmp_path: Path) -> None:
    child = "import time; time.sleep(30)"
    parent = f"import subprocess, sys; sys.exit(subprocess.run([sys.executable, '-c', {child!r}]).returncode)"
    programs = {"one": parent, "two": child}
    own = f"{tmp_path}-"  # a job of another cluster on this machine has a mark too
    for name, source in programs.items():
        (tmp_path / name).write_text(source)
    process, other = (
        subprocess.Popen([sys.executable, tmp_path / name, name], env={**os.environ, MARK: own + name})
        for name in programs
    )
    try:
        [grandchild] = eventually(lambda: children(process.pid), "the child is there")
        assert sorted(signalled(f"{MARK}={own}", 0)) == ["one", "two"]
        assert signalled(f"{MARK}={own}one", int(signal.SIGTERM)) == ["one"]
        assert process.wait(PATIENCE) == -signal.SIGTERM
        assert other.poll() is None
        os.kill(grandchild, signal.SIGKILL)  # it was not signalled: it is still there to be killed
    finally:
        for one in (process, other):
            one.kill()
            one.wait()


def signalled(mark: str, number: int) -> list[str]:
    """The commands, which stand after the program's name, of the processes that were signalled."""
    with (REPOSITORY / "docker" / "programs" / "signal_jobs.py").open("rb") as program:
        done = subprocess.run([sys.executable, "-", mark, str(number)], stdin=program, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_files_are_mounted_read_only_where_they_are(ready: Compose, docker: FakeDocker, tmp_path: Path) -> None:
    files = [tmp_path / "a.csv", tmp_path / "b c.csv"]
    for path in files:
        path.write_text("x")
        path.chmod(0o644)
    assert load(ready, files) == 0
    [arguments] = docker.asked("run --rm")
    assert [arguments[i + 1] for i, word in enumerate(arguments) if word == "--volume"] == [
        f"{files[0]}:/input/a.csv:ro",
        f"{files[1]}:/input/b c.csv:ro",
    ]
    assert arguments[-4:] == ["shopstream", "load", "/input/a.csv", "/input/b c.csv"]


def test_files_that_the_container_could_not_read_are_refused(
    ready: Compose, docker: FakeDocker, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="There is no file"):
        load(ready, [tmp_path / "none.csv"])
    closed = tmp_path / "closed.csv"
    closed.write_text("x")
    closed.chmod(0o600)
    if sys.platform.startswith("linux"):
        with pytest.raises(UserError, match=r"run `chmod o\+r .*closed\.csv`"):
            load(ready, [closed])
    (tmp_path / "more").mkdir()
    twice = [tmp_path / "x.csv", tmp_path / "more" / "x.csv"]
    for path in twice:
        path.write_text("x")
        path.chmod(0o644)
    with pytest.raises(UserError, match=r"Two files are called x\.csv"):
        load(ready, twice)
    assert docker.asked("run --rm") == []
