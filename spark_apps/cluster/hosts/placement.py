"""A cluster on several hosts: what runs on each, and each one's cluster.env, by the rule of `sizing`.

The Ansible roles in ansible/ and `shopstream --inventory` both take it from here, so that there is one formula.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from spark_apps.cluster import ports
from spark_apps.cluster.config import ClusterConfig
from spark_apps.cluster.sizing import (
    MAX_REPLICATION,
    MIB,
    MONITORING,
    Executor,
    HostPlan,
    default_budget,
    driver_heap,
    heaps_within,
    make_host_plan,
    parse_size,
    smallest_common,
)
from spark_apps.cluster.state import DEFAULT_NAME
from spark_apps.errors import UserError

FOLDER = "/opt/shopstream"
DISKS = "compose/disks.yaml"
DATA_DISKS = ("/var/lib/shopstream/hdfs",)
ONE_HOST = ("namenode", "spark_master", "client")
_AT_MOST_ONE = ("monitoring",)
# group of the inventory -> services, in the order in which they can be used, and names in `sizing`
SERVICES = {
    "namenode": ("namenode",),
    "datanodes": ("datanode",),
    "spark_master": ("spark-master", "history-server"),
    "spark_workers": ("spark-worker",),
    "monitoring": ("influxdb", "platform-metrics", "grafana"),
    "client": ("client",),
}
ONE_SHOTS = {
    "namenode": ("secrets", "namenode-format"),
    "datanodes": ("secrets",),
    "spark_master": ("secrets",),
    "spark_workers": ("secrets",),
    "monitoring": ("secrets", "metrics-provision"),
    "client": ("secrets", "layout"),
}
WORKER = "WORKER"
_PARTS = {
    "namenode": ("NAMENODE",),
    "datanodes": ("DATANODE",),
    "spark_master": ("MASTER", "HISTORY"),
    "monitoring": MONITORING,
    "client": ("CLIENT",),
    "spark_workers": (WORKER,),
}
SECRETS = ("spark_auth", "hadoop_http_secret")
MONITORING_SECRETS = (
    *("influxdb_admin_password", "influxdb_admin_token"),
    *("grafana_admin_password", "grafana_secret_key"),
)
WRITER_TOKEN = "influxdb_writer_token"
# What the hosts' containers listen on: single ports and ranges, first to last.
HOST_PORTS = {
    "namenode": ("8020", "9870"),
    "datanodes": ("9864", "9866", "9867"),
    "spark_master": ("7077", "8080", "18080"),
    "spark_workers": ("7078", "7300-7399", "8081"),
    "monitoring": ("3000", "8086"),
    "client": ("4040-4139", "7200-7399"),
}


@dataclass(frozen=True)
class Host:
    """One host of the inventory; memory in MiB."""

    name: str
    address: str
    memory: int
    cores: int
    groups: frozenset[str]
    disks: tuple[str, ...] = DATA_DISKS

    @property
    def worker(self) -> bool:
        """Whether it runs Spark's executors."""
        return "spark_workers" in self.groups

    def services(self) -> list[str]:
        """Returns the services that run on it all the time."""
        return [service for group in SERVICES if group in self.groups for service in SERVICES[group]]

    def one_shots(self) -> list[str]:
        """Returns the services that do their one task on it."""
        return list(dict.fromkeys(one for group in ONE_SHOTS if group in self.groups for one in ONE_SHOTS[group]))

    def plan(self) -> HostPlan:
        """Splits its memory among what runs on it.

        Raises:
            TooLittleMemoryError: naming the smallest budget that works.
        """
        parts = [part for part in parts_of(self.groups) if part != WORKER]
        return make_host_plan(self.memory, parts, self.worker, self.cores, self.name)

    def ports(self) -> list[str]:
        """Returns the ports and ranges that its containers listen on."""
        return sorted({port for group in HOST_PORTS if group in self.groups for port in HOST_PORTS[group]})


def read_hosts(variables: Mapping[str, Mapping[str, Any]]) -> list[Host]:
    """Reads the hosts of an inventory from their variables, as Ansible gives them.

    Args:
        variables: of each host, with `group_names` and, unless the inventory says shopstream_memory and
            shopstream_cores, the facts of the host.

    Raises:
        UserError: when a group lacks its host, or a host says too little of itself.
    """
    hosts = [_read_host(name, values) for name, values in variables.items()]
    for group in SERVICES:
        _check_group(group, [host.name for host in hosts if group in host.groups])
    addresses = [host.address for host in hosts]
    for address in addresses:
        if addresses.count(address) > 1:
            raise UserError(f"Two hosts have the address {address}: give each its own shopstream_address.")
    return hosts


def configs(
    hosts: Sequence[Host], name: str = DEFAULT_NAME, given: Mapping[str, str] | None = None
) -> dict[str, ClusterConfig]:
    """Returns the config of the cluster on each host.

    Args:
        hosts: all of the cluster.
        name: the cluster's.
        given: further variables of cluster.env, such as SHOPSTREAM_TAG; those that are empty are left out.

    Raises:
        TooLittleMemoryError: naming the host and the smallest budget that works there.
    """
    plans = {host.name: host.plan() for host in hosts}
    executor = smallest_common([plan.executor for plan in plans.values() if plan.executor])
    more = {variable: value for variable, value in (given or {}).items() if value}
    common = ClusterConfig.from_variables({**_common(hosts, name, executor).variables(), **more})
    return {host.name: _own(common, host, plans[host.name], executor) for host in hosts}


