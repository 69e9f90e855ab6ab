"""One command makes a cluster of bare hosts, and run again changes nothing."""

from __future__ import annotations

from tests.cluster.conftest import RunningCluster
from tests.hosts.playbooks import Run, play
from tests.hosts.standin import StandIns

SERVICES = ("namenode", "datanode", "spark-master", "spark-worker", "history-server", "client", "influxdb", "grafana")


def test_one_command_makes_a_cluster_of_bare_hosts(hosts: StandIns, site: Run, cluster: RunningCluster) -> None:
    print(f"site.yaml on {len(hosts.addresses())} bare hosts: {site.seconds:.0f} s")
    assert site.recap.keys() >= hosts.addresses().keys()
    seen = cluster.status()
    assert seen["ready"]
    assert seen["hdfs"]["live"] == len(hosts.addresses()) and not seen["hdfs"]["safe_mode"]
    alive = [worker for worker in seen["spark"]["workers"] if worker["state"] == "ALIVE"]
    assert len(alive) == len(hosts.addresses()) - 1


def test_a_second_run_changes_nothing(hosts: StandIns, cluster: RunningCluster) -> None:
    before = {service: cluster.containers(service) for service in SERVICES}
    again = play("site", hosts.inventory)
    print(f"site.yaml once more: {again.seconds:.0f} s")
    assert again.changes == []
    changed = {host: again.recap[host]["changed"] for host in hosts.addresses()}
    assert changed == dict.fromkeys(hosts.addresses(), 0)
    assert {service: cluster.containers(service) for service in SERVICES} == before


def test_no_secret_is_told(site: Run, cluster: RunningCluster) -> None:
    secrets = {path.name: path.read_text(encoding="utf-8").strip() for path in cluster.secrets.iterdir()}
    assert secrets and all(len(value) >= 16 for value in secrets.values())
    assert not [name for name, value in secrets.items() if value in site.output]


def test_doctor_finds_nothing(cluster: RunningCluster) -> None:
    cluster.shopstream("cluster", "doctor")


def test_logs_of_a_service_are_read_from_every_host_that_runs_it(hosts: StandIns, cluster: RunningCluster) -> None:
    lines = cluster.shopstream("cluster", "logs", "datanode", "--tail", "3").splitlines()
    assert {line.partition(": ")[0] for line in lines} == set(hosts.addresses())
    assert len(lines) == 3 * len(hosts.addresses())


def test_hosts_keep_secrets_to_root(hosts: StandIns, cluster: RunningCluster) -> None:
    for host in hosts.addresses():
        listed = hosts.inside(host, "sh", "-c", "stat -c '%a %U' /opt/shopstream/secrets /opt/shopstream/secrets/*")
        assert set(listed.splitlines()) == {"700 root", "600 root"}
