"""What runs on each of several hosts, and that its sizes follow the rule of one host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from spark_apps.cluster.config import ClusterConfig
from spark_apps.cluster.hosts import host_facts, remote
from spark_apps.cluster.hosts.placement import (
    DATA_DISKS,
    SERVICES,
    Host,
    compose_files,
    configs,
    disks_file,
    read_hosts,
    secrets_of,
)
from spark_apps.cluster.hosts.remote import ssh_arguments, ssh_command
from spark_apps.cluster.ports import listening
from spark_apps.cluster.sizing import MIB, TooLittleMemoryError, default_budget, make_plan
from spark_apps.errors import UserError
from tests.conftest import REPOSITORY

HEAD = ["namenode", "spark_master", "monitoring", "client"]
DATA = ["datanodes", "spark_workers"]


def host(groups: list[str], number: int = 1, memory: str = "6g", cores: int = 2, **more: Any) -> dict[str, Any]:
    place = {"ansible_host": f"10.0.0.{number}", "shopstream_memory": memory, "shopstream_cores": cores}
    return {**place, "group_names": groups, **more}


def three(**more: Any) -> dict[str, dict[str, Any]]:
    return {"head": host(HEAD, 1), "a": host(DATA, 2, **more), "b": host(DATA, 3)}


def settings(hosts: list[Host]) -> dict[str, dict[str, str]]:
    """What cluster.env holds on each host."""
    return {name: config.variables() for name, config in configs(hosts).items()}


def megabytes(environment: dict[str, str], *names: str) -> int:
    return sum(int(environment[f"SHOPSTREAM_{name}"].removesuffix("m")) for name in names)


@pytest.mark.parametrize("budget", [6400, 9000, 12 * 1024, 64 * 1024])
@pytest.mark.parametrize("cores", [1, 2, 16])
@pytest.mark.parametrize("monitoring", [True, False])
def test_one_host_with_everything_gets_what_compose_gets_on_one_host(budget: int, cores: int, monitoring: bool) -> None:
    groups = [*HEAD, *DATA] if monitoring else [group for group in (*HEAD, *DATA) if group != "monitoring"]
    (written,) = settings(read_hosts({"only": host(groups, memory=f"{budget}m", cores=cores)})).values()
    alone = ClusterConfig(monitoring=monitoring).with_plan(make_plan(budget, 1, 1, cores, monitoring)).variables()
    assert {name: written[name] for name in alone} == alone


def test_no_host_goes_beyond_its_budget() -> None:
    for memory in ("4600m", "7g", "29g", "64g"):
        written = settings(read_hosts(three(memory=memory)))
        for name, environment in written.items():
            mine = ["NAMENODE", "MASTER", "HISTORY", "CLIENT", "INFLUXDB", "GRAFANA", "PLATFORM"]
            parts = mine if name == "head" else ["DATANODE", "WORKER"]
            budget = megabytes(environment, "MEMORY")
            assert megabytes(environment, *(f"{part}_LIMIT" for part in parts)) <= budget


def test_executors_are_of_one_size_and_a_larger_host_holds_several() -> None:
    written = settings(read_hosts(three(memory="30g", cores=8)))
    sizes = ("SHOPSTREAM_EXECUTOR_MEMORY", "SHOPSTREAM_WORKER_CORES", "SHOPSTREAM_EXECUTOR_OVERHEAD")
    assert len({tuple(environment[size] for size in sizes) for environment in written.values()}) == 1
    large, small = written["a"], written["b"]
    heap = megabytes(small, "EXECUTOR_MEMORY")
    assert megabytes(small, "HOST_WORKER_MEMORY") == heap
    held, rest = divmod(megabytes(large, "HOST_WORKER_MEMORY"), heap)
    assert (held, rest) == (4, 0)
    assert int(large["SHOPSTREAM_HOST_WORKER_CORES"]) == held * int(small["SHOPSTREAM_WORKER_CORES"])


def test_a_host_like_the_others_changes_nothing_on_them_but_counts() -> None:
    before = three() | {"c": host(DATA, 4)}
    after = before | {"d": host(DATA, 5)}
    old, new = settings(read_hosts(before)), settings(read_hosts(after))
    for name in old:
        assert {key for key in new[name] if new[name][key] != old[name].get(key)} == {
            "SHOPSTREAM_WORKERS",
            "SHOPSTREAM_DATANODES",
        }


def test_memory_and_cores_come_from_the_host_where_the_inventory_is_silent() -> None:
    facts = {"ansible_memtotal_mb": 16000, "ansible_processor_vcpus": 4}
    silent = {"ansible_host": "10.0.0.9", "group_names": DATA, **facts}
    (found,) = [one for one in read_hosts(three() | {"c": silent}) if one.name == "c"]
    assert (found.memory, found.cores, found.disks) == (default_budget(16000 * MIB), 4, DATA_DISKS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"b": {**host(HEAD, 3)}}, "takes one host, and the inventory has head, b"),
        ({"head": host(["namenode", "client"], 1)}, "group spark_master of the inventory has no host"),
        ({"b": host(DATA, 2)}, "Two hosts have the address 10.0.0.2"),
        ({"b": {"group_names": DATA}}, "gives host b no address"),
        ({"b": {"group_names": DATA, "ansible_host": "10.0.0.3"}}, "shopstream_memory of host b is unknown"),
    ],
)
def test_an_inventory_that_does_not_do_is_refused_in_a_sentence(change: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        read_hosts(three() | change)


def test_too_little_memory_names_the_host_and_what_would_do() -> None:
    with pytest.raises(TooLittleMemoryError, match=r"host b is to run: give at least 2240 MiB"):
        settings(read_hosts(three() | {"b": host(DATA, 3, "2g")}))


def test_a_host_gets_the_secrets_of_its_services_only() -> None:
    head, a, _ = read_hosts(three())
    assert secrets_of(a) == ["spark_auth", "hadoop_http_secret"]
    assert "grafana_admin_password" in secrets_of(head)


def test_a_client_away_from_influxdb_gets_its_token_as_a_file() -> None:
    apart = three() | {"head": host(["namenode", "spark_master", "monitoring"], 1), "door": host(["client"], 4)}
    hosts = {one.name: one for one in read_hosts(apart)}
    assert "compose/hosts-client.yaml" in compose_files(hosts["door"], hosts.values())
    assert "compose/hosts-client.yaml" not in compose_files(hosts["a"], hosts.values())
    assert "compose/monitoring.yaml" in compose_files(hosts["head"], hosts.values())


def test_each_disk_is_mounted_at_a_place_of_its_own() -> None:
    (found,) = [one for one in read_hosts(three(shopstream_data_disks=["/d1", "/d2"])) if one.name == "a"]
    datanode = disks_file(found)["services"]["datanode"]
    assert [(one["source"], one["target"]) for one in datanode["volumes"]] == [("/d1", "/disks/1"), ("/d2", "/disks/2")]
    assert datanode["environment"] == {"SHOPSTREAM_DATA_DISKS": "/disks/1 /disks/2"}


def test_every_service_of_the_compose_files_runs_on_some_host() -> None:
    found = set()
    for name in ("cluster.yaml", "monitoring.yaml"):
        found |= set(yaml.safe_load((REPOSITORY / "compose" / name).read_text(encoding="utf-8"))["services"])
    placed = {one for entry in read_hosts(three()) for one in (*entry.services(), *entry.one_shots())}
    assert placed == found
    assert set(SERVICES) == {*HEAD, *DATA}


def test_listening_reads_the_kernels_table() -> None:
    table = (
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
        "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12345 1\n"
        "   1: 0100007F:1F91 0100007F:C000 01 00000000:00000000 00:00000000 00000000     0        0 12346 1\n"
    )
    assert listening(table) == {8080}


def test_ssh_goes_as_ansible_goes() -> None:
    values = {
        "inventory_hostname": "h",
        "ansible_host": "10.0.0.2",
        "ansible_user": "op",
        "ansible_port": 2222,
        "ansible_ssh_private_key_file": "/a b/key",
        "ansible_ssh_common_args": "-o 'ProxyJump=x y'",
    }
    command = ssh_arguments(values)
    assert command[-1] == "op@10.0.0.2"
    assert command[5:-1] == ["-i", "/a b/key", "-p", "2222", "-o", "ProxyJump=x y"]
    assert "'/a b/key'" in ssh_command(values)
    assert ssh_arguments({"inventory_hostname": "h"})[-1] == "h"


def test_an_inventory_is_read_by_ansible_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = {
        "_meta": {"hostvars": {"h1": {"ansible_host": "10.0.0.1"}, "h2": {"shopstream_address": "10.1.0.2"}}},
        "namenode": {"hosts": ["h1"]},
        "spark_master": {"children": ["heads"]},
        "heads": {"hosts": ["h1"]},
        "client": {"hosts": ["h1"]},
        "datanodes": {"hosts": ["h1", "h2"]},
    }
    program = tmp_path / "ansible-inventory"
    program.write_text(f"#!/bin/sh\ncat <<'E'\n{json.dumps(listed)}\nE\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setattr(remote.sys, "executable", str(tmp_path / "python"))
    path = tmp_path / "inventory.yaml"
    with pytest.raises(UserError, match="There is no inventory"):
        remote.read_inventory(path)
    path.touch()
    found = remote.read_inventory(path)
    assert (found.name, found.members("spark_master"), found.members("datanodes")) == (
        "shopstream",
        ["h1"],
        ["h1", "h2"],
    )
    assert (found.address("h1"), found.address("h2")) == ("10.0.0.1", "10.1.0.2")


def test_a_host_that_does_not_answer_is_named() -> None:
    silent = remote.HostDocker("h9", {"ansible_host": "127.0.0.1", "ansible_port": 1})
    with pytest.raises(UserError, match="Host h9 cannot be reached by ssh"):
        silent.python(Path(host_facts.__file__))


def test_total_of_counts_a_host_once() -> None:
    assert configs(read_hosts({"only": host([*HEAD, *DATA], memory="12g")}))["only"].total() <= 12 * 1024
