from __future__ import annotations

import json
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from spark_apps.cli import main
from spark_apps.cluster.compose import build_inputs
from spark_apps.cluster.compose.docker import find_docker
from spark_apps.cluster.compose.project import Compose
from spark_apps.cluster.config import ClusterConfig
from spark_apps.cluster.health import doctor, readiness
from spark_apps.cluster.health.readiness import NotReadyError
from spark_apps.cluster.operations import lifecycle
from spark_apps.cluster.operations.lifecycle import UpOptions, decide, destroy, down, unchanged, up
from spark_apps.cluster.operations.recreation import DesiredState
from spark_apps.cluster.secrets import NAMES, make_secrets
from spark_apps.cluster.state import Cluster
from spark_apps.commands import cluster as commands
from spark_apps.errors import UserError
from spark_apps.platform.http import OtherAnswerError, get_json
from tests.cluster_cli.fake_docker import INFO, FakeDocker, row, serving

NO_OPTIONS = UpOptions()


def test_without_options_the_host_decides(cluster: Cluster) -> None:
    values = decide(NO_OPTIONS, cluster, ClusterConfig(), INFO, {}).variables()
    assert values["SHOPSTREAM_MEMORY"] == "13108m"  # four fifths of 16 GiB
    assert (values["SHOPSTREAM_WORKERS"], values["SHOPSTREAM_DATANODES"]) == ("2", "2")
    assert values["SHOPSTREAM_WORKER_CORES"] == "2"
    assert values["SHOPSTREAM_PORT_HDFS"] == "9870"
    assert values["SHOPSTREAM_SECRETS"] == str(cluster.secrets)
    assert values["SHOPSTREAM_MONITORING"] == "1"


def test_options_are_remembered(cluster: Cluster) -> None:
    options = UpOptions(memory="10g", workers=3, datanodes=1, port_offset=200, monitoring=False)
    given = {"SHOPSTREAM_TAG": "ci", "INFLUXDB_IMAGE": "local/influx:1", "SHOPSTREAM_JAVA_OPTIONS": "-Xss4m -da"}
    first = decide(options, cluster, ClusterConfig(), INFO, given)
    assert decide(NO_OPTIONS, cluster, first, INFO, {}) == first
    assert first.variables()["SHOPSTREAM_JAVA_OPTIONS"] == "-Xss4m -da"
    assert first.variables()["SHOPSTREAM_PORT_SPARK"] == "8280"
    assert first.variables()["INFLUXDB_IMAGE"] == "local/influx:1" and first.variables()["SHOPSTREAM_TAG"] == "ci"
    assert "SHOPSTREAM_GRAFANA_LIMIT" not in first.variables()


def test_sizes_stay_until_what_they_follow_from_changes(cluster: Cluster) -> None:
    first = decide(NO_OPTIONS, cluster, ClusterConfig(), INFO, {})
    scaled = replace(first, workers=1)  # as after `scale worker=1`, which keeps each one's size
    again = decide(NO_OPTIONS, cluster, scaled, INFO, {})
    assert again == scaled
    larger = decide(UpOptions(memory="14g"), cluster, scaled, INFO, {})
    assert larger.variables()["SHOPSTREAM_WORKER_LIMIT"] != scaled.variables()["SHOPSTREAM_WORKER_LIMIT"]


def test_single_ports_come_from_the_environment_and_stay(cluster: Cluster) -> None:
    first = decide(NO_OPTIONS, cluster, ClusterConfig(), INFO, {"SHOPSTREAM_PORT_GRAFANA": "3333"})
    assert first.variables()["SHOPSTREAM_PORT_GRAFANA"] == "3333"
    assert decide(NO_OPTIONS, cluster, first, INFO, {}).variables()["SHOPSTREAM_PORT_GRAFANA"] == "3333"
    assert decide(UpOptions(port_offset=100), cluster, first, INFO, {}).variables()["SHOPSTREAM_PORT_GRAFANA"] == "3100"


