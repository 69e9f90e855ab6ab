"""A run of the playbooks names the jobs that it would end, before anything is written on the client's host."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from spark_apps.cluster.compose.project import HASH_LABEL, IMAGE_LABEL
from spark_apps.cluster.hosts import client_jobs
from spark_apps.cluster.hosts.client_jobs import Request, jobs_at_risk
from tests.cluster_cli.fake_docker import FakeDocker, row

IMAGE = "shopstream/spark:dev"
REQUEST = Request(
    host="head",
    variables={"ansible_host": "10.0.0.1", "group_names": ["client"]},
    name="shopstream",
    settings="SHOPSTREAM_EXECUTOR_MEMORY=900m\n",
    files=["compose/cluster.yaml", "compose/disks.yaml"],
    disks_file="{}",
)
# stands for ssh: it runs the line here, and keeps what a folder holds that is to be removed
SSH = """#!/bin/sh
for line; do :; done
case "$line" in
"rm -r "*) cp -r "${{line#rm -r }}" {kept} ;;
esac
exec sh -c "$line"
"""


def inspected(made: str = "now") -> str:
    return json.dumps([{"RepoTags": [IMAGE], "Created": made, "RootFS": {"Layers": ["sha256:1"]}, "Config": {}}])


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """What Compose was given on the host."""
    return tmp_path / "kept"


@pytest.fixture
def host(docker: FakeDocker, kept: Path) -> FakeDocker:
    """A host in whose client a stream runs; engine and controller have the same image."""
    program = docker.folder / "ssh"
    program.write_text(SSH.format(kept=kept))
    program.chmod(0o755)
    docker.answer("^ps --quiet", "abc123\n")
    docker.answer("exec -i abc123", "stream\n")
    docker.answer("image inspect --format", "sha256:now\n")
    docker.answer("^image inspect shopstream", inspected())
    docker.answer("config --hash", "client 111\n")
    docker.services("client")
    docker.containers(client("111"))
    return docker


def client(config: str, image: str = "sha256:now", **more: Any) -> dict[str, Any]:
    return row("client", Labels=f"{HASH_LABEL}={config},{IMAGE_LABEL}={image}", **more)


def test_a_client_that_is_as_it_shall_be_keeps_its_jobs(host: FakeDocker) -> None:
    assert jobs_at_risk(REQUEST) == []


def test_new_settings_would_end_the_job(host: FakeDocker, kept: Path) -> None:
    host.answer("config --hash", "client 222\n")
    assert jobs_at_risk(REQUEST) == ["stream"]
    [asked] = host.asked("config --hash")
    folder = Path(asked[asked.index("--env-file") + 1]).parent
    assert not folder.exists()
    assert asked[asked.index("--project-directory") + 1] == "/opt/shopstream"
    assert (kept / "cluster.env").read_text() == REQUEST.settings
    assert (kept / "compose" / "cluster.yaml").is_file() and (kept / "compose" / "disks.yaml").read_text() == "{}"


def test_an_image_that_was_handed_over_would_end_the_job(host: FakeDocker) -> None:
    host.containers(client("111", "sha256:before", Image="sha256:before"))
    host.answer("image inspect --format {{.Id}} sha256:before", "sha256:before\n")
    assert jobs_at_risk(REQUEST) == ["stream"]


def test_an_image_that_is_to_be_handed_over_would_end_the_job(
    host: FakeDocker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "controller"
    folder.mkdir()
    controller = FakeDocker(folder)
    controller.answer("^image inspect", inspected("later"))
    monkeypatch.setenv("SHOPSTREAM_DOCKER", str(folder / "docker"))
    assert jobs_at_risk(REQUEST) == ["stream"]


def test_a_client_without_a_job_is_asked_nothing_more(host: FakeDocker) -> None:
    host.answer("exec -i abc123", "")
    host.answer("config --hash", "client 222\n")
    assert jobs_at_risk(REQUEST) == []
    assert not host.asked("config")


def test_ansible_reads_the_jobs_line_by_line(
    host: FakeDocker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    host.answer("exec -i abc123", "stream\nsimulate\n")
    host.answer("config --hash", "client 222\n")
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(asdict(REQUEST))))
    assert client_jobs.main() == 0
    assert capsys.readouterr().out.splitlines() == ["stream", "simulate"]


def test_a_host_that_does_not_answer_is_an_error(
    host: FakeDocker, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    host.answer("^ps --quiet", err="ssh: connect to host 10.0.0.1 port 22: No route to host", code=255)
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(asdict(replace(REQUEST, host="away")))))
    assert client_jobs.main() == 2
    assert "No route to host" in capsys.readouterr().err