def parts_of(groups: Collection[str]) -> list[str]:
    """Returns the names in `sizing` of what runs on a host of these groups."""
    return [part for group in _PARTS if group in groups for part in _PARTS[group]]


def first_of(hosts: Iterable[Host], group: str) -> Host | None:
    """Returns the host of a group that has one, or the first of several."""
    return next((host for host in hosts if group in host.groups), None)


def compose_files(host: Host, hosts: Iterable[Host]) -> list[str]:
    """Returns the files that Compose is given on a host, in their order."""
    files = ["compose/cluster.yaml"]
    if "monitoring" in host.groups:
        return [*files, "compose/monitoring.yaml", "compose/hosts.yaml", "compose/hosts-monitoring.yaml", DISKS]
    if writes_to_remote_influxdb(host, hosts):
        return [*files, "compose/hosts.yaml", "compose/hosts-client.yaml", DISKS]
    return [*files, "compose/hosts.yaml", DISKS]


def writes_to_remote_influxdb(host: Host, hosts: Iterable[Host]) -> bool:
    """Whether a host's client writes to an InfluxDB that runs on another host."""
    return "client" in host.groups and "monitoring" not in host.groups and first_of(hosts, "monitoring") is not None


def secrets_of(host: Host) -> list[str]:
    """Returns the names of the secrets that a host is given; the writer's token comes later."""
    return [*SECRETS, *(MONITORING_SECRETS if "monitoring" in host.groups else ())]


def disks_file(host: Host) -> dict[str, Any]:
    """Returns what compose/disks.yaml holds: the DataNode's disks, each mounted below /disks."""
    if "datanodes" not in host.groups:
        return {"services": {}}
    inside = [f"/disks/{number}" for number in range(1, len(host.disks) + 1)]
    volumes = [
        {"type": "bind", "source": disk, "target": target, "bind": {"create_host_path": False}}
        for disk, target in zip(host.disks, inside, strict=True)
    ]
    environment = {"SHOPSTREAM_DATA_DISKS": " ".join(inside)}
    return {"services": {"datanode": {"environment": environment, "volumes": volumes}}}


def _common(hosts: Sequence[Host], name: str, executor: Executor) -> ClusterConfig:
    datanodes = sum("datanodes" in host.groups for host in hosts)
    addresses = {group: host.address for group in SERVICES if (host := first_of(hosts, group))}
    return ClusterConfig(
        name=name,
        secrets=f"{FOLDER}/secrets",
        monitoring="monitoring" in addresses,
        namenode_address=addresses.get("namenode", ""),
        master_address=addresses.get("spark_master", ""),
        influxdb_address=addresses.get("monitoring", ""),
        ports=ports.port_numbers(0, {}),
        workers=sum(host.worker for host in hosts),
        datanodes=datanodes,
        replication=min(MAX_REPLICATION, datanodes),
        host_worker_memory=executor.heap,
        host_worker_cores=executor.cores,
    ).with_executor(executor)


def _own(common: ClusterConfig, host: Host, plan: HostPlan, executor: Executor) -> ClusterConfig:
    limits = plan.all_limits()
    config = replace(
        common,
        address=host.address,
        memory=host.memory,
        limits={**common.limits, **limits},
        heaps={**common.heaps, **heaps_within(limits)},
        driver_memory=driver_heap(limits["CLIENT"]),
    )
    if not host.worker:
        return config
    number = plan.executors(executor, host.cores)
    return replace(
        config,
        limits={**config.limits, "WORKER": executor.worker_limit(number)},
        host_worker_memory=number * executor.heap,
        host_worker_cores=number * executor.cores,
    )


def _read_host(name: str, values: Mapping[str, Any]) -> Host:
    address = values.get("shopstream_address") or values.get("ansible_host")
    if not address:
        raise UserError(f"The inventory gives host {name} no address: set shopstream_address or ansible_host.")
    return Host(
        name=name,
        address=str(address),
        memory=_memory(name, values),
        cores=int(_variable(name, values, "shopstream_cores", "ansible_processor_vcpus")),
        groups=frozenset(values["group_names"]) & set(SERVICES),
        disks=tuple(values.get("shopstream_data_disks") or DATA_DISKS),
    )


def _memory(name: str, values: Mapping[str, Any]) -> int:
    if values.get("shopstream_memory"):
        return parse_size(str(values["shopstream_memory"])) // MIB
    return default_budget(int(_variable(name, values, "shopstream_memory", "ansible_memtotal_mb")) * MIB)


def _variable(name: str, values: Mapping[str, Any], variable: str, fact: str) -> Any:
    found = values.get(variable) or values.get(fact)
    if not found:
        raise UserError(f"{variable} of host {name} is unknown: set it in the inventory, or make the host reachable.")
    return found


def _check_group(group: str, members: Sequence[str]) -> None:
    if not members and group not in _AT_MOST_ONE:
        raise UserError(f"The group {group} of the inventory has no host: put one in it.")
    if len(members) > 1 and group in (*ONE_HOST, *_AT_MOST_ONE):
        raise UserError(f"The group {group} takes one host, and the inventory has {', '.join(members)} in it.")