@pytest.fixture
def running(compose: Compose, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> Compose:
    """A cluster of two services that are up; what the checks look at is in order."""
    monkeypatch.setattr(doctor.ports, "taken", lambda numbers: [])
    monkeypatch.setattr(readiness, "_POLL_SECONDS", 0.01)
    docker.answer("config --services", "client\nsecrets\n")
    docker.answer("config --images", "shopstream/spark:dev\n")
    docker.answer("config --hash", "client 111\nsecrets 222\n")
    docker.services("client", "secrets", "platform-metrics")
    docker.answer("image inspect --format {{.Id}}", "sha256:aaa\n")
    inputs = build_inputs.of("shopstream/spark:dev", compose.cluster.repository)
    docker.answer("image inspect --format {{.Size}}", f"1000 {json.dumps({build_inputs.LABEL: inputs})}\n")
    docker.containers(labelled("client"), labelled("secrets", state="exited"))
    return compose


def labelled(service: str, config: str | None = None, image: str = "sha256:aaa", **more: Any) -> dict[str, Any]:
    config = config or {"client": "111", "secrets": "222"}[service]
    labels = f"com.docker.compose.config-hash={config},com.docker.compose.image={image}"
    return row(service, Labels=labels, **more)


def bring_up(compose: Compose, **more: Any) -> bool:
    return up(compose, compose.cluster.config(), 5, lambda states: None, **more)


def test_a_second_up_changes_nothing(running: Compose, docker: FakeDocker) -> None:
    make_secrets(running.cluster.secrets)
    stamp = running.cluster.env_file.stat().st_mtime_ns
    assert bring_up(running) is False
    assert docker.asked("up --detach") == []
    assert docker.asked(" build") == []
    assert running.cluster.env_file.stat().st_mtime_ns == stamp


@pytest.mark.parametrize(
    "rows",
    [
        [labelled("client")],
        [labelled("client"), labelled("secrets", state="exited", ExitCode=1)],
        [labelled("client", config="999"), labelled("secrets", state="exited")],
        [labelled("client", image="sha256:old"), labelled("secrets", state="exited")],
        # so a container names its image when the name stands for one that was built since
        [labelled("client", image="sha256:old", Image="sha256:old"), labelled("secrets", state="exited")],
        [labelled("client"), labelled("client"), labelled("secrets", state="exited")],
    ],
)
def test_what_differs_is_seen(running: Compose, docker: FakeDocker, rows: list[dict[str, Any]]) -> None:
    expected = {"client": 1, "secrets": 1}
    desired = DesiredState(running)
    assert unchanged(running, expected, desired)
    docker.containers(*rows)
    assert not unchanged(running, expected, desired)


def test_the_first_up_makes_secrets_and_starts_everything(running: Compose, docker: FakeDocker) -> None:
    docker.answer("config --hash", "client 333\nsecrets 222\n")
    assert bring_up(running) is True
    assert len(list(running.cluster.secrets.iterdir())) == len(NAMES)
    [arguments] = docker.asked("up --detach")
    assert {"--scale=datanode=2", "--scale=spark-worker=2", "--remove-orphans"} <= set(arguments)


@pytest.mark.parametrize(("jobs", "ends"), [("stream\n", True), ("", False)])
def test_a_client_in_which_a_job_runs_is_not_replaced(
    running: Compose, docker: FakeDocker, jobs: str, ends: bool
) -> None:
    docker.answer("^ps --quiet", "abc123\n")
    docker.answer("exec -i abc123", jobs)
    before = running.cluster.config()
    wished = replace(before, limits={**before.limits, "CLIENT": 2000})
    docker.answer("config --hash", "client 333\nsecrets 222\n")
    if ends:
        with pytest.raises(UserError, match="while stream runs in it"):
            up(running, wished, 5, lambda states: None)
    else:
        docker.containers(labelled("client", "333"), labelled("secrets", state="exited"))
        assert up(running, wished, 5, lambda states: None)
    assert running.cluster.config() == (before if ends else wished)
    assert bool(docker.asked("up --detach")) is not ends


def test_a_client_of_an_image_that_was_built_anew_is_not_replaced_under_a_job(
    running: Compose, docker: FakeDocker
) -> None:
    docker.answer("^ps --quiet", "abc123\n")
    docker.answer("exec -i abc123", "stream\n")
    docker.answer("image inspect --format {{.Id}} sha256:old", "sha256:old\n")
    docker.containers(labelled("client", image="sha256:old", Image="sha256:old"), labelled("secrets", state="exited"))
    with pytest.raises(UserError, match="while stream runs in it"):
        bring_up(running)
    assert not docker.asked("up --detach")


def test_a_lost_worker_is_started_again_while_a_job_runs(running: Compose, docker: FakeDocker) -> None:
    docker.answer("^ps --quiet", "abc123\n")
    docker.answer("exec -i abc123", "stream\n")
    docker.answer("config --services", "client\nsecrets\nplatform-metrics\n")
    docker.containers(labelled("client"), labelled("secrets", state="exited"))
    docker.answer("config --hash", "client 111\nsecrets 222\nplatform-metrics 333\n")
    docker.answer("up --detach", "Started\n")
    told: list[object] = []

    def report(states: list[readiness.ServiceState]) -> None:
        told.append(states)
        docker.containers(
            labelled("client"), labelled("secrets", state="exited"), labelled("platform-metrics", config="333")
        )

    assert up(running, running.cluster.config(), 60, report)
    assert told and docker.asked("up --detach")


def test_no_secret_is_ever_in_an_argument_or_the_environment(running: Compose, docker: FakeDocker) -> None:
    docker.answer("config --hash", "client 333\nsecrets 222\n")
    bring_up(running)
    values = [(running.cluster.secrets / name).read_text() for name in NAMES]
    said = json.dumps([docker.asked(), docker.environments(), running.cluster.config().variables()])
    assert not [value for value in values if value in said]


def test_missing_images_are_built_and_others_fetched(running: Compose, docker: FakeDocker) -> None:
    docker.answer("config --images", "shopstream/spark:dev\ninfluxdb:2.7\n")
    docker.answer("image inspect --format {{.Size}} .* shopstream", err="No such image", code=1)
    docker.answer("image inspect --format {{.Size}} .* influxdb", err="No such image", code=1)
    docker.answer("^pull", err="Error response from daemon: pull access denied", code=1)
    told: list[str] = []
    with pytest.raises(UserError, match=r"influxdb:2\.7 cannot be pulled: .*INFLUXDB_IMAGE"):
        bring_up(running, announce=told.append)
    assert told == ["Building images", "Downloading influxdb:2.7"]


def test_a_failed_build_shows_its_last_lines(running: Compose, docker: FakeDocker) -> None:
    docker.answer("compose .* build", "step 1\nERROR: x509: certificate signed by unknown authority\n", code=1)
    with pytest.raises(NotReadyError, match=r"The service build failed .*docker/ca-certificates") as failed:
        bring_up(running, rebuild=True)
    assert failed.value.lines[0] == "step 1"


def test_a_port_that_docker_refuses_is_told(running: Compose, docker: FakeDocker) -> None:
    docker.containers(row("client", state="created"))
    said = "Container shopstream-client-1  Starting\nError response from daemon: driver failed programming external "
    docker.answer(
        "up --detach", err=f"{said}connectivity: Bind for 127.0.0.1:8080 failed: port is already allocated\n", code=1
    )
    with pytest.raises(NotReadyError, match="could not be started: a port is taken"):
        bring_up(running)


def test_a_dependency_that_fails_is_named_with_its_own_log(running: Compose, docker: FakeDocker) -> None:
    docker.containers(labelled("client", state="created"), labelled("secrets", state="exited", ExitCode=2))
    docker.answer("up --detach", err='service "secrets" didn\'t complete successfully: exit 2\n', code=1)
    docker.answer("logs .* secrets$", "secret spark_auth is missing or empty on the host\n")
    with pytest.raises(NotReadyError, match="The service secrets ended with exit code 2") as failed:
        bring_up(running)
    assert failed.value.lines == ["secret spark_auth is missing or empty on the host"]


def test_a_service_that_compose_blames_is_named_although_it_starts_again(running: Compose, docker: FakeDocker) -> None:
    docker.containers(row("datanode", health="starting"))
    docker.answer(
        "up --detach", err="dependency failed to start: container shopstream-datanode-1 is unhealthy\n", code=1
    )
    docker.answer("logs .* datanode$", "java.io.IOException: Incompatible clusterIDs\n")
    docker.answer("config --hash", "client 333\nsecrets 222\n")
    with pytest.raises(NotReadyError, match="The service datanode could not be started: a volume is left") as failed:
        bring_up(running)
    assert failed.value.lines == ["java.io.IOException: Incompatible clusterIDs"]


def test_a_compose_that_does_not_heed_is_ended(running: Compose, docker: FakeDocker, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import signal, time; signal.signal(15, signal.SIG_IGN); print(1, flush=True); time.sleep(60)",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline()
    lifecycle._END_SECONDS, before = 0.2, lifecycle._END_SECONDS
    try:
        lifecycle._end(process)
    finally:
        lifecycle._END_SECONDS = before
    assert process.poll() is not None


def test_a_failed_preflight_leaves_nothing_behind(
    docker: FakeDocker, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor.ports, "taken", lambda numbers: [8080])
    environment = decide(NO_OPTIONS, cluster, ClusterConfig(), INFO, {})
    with pytest.raises(doctor.PreflightError, match="8080"):
        up(Compose(find_docker(), cluster), environment, 5, lambda states: None)
    assert not cluster.folder.exists()


def test_down_keeps_volumes_and_destroy_does_not(compose: Compose, docker: FakeDocker) -> None:
    down(compose)
    assert "--volumes" not in docker.asked(" down")[0]
    assert compose.cluster.env_file.exists()
    docker.answer("^volume ls", "shopstream_grafana-data\n")
    destroy(compose)
    assert docker.asked("volume rm") == [["volume", "rm", "shopstream_grafana-data"]]
    assert "--volumes" in docker.asked(" down")[1]
    assert not compose.cluster.folder.exists()


def test_a_cluster_whose_state_folder_is_gone_can_be_removed(
    compose: Compose, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(compose.cluster.folder)
    monkeypatch.setattr(commands, "find_cluster", lambda name: compose.cluster)
    docker.answer("^volume ls", "shopstream_grafana-data\n")
    done = CliRunner().invoke(main, ["cluster", "destroy", "--yes"])
    assert (done.exit_code, docker.asked("volume rm")) == (0, [["volume", "rm", "shopstream_grafana-data"]])
    assert docker.asked(" down") == [["compose", "-p", "shopstream", "down", "--volumes", "--remove-orphans"]]


def test_where_nothing_is_left_there_is_nothing_to_remove(
    docker: FakeDocker, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "find_cluster", lambda name: cluster)
    done = CliRunner().invoke(main, ["cluster", "destroy", "--yes"])
    assert (done.exit_code, docker.asked("down")) == (2, [])
    assert "There is no cluster shopstream here" in done.stderr


def test_a_destroy_that_fails_keeps_the_state(compose: Compose, docker: FakeDocker) -> None:
    docker.answer(" down", err="volume is in use", code=1)
    with pytest.raises(UserError, match="volume is in use"):
        destroy(compose)
    assert compose.cluster.env_file.exists()


def test_a_page_that_serves_is_asked_without_a_proxy(
    monkeypatch: pytest.MonkeyPatch, started: Cluster, tmp_path: Path
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with serving({"/health": {"status": "pass"}}) as port:
        assert get_json(f"http://127.0.0.1:{port}/health") == {"status": "pass"}
        with pytest.raises(OtherAnswerError, match="404"):
            get_json(f"http://127.0.0.1:{port}/other")
    assert lifecycle.log_file(started).parent == started.folder


def test_an_image_of_other_code_is_built_again(running: Compose, docker: FakeDocker) -> None:
    source = running.cluster.repository / "spark_apps" / "new.py"
    source.parent.mkdir()
    source.write_text("ANSWER = 42\n")
    told: list[str] = []
    assert bring_up(running, announce=told.append) is True
    assert told == ["Built from other code: shopstream/spark:dev", "Building images"]
    labels = build_inputs.variables(running.cluster.repository)
    [built] = [environment for words, environment in docker.calls() if words[-1] == "build"]
    assert labels.items() <= built.items()
    assert docker.asked("image prune") == [["image", "prune", "--force", "--filter", "label=shopstream.inputs"]]


def test_two_destroys_at_once_are_one(compose: Compose, docker: FakeDocker) -> None:
    docker.answer(" down", seconds=0.5)
    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(destroy, compose) for _ in range(2)]:
            done.result()
    assert len(docker.asked(" down")) == 1
    assert not compose.cluster.folder.exists()
