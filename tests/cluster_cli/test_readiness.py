from __future__ import annotations

import pytest

from spark_apps.cluster.compose.project import Compose
from spark_apps.cluster.config import ClusterConfig
from spark_apps.cluster.health import readiness, web
from spark_apps.cluster.health.readiness import NotReadyError, ServiceState, expected_counts, states, wait_until_ready
from spark_apps.cluster.health.remedies import remedy_for
from spark_apps.cluster.state import Cluster
from tests.cluster_cli.fake_docker import FakeDocker, change, master_page, namenode_pages, row, serving, worker

SERVICES = ("namenode", "datanode", "spark-master", "spark-worker", "layout")
UP = (
    row("namenode", health="healthy"),
    row("datanode"),
    row("datanode", 2),
    row("spark-master"),
    row("layout", state="exited"),
)
WORKERS = (row("spark-worker"), row("spark-worker", 2))


def look(compose: Compose) -> dict[str, ServiceState]:
    environment = compose.cluster.config()
    expected = expected_counts(SERVICES, environment)
    return {one.name: one for one in states(expected, compose.containers(), environment)}


def unused(cluster: Cluster) -> None:
    """Ports on which nothing answers."""
    change(cluster, SHOPSTREAM_PORT_HDFS=1, SHOPSTREAM_PORT_SPARK=1, SHOPSTREAM_PORT_HISTORY=1)


def test_counts_follow_the_environment() -> None:
    config = ClusterConfig(workers=4, datanodes=3)
    counts = expected_counts(["namenode", "datanode", "spark-worker"], config)
    assert counts == {"namenode": 1, "datanode": 3, "spark-worker": 4}


def test_containers_that_are_up_are_not_enough(compose: Compose, docker: FakeDocker) -> None:
    docker.containers(*UP, *WORKERS)
    unused(compose.cluster)
    seen = look(compose)
    assert {name for name, one in seen.items() if one.ready} == {"layout"}
    assert seen["namenode"].detail == "does not answer yet"
    assert seen["spark-worker"].detail == "0 of 2 registered"


def test_a_cluster_is_ready_when_its_servers_say_so(compose: Compose, docker: FakeDocker) -> None:
    docker.containers(*UP, *WORKERS)
    pages = {**namenode_pages({"10.0.0.1": "In Service"}, "Safe mode is ON"), **master_page(worker("a"))}
    with serving(pages) as port:
        change(compose.cluster, SHOPSTREAM_PORT_HDFS=port, SHOPSTREAM_PORT_SPARK=port)
        seen = look(compose)
        assert (seen["namenode"].ready, seen["namenode"].detail) == (False, "in safe mode")
        assert (seen["datanode"].ready, seen["datanode"].detail) == (False, "1 of 2 live")
        assert (seen["spark-worker"].ready, seen["spark-worker"].detail) == (False, "1 of 2 registered")
        pages |= namenode_pages({"10.0.0.1": "In Service", "10.0.0.2": "In Service"})
        pages |= master_page(worker("a"), worker("b"), worker("c", state="DEAD"))
        assert all(one.ready for one in look(compose).values())


def test_a_drained_datanode_is_neither_live_nor_dead(compose: Compose, docker: FakeDocker) -> None:
    docker.containers(*UP, *WORKERS)
    two = {"10.0.0.1": "In Service", "10.0.0.2": "Decommission In Progress"}
    pages = {**namenode_pages({**two, "10.0.0.3": "Decommissioned"}, dead=2, drained=2), **master_page()}
    with serving(pages) as port:
        change(compose.cluster, SHOPSTREAM_PORT_HDFS=port, SHOPSTREAM_PORT_SPARK=port)
        seen = look(compose)["datanode"]
        assert (seen.ready, seen.detail) == (True, "2 of 2 live")
        found = web.namenode(compose.cluster.config())
        assert found is not None and (found.live, found.dead) == (2, 0)
        pages |= namenode_pages({"10.0.0.1": "In Service", "10.0.0.2": "Decommissioned"}, dead=2, drained=1)
        seen = look(compose)["datanode"]
        assert (seen.ready, seen.detail) == (False, "1 of 2 live, 1 drained")
        found = web.namenode(compose.cluster.config())
        assert found is not None and found.dead == 1


