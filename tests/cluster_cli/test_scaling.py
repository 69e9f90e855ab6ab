from __future__ import annotations

import json
from typing import Any

import pytest

from spark_apps.cluster.compose.project import Compose
from spark_apps.cluster.config import ClusterConfig
from spark_apps.cluster.operations import scaling
from spark_apps.cluster.operations.decommission import recommission
from spark_apps.cluster.operations.replication import lower_replication
from spark_apps.cluster.operations.scaling import (
    CannotDrainError,
    drain,
    find_container,
    parse_counts,
    plan_scaling,
    scale,
)
from spark_apps.cluster.sizing import TooLittleMemoryError
from spark_apps.cluster.state import Cluster
from spark_apps.errors import UserError
from tests.cluster_cli.fake_docker import FakeDocker, change, master_page, namenode_pages, row, serving, worker

SERVERS = (row("namenode"), row("spark-master"))
DATANODES = (row("datanode"), row("datanode", 2), row("datanode", 3))
WORKERS = (row("spark-worker"), row("spark-worker", 2))


def test_counts_are_read() -> None:
    assert parse_counts(["worker=3", "datanode=2"]) == {"worker": 3, "datanode": 2}


@pytest.mark.parametrize("word", ["worker", "worker=", "worker=0", "worker=-1", "namenode=2", "worker=two", "=3"])
def test_other_words_are_refused(word: str) -> None:
    with pytest.raises(UserError, match="use worker=N, datanode=N or both"):
        parse_counts([word])


def test_sizes_stay_where_the_budget_allows(started: Cluster) -> None:
    fewer = plan_scaling(started.config(), {"worker": 1})
    assert not fewer.resized
    assert fewer.added == {"worker": -1, "datanode": 0}
    more = plan_scaling(started.config(), {"worker": 3}, memory="20g")
    assert not more.resized
    assert more.config.variables()["SHOPSTREAM_MEMORY"] == "20480m"


def test_workers_become_smaller_where_it_does_not(started: Cluster) -> None:
    more = plan_scaling(started.config(), {"worker": 3, "datanode": 3})
    assert more.resized
    assert (
        more.config.variables()["SHOPSTREAM_NAMENODE_LIMIT"]
        == started.config().variables()["SHOPSTREAM_NAMENODE_LIMIT"]
    )
    assert more.config.variables()["SHOPSTREAM_REPLICATION"] == "3"
    with pytest.raises(TooLittleMemoryError, match="for 20 workers"):
        plan_scaling(started.config(), {"worker": 20})


def roomy(cluster: Cluster) -> None:
    """A cluster.env whose budget has room for one more of each."""
    change(cluster, SHOPSTREAM_MEMORY="16300m")


def run(compose: Compose, counts: dict[str, int], **more: Any) -> scaling.Scaling:
    return scale(compose, counts, lambda states: None, lambda text: None, 5, **more)


def live(number: int) -> dict[str, Any]:
    return namenode_pages({f"10.0.0.{n}": "In Service" for n in range(1, number + 1)})


def test_more_of_each_leaves_running_containers_alone(compose: Compose, docker: FakeDocker) -> None:
    roomy(compose.cluster)
    docker.containers(*SERVERS, *DATANODES, *WORKERS, row("spark-worker", 3))
    pages = {**live(3), **master_page(worker("a"), worker("b"), worker("c"), applications=("train",))}
    with serving(pages) as port:
        change(compose.cluster, SHOPSTREAM_PORT_HDFS=port, SHOPSTREAM_PORT_SPARK=port)
        assert not run(compose, {"worker": 3, "datanode": 3}).resized
    [call] = docker.asked("up --detach")
    assert call[-4:] == ["--scale=spark-worker=3", "--scale=datanode=3", "spark-worker", "datanode"]
    # without what it depends on, Compose makes other containers of it, which the next `up` would replace
    assert "--no-recreate" in call and "--no-deps" not in call
    assert compose.cluster.config().variables()["SHOPSTREAM_WORKERS"] == "3"
    assert docker.asked("run --rm")[0][-1] == "layout"
    assert docker.asked("rm --stop") == []


