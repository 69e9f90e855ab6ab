"""The programs that containers read on their standard input, run by this machine's own shell and Python."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from spark_apps.cluster.compose.docker import find_docker
from spark_apps.cluster.state import REPOSITORY
from tests.cluster_cli.fake_docker import FakeDocker, serving, worker

PROGRAMS = REPOSITORY / "docker" / "programs"


def run(program: str, interpreter: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    with (PROGRAMS / program).open("rb") as stream:
        return subprocess.run(
            interpreter,
            stdin=stream,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def hdfs(tmp_path: Path) -> Path:
    """A folder with an `hdfs` command that writes down its arguments and the list that it would read."""
    program = tmp_path / "hdfs"
    program.write_text(f'#!/bin/sh\n{{ echo "$@"; cat {tmp_path}/exclude; }} >>{tmp_path}/calls\n')
    program.chmod(0o755)
    return tmp_path


def change_list(hdfs: Path, action: str, *entries: str) -> str:
    path = f"{hdfs}{os.pathsep}{os.environ['PATH']}"
    done = run("exclude.sh", ["sh", "-s", "--", action, str(hdfs / "exclude"), *entries], PATH=path)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize(
    ("before", "action", "entries", "after"),
    [
        (None, "add", ["b:1"], ["b:1"]),
        (["a:1"], "add", ["b:1"], ["a:1", "b:1"]),
        (["a:1", "b:1"], "remove", ["b:1"], ["a:1"]),
        (["a:1", "b:1"], "remove", ["b:1", "a:1"], []),
        (["a:10", "b:1"], "remove", ["a:1", "b:1"], ["a:10"]),
    ],
)
def test_the_list_of_excluded_datanodes_changes_and_is_read(
    hdfs: Path, before: list[str] | None, action: str, entries: list[str], after: list[str]
) -> None:
    if before is not None:
        (hdfs / "exclude").write_text("".join(f"{one}\n" for one in before))
    assert change_list(hdfs, action, *entries) == "changed\n"
    assert (hdfs / "exclude").read_text().split() == after
    assert (hdfs / "calls").read_text().split() == ["dfsadmin", "-refreshNodes", *after]


@pytest.mark.parametrize(("action", "entry"), [("add", "a:1"), ("remove", "b:1")])
def test_a_list_that_stays_is_not_read_again(hdfs: Path, action: str, entry: str) -> None:
    (hdfs / "exclude").write_text("a:1\n")
    assert change_list(hdfs, action, entry) == ""
    assert not (hdfs / "calls").exists()


def test_a_list_that_was_written_and_not_read_is_read(hdfs: Path) -> None:
    (hdfs / "hdfs").write_text("#!/bin/sh\nexit 1\n")
    path = f"{hdfs}{os.pathsep}{os.environ['PATH']}"
    arguments = ["sh", "-s", "--", "add", str(hdfs / "exclude"), "a:1"]
    assert run("exclude.sh", arguments, PATH=path).returncode == 1
    (hdfs / "hdfs").write_text(f'#!/bin/sh\necho "$@" >{hdfs}/calls\n')
    assert change_list(hdfs, "add", "a:1") == ""
    assert (hdfs / "calls").read_text() == "dfsadmin -refreshNodes\n"
    assert not (hdfs / "exclude.unread").exists()


def test_folders_on_volumes(tmp_path: Path) -> None:
    name = tmp_path / "c_namenode" / "name"
    (name / "current").mkdir(parents=True)
    (name / "current" / "VERSION").write_text("namespaceID=1\nclusterID=CID-1\nstorageType=NAME_NODE\n")
    done = run("server_folders.sh", ["sh", "-s", "--", str(tmp_path)])
    uid = os.getuid()
    assert done.stdout.splitlines() == [
        f"{uid}|{name.parent}||",
        f"{uid}|{name}|CID-1|NAME_NODE",
        f"{uid}|{name / 'current'}||",
    ]


def test_an_open_file_is_among_those_of_this_machine(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w"):
        assert str(tmp_path / "lock") in run("datanode_lock.sh", ["sh", "-s"]).stdout.splitlines()


def test_cores_of_a_worker_s_executors() -> None:
    """The worker's port is fixed in a container: here the same text asks a free one."""
    with serving({"/json/": worker("a", cores=4, used=3)}) as port:
        text = (PROGRAMS / "worker_cores.py").read_text().replace(":8081", f":{port}")
        done = subprocess.run([sys.executable, "-"], input=text, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "3\n"


def test_docker_hands_a_program_over(docker: FakeDocker) -> None:
    program = Path(docker.folder / "docker")
    program.write_text("#!/bin/sh\ncat\n")
    assert find_docker().ask("exec", program="worker_cores.py") == (PROGRAMS / "worker_cores.py").read_text()
    assert find_docker().ask("exec") == ""