def test_what_is_not_there_yet_is_said(compose: Compose, docker: FakeDocker) -> None:
    docker.containers(row("namenode", health="starting"), row("spark-worker"), row("layout"))
    seen = look(compose)
    assert seen["namenode"].detail == "starting"
    assert seen["spark-worker"].detail == "1 of 2 up"
    assert seen["datanode"].detail == "not there yet"
    assert seen["layout"].detail == "at work"


def wait(compose: Compose, starting: bool = True, seconds: float = 5) -> list[list[ServiceState]]:
    told: list[list[ServiceState]] = []
    expected = expected_counts(SERVICES, compose.cluster.config())
    wait_until_ready(compose, expected, told.append, lambda: starting, seconds)
    return told


@pytest.fixture(autouse=True)
def _no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_GRACE_SECONDS", 0.0)
    monkeypatch.setattr(readiness, "_ENDED_GRACE_SECONDS", 0.0)
    monkeypatch.setattr(readiness, "_POLL_SECONDS", 0.01)


def test_the_wait_ends_when_all_is_ready(compose: Compose, docker: FakeDocker) -> None:
    docker.containers(*UP, *WORKERS)
    live = {"10.0.0.1": "In Service", "10.0.0.2": "In Service"}
    with serving({**namenode_pages(live), **master_page(worker("a"), worker("b"))}) as port:
        change(compose.cluster, SHOPSTREAM_PORT_HDFS=port, SHOPSTREAM_PORT_SPARK=port)
        assert len(wait(compose, starting=False)) == 1


def test_containers_about_to_be_replaced_are_not_taken_for_ready(compose: Compose, docker: FakeDocker) -> None:
    docker.containers(row("client"), row("layout", state="exited"))
    told: list[list[ServiceState]] = []
    starting = iter([True, True, False])
    fitting = iter([False, False, False, True])
    expected = {"client": 1, "layout": 1}
    wait_until_ready(compose, expected, told.append, lambda: next(starting, False), 5, lambda one: next(fitting, True))
    assert [[one.ready for one in look] for look in told] == [[False, False], [False, True], [True, True]]


def test_the_wait_lasts_until_compose_is_done(compose: Compose, docker: FakeDocker) -> None:
    docker.containers(row("client"))
    starting = iter([True, True, False])
    told: list[list[ServiceState]] = []
    wait_until_ready(compose, {"client": 1}, told.append, lambda: next(starting), 5)
    assert len(told) == 3


def test_a_service_that_ends_is_named_with_its_log_and_remedy(compose: Compose, docker: FakeDocker) -> None:
    docker.containers(*UP[:1], row("datanode", state="exited", ExitCode=1))
    docker.answer(r"logs .* datanode$", "line 1\nIncompatible clusterIDs in /var/lib/hdfs: namenode CID-1\n")
    with pytest.raises(NotReadyError) as failed:
        wait(compose)
    assert failed.value.service == "datanode"
    assert failed.value.lines[-1].startswith("Incompatible clusterIDs")
    assert str(failed.value).startswith("The service datanode ended with exit code 1: a volume is left from another")


def test_the_error_before_a_restart_is_shown_rather_than_the_start_after_it(
    compose: Compose, docker: FakeDocker
) -> None:
    said = [f"INFO line {number}" for number in range(50)]
    said += ["\x1b[2KERROR Incompatible clusterIDs", *(f"INFO starting again {number}" for number in range(100))]
    docker.answer(r"logs .* datanode$", "\n".join(said))
    shown = readiness.last_lines(compose, "datanode")
    assert len(shown) == readiness.LOG_LINES
    assert shown[5] == "ERROR Incompatible clusterIDs"
    docker.answer(r"logs .* datanode$", "\n".join(said[:50]))
    assert readiness.last_lines(compose, "datanode") == said[35:50]