def test_a_client_is_made_anew_with_workers_of_another_size(compose: Compose, docker: FakeDocker) -> None:
    docker.containers(*SERVERS, *DATANODES[:2], *WORKERS, row("spark-worker", 3))
    pages = {**live(2), **master_page(worker("a"), worker("b"), worker("c"))}
    with serving(pages) as port:
        change(compose.cluster, SHOPSTREAM_PORT_HDFS=port, SHOPSTREAM_PORT_SPARK=port)
        assert run(compose, {"worker": 3}).resized
    [removed], [started] = docker.asked("rm --stop"), docker.asked("up --detach")
    assert removed[-2:] == ["spark-worker", "client"] and started[-1] == "client"


def test_workers_are_not_restarted_under_a_job(compose: Compose, docker: FakeDocker) -> None:
    docker.containers(*SERVERS, *DATANODES[:2], *WORKERS)
    docker.answer("^ps --quiet", "abc123\n")
    docker.answer("exec -i abc123", "train\n")
    before = compose.cluster.config()
    with pytest.raises(UserError, match=r"while train runs: .* or give --memory \d+m"):
        run(compose, {"worker": 3})
    assert docker.asked("up --detach") == docker.asked("rm --stop") == []
    assert compose.cluster.config() == before


def test_more_memory_than_docker_has_is_refused(compose: Compose, docker: FakeDocker) -> None:
    with pytest.raises(UserError, match="Docker has 16384 MiB and --memory asks for 40960"):
        run(compose, {"worker": 3}, memory="40g")


def test_containers_are_found_by_name_number_or_id(compose: Compose, docker: FakeDocker) -> None:
    docker.containers(*DATANODES, *WORKERS)
    second = DATANODES[1]
    for which in ("2", second["Name"], second["ID"][:8]):
        assert find_container(compose, "datanode", which).name == second["Name"]
    with pytest.raises(UserError, match="There is no worker 9: choose one of shopstream-spark-worker-1, "):
        find_container(compose, "worker", "9")