def test_a_one_shot_is_blamed_before_those_that_wait_for_it(compose: Compose, docker: FakeDocker) -> None:
    docker.containers(row("client", state="exited", ExitCode=1), row("layout", state="exited", ExitCode=2))
    with pytest.raises(NotReadyError, match="The service layout ended with exit code 2"):
        wait(compose)


def test_a_restarting_service_is_forgiven_for_a_while(
    compose: Compose, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readiness, "_GRACE_SECONDS", 60.0)
    docker.containers(*UP, row("spark-worker", state="restarting", ExitCode=1))
    with pytest.raises(NotReadyError, match="The service spark-worker keeps ending"):
        wait(compose, seconds=0.3)  # late, and then the one that fails is named
    monkeypatch.setattr(readiness, "_GRACE_SECONDS", 0.0)
    with pytest.raises(NotReadyError, match="The service spark-worker keeps ending"):
        wait(compose)


def test_a_service_that_is_started_again_and_again_is_named_while_it_looks_alive(
    compose: Compose, docker: FakeDocker
) -> None:
    starting = row("datanode", health="starting")
    docker.containers(row("namenode", health="healthy"), starting)
    docker.answer("^inspect", f"{starting['ID']}{'0' * 48} 3\n")
    docker.answer("logs .* datanode$", "ERROR Incompatible clusterIDs\n")
    with pytest.raises(NotReadyError, match="datanode keeps ending and being restarted: a volume is left"):
        wait(compose)


def test_a_service_that_is_late_is_named(compose: Compose, docker: FakeDocker) -> None:
    docker.containers(*UP, *WORKERS)
    unused(compose.cluster)
    with pytest.raises(NotReadyError, match=r"The service namenode is not ready after 0 s \(does not answer yet\)"):
        wait(compose, seconds=0.1)


def test_a_service_that_compose_left_out_is_named(compose: Compose, docker: FakeDocker) -> None:
    docker.containers(*UP)
    with pytest.raises(NotReadyError, match="The service spark-worker was not started"):
        wait(compose, starting=False)


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("java.io.IOException: Incompatible clusterIDs in /var/lib/hdfs", "left from another cluster"),
        ("java.lang.OutOfMemoryError: Java heap space", "more memory"),
        ("Bind for 127.0.0.1:8080 failed: port is already allocated", "--port-offset"),
        ("java.net.BindException: Address already in use", "--port-offset"),
        ("write /var: no space left on device".replace("no", "No"), "disk is full"),
        ("ssl.SSLCertVerificationError: CERTIFICATE_VERIFY_FAILED", "docker/ca-certificates"),
        ("tls: failed to verify certificate: x509: certificate signed by unknown authority", "docker/ca-certificates"),
        ("Error response from daemon: pull access denied for influxdb", "INFLUXDB_IMAGE"),
        ("lookup registry-1.docker.io on 1.1.1.1:53: no such host", "INFLUXDB_IMAGE"),
        ("toomanyrequests: You have reached your pull rate limit", "docker login"),
        ("/bin/sh^M: bad interpreter", "Windows line ends"),
        ("mkdir: cannot create directory: Permission denied", "another user"),
        ("Name node is in safe mode", "datanode"),
        ("java.net.UnknownHostException: namenode", "status"),
        ("something else", "shopstream cluster doctor"),
    ],
)
def test_each_known_cause_has_its_remedy(said: str, remedy: str) -> None:
    assert remedy in remedy_for(f"earlier line\n{said}")


def test_a_container_killed_for_memory_is_known_by_its_exit_code() -> None:
    assert "more memory" in remedy_for("nothing special", 137)