@pytest.fixture
def three(compose: Compose, docker: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> Compose:
    """Three DataNodes, two workers; the second of each is at 10.0.0.2."""
    monkeypatch.setattr(scaling, "_POLL_SECONDS", 0.01)
    change(compose.cluster, SHOPSTREAM_DATANODES=3, SHOPSTREAM_REPLICATION=3, SHOPSTREAM_MEMORY="16000m")
    docker.containers(*SERVERS, *DATANODES, *WORKERS)
    docker.answer("^inspect", "10.0.0.2 abcdef123456\n")
    return compose


def test_a_datanode_is_emptied_before_it_is_stopped(three: Compose, docker: FakeDocker) -> None:
    docker.answer("^exec -i .* sh -s$", "pipe:[1]\n/var/lib/hdfs/2/lock\nsocket:[2]\n")
    pages = namenode_pages({"10.0.0.1": "In Service", "10.0.0.2": "In Service", "10.0.0.3": "In Service"})
    told: list[str] = []

    def tell(text: str) -> None:
        told.append(text)
        if len(told) == 3:
            assert docker.asked("^stop") == [] and docker.asked("stop " + DATANODES[1]["ID"]) == []
            pages.update(
                namenode_pages({"10.0.0.1": "In Service", "10.0.0.2": "Decommissioned", "10.0.0.3": "In Service"})
            )

    with serving(pages) as port:
        change(three.cluster, SHOPSTREAM_PORT_HDFS=port)
        drain(three, "datanode", "2", tell, 5)
    words = [" ".join(call) for call in docker.asked()]
    order = [
        "-setrep -R 2 /",
        "add /var/lib/hdfs/exclude 10.0.0.2:9866",
        "stop ",
        "rm --volumes",
        "rm -r -- /var/lib/hdfs/2",
    ]
    places = [next(i for i, call in enumerate(words) if word in call) for word in order]
    assert places == sorted(places)
    # it stays excluded: the NameNode would count it as dead
    assert sum("/var/lib/hdfs/exclude" in word for word in words) == 1
    assert not [word for word in words if "up --detach" in word]  # the client of a running job is left alone
    assert "-setrep -R 2 /" in words[-1]  # of files that were written meanwhile
    assert three.cluster.config().variables()["SHOPSTREAM_DATANODES"] == "2"
    assert three.cluster.config().variables()["SHOPSTREAM_REPLICATION"] == "2"


GONE = "setrep: File hdfs://namenode:8020/data/temp/publish/x/_temporary/attempt_1 does not exist.\n"
GONE_FOLDER = "setrep: `/data/temp/publish/x/_temporary': No such file or directory\n"


@pytest.mark.parametrize("vanished", [GONE, f"WARN something\n{GONE}{GONE_FOLDER}"])
def test_what_a_running_job_takes_away_meanwhile_is_no_failure(
    three: Compose, docker: FakeDocker, vanished: str
) -> None:
    docker.answer("-setrep", err=vanished, code=1)
    lower_replication(three, ClusterConfig(replication=3), ClusterConfig(replication=2), lambda text: None)
    assert len(docker.asked("-setrep -R 2 /")) == 1


@pytest.mark.parametrize("fault", [f"{GONE}setrep: Permission denied: user=hdfs\n", "Connection refused\n", ""])
def test_copies_that_cannot_be_set_are_a_failure(three: Compose, docker: FakeDocker, fault: str) -> None:
    docker.answer("-setrep", err=fault, code=1)
    with pytest.raises(UserError, match="setrep -R 2 /` failed"):
        lower_replication(three, ClusterConfig(replication=3), ClusterConfig(replication=2), lambda text: None)


def test_a_datanode_at_the_address_of_a_former_one_is_known_by_its_name(three: Compose, docker: FakeDocker) -> None:
    mine = "10.0.0.2:40001"
    pages = namenode_pages({"former": "Decommissioned", "abcdef123456": "Decommissioned"})
    info = pages["/jmx?qry=Hadoop:service=NameNode,name=NameNodeInfo"]["beans"][0]
    for name, address in (("former", "10.0.0.2:40000"), ("abcdef123456", mine)):
        info["LiveNodes"] = info["LiveNodes"].replace(f'"xferaddr": "{name}:9866"', f'"xferaddr": "{address}"')
    with serving(pages) as port:
        change(three.cluster, SHOPSTREAM_PORT_HDFS=port)
        drain(three, "datanode", "2", lambda text: None, 5)
    [written] = docker.asked("/var/lib/hdfs/exclude")
    assert written[-3:] == ["add", "/var/lib/hdfs/exclude", mine]


@pytest.fixture
def cut_short(three: Compose) -> dict[str, Any]:
    """The second DataNode runs and is decommissioned; a former one, which is gone, is so too."""
    states = {
        DATANODES[0]["ID"][:12]: "In Service",
        DATANODES[1]["ID"][:12]: "Decommissioned",
        "gone": "Decommissioned",
    }
    return namenode_pages(states)


def test_a_drain_that_was_cut_short_is_taken_back(
    three: Compose, docker: FakeDocker, cut_short: dict[str, Any]
) -> None:
    told: list[str] = []
    with serving(cut_short) as port:
        change(three.cluster, SHOPSTREAM_PORT_HDFS=port)
        recommission(three, told.append)
    assert told == [f"Recommissioning DataNodes whose drain was interrupted: {DATANODES[1]['ID'][:12]}"]
    [written] = docker.asked("/var/lib/hdfs/exclude")
    assert written[-3:] == ["remove", "/var/lib/hdfs/exclude", f"{DATANODES[1]['ID'][:12]}:9866"]
    assert docker.asked("run --rm")[0][-1] == "layout"


def test_who_is_drained_and_gone_stays_excluded(three: Compose, docker: FakeDocker) -> None:
    with serving(namenode_pages({"gone": "Decommissioned"})) as port:
        change(three.cluster, SHOPSTREAM_PORT_HDFS=port)
        recommission(three, lambda text: None)
    assert docker.asked("exec") == []


def test_a_datanode_that_keeps_blocks_is_not_stopped(three: Compose, docker: FakeDocker) -> None:
    with serving(namenode_pages({"10.0.0.2": "Decommission In Progress"})) as port:
        change(three.cluster, SHOPSTREAM_PORT_HDFS=port)
        with pytest.raises(CannotDrainError, match="still holds blocks that no other DataNode has"):
            drain(three, "datanode", "2", lambda text: None, 0.1)
    assert docker.asked("stop") == []
    assert three.cluster.config().variables()["SHOPSTREAM_DATANODES"] == "3"


@pytest.mark.parametrize(
    ("pages", "told"),
    [
        ({}, "The NameNode does not answer"),
        (namenode_pages({"10.0.0.2": "In Service"}, safe_mode="Safe mode is ON"), "HDFS is in safe mode"),
        (namenode_pages({"10.0.0.1": "In Service"}), "does not list shopstream-datanode-2 as live"),
        (namenode_pages({"10.0.0.2": "In Service"}, missing=4), "4 blocks have no copy at all"),
    ],
)
def test_a_datanode_is_not_drained_from_an_hdfs_in_trouble(
    three: Compose, docker: FakeDocker, pages: dict[str, Any], told: str
) -> None:
    with serving(pages) as port:
        change(three.cluster, SHOPSTREAM_PORT_HDFS=port)
        with pytest.raises(CannotDrainError, match=told):
            drain(three, "datanode", "2", lambda text: None, 1)
    assert docker.asked("exec") == []


def test_the_last_of_a_kind_is_not_drained(compose: Compose, docker: FakeDocker) -> None:
    change(compose.cluster, SHOPSTREAM_WORKERS=1)
    docker.containers(WORKERS[0])
    with pytest.raises(CannotDrainError, match="is the only worker: add another one first"):
        drain(compose, "worker", "1", lambda text: None, 1)


def test_a_worker_ends_its_tasks_before_it_is_stopped(three: Compose, docker: FakeDocker) -> None:
    # the master counts a decommissioned worker's cores as used for ever
    pages = master_page(worker("10.0.0.1"), worker("abcdef123456", used=2))
    docker.answer("python -$", "2\n")
    at_work = iter(["1\n", "0\n"])

    def tell(text: str) -> None:
        assert docker.asked("stop") == []
        pages.update(master_page(worker("10.0.0.1"), worker("abcdef123456", used=2, state="DECOMMISSIONED")))
        docker.answer("python -$", next(at_work))

    with serving(pages) as port:
        change(three.cluster, SHOPSTREAM_PORT_SPARK=port)
        drain(three, "worker", "2", tell, 5)
    second = WORKERS[1]["ID"]
    words = [" ".join(call) for call in docker.asked(second)]
    assert [word.split()[0] for word in words] == ["inspect", "kill", "exec", "exec", "exec", "stop", "rm"]
    assert "--signal PWR" in words[1]
    assert three.cluster.config().variables()["SHOPSTREAM_WORKERS"] == "1"


def test_a_worker_with_a_long_task_is_left_running(three: Compose, docker: FakeDocker) -> None:
    docker.answer("python -$", "1\n")
    with serving(master_page(worker("10.0.0.2", used=1, state="DECOMMISSIONED"))) as port:
        change(three.cluster, SHOPSTREAM_PORT_SPARK=port)
        with pytest.raises(CannotDrainError, match="still runs tasks after"):
            drain(three, "worker", "2", lambda text: None, 0.1)
    assert docker.asked("stop") == []
    assert json.dumps(three.cluster.config().variables()["SHOPSTREAM_WORKERS"]) == '"2"'
