"""A cluster on several hosts: what runs on each, and each one's cluster.env, by the rule of `sizing`.

The Ansible roles in ansible/ and `shopstream --inventory` both take it from here, so that there is one formula.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from spark_apps.cluster import ports
from spark_apps.cluster.sizing import (
    MAX_REPLICATION,
    MIB,
    MONITORING,
    Executor,
    HostPlan,
    default_budget,
    make_host_plan,
    parse_size,
    smallest_common,
)
from spark_apps.cluster.state import DEFAULT_NAME, NAME_VARIABLE
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


def settings(
    hosts: Sequence[Host], name: str = DEFAULT_NAME, given: Mapping[str, str] | None = None
) -> dict[str, dict[str, str]]:
    """Returns what cluster.env holds on each host.

    Args:
        hosts: all of the cluster.
        name: the cluster's.
        given: further variables, such as SHOPSTREAM_TAG; those that are empty are left out.

    Raises:
        TooLittleMemoryError: naming the host and the smallest budget that works there.
    """
    plans = {host.name: host.plan() for host in hosts}
    executor = smallest_common([plan.executor for plan in plans.values() if plan.executor])
    common = _common(hosts, name, executor) | {key: value for key, value in (given or {}).items() if value}
    return {host.name: {**common, **_own(host, plans[host.name], executor)} for host in hosts}


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


def _common(hosts: Sequence[Host], name: str, executor: Executor) -> dict[str, str]:
    datanodes = sum("datanodes" in host.groups for host in hosts)
    places = {
        "SHOPSTREAM_NAMENODE_ADDRESS": first_of(hosts, "namenode"),
        "SHOPSTREAM_MASTER_ADDRESS": first_of(hosts, "spark_master"),
        "SHOPSTREAM_INFLUXDB_ADDRESS": first_of(hosts, "monitoring"),
    }
    return {
        NAME_VARIABLE: name,
        "SHOPSTREAM_SECRETS": f"{FOLDER}/secrets",
        "SHOPSTREAM_MONITORING": str(int(first_of(hosts, "monitoring") is not None)),
        **{variable: host.address for variable, host in places.items() if host},
        **ports.port_numbers(0, {}),
        "SHOPSTREAM_WORKERS": str(sum(host.worker for host in hosts)),
        "SHOPSTREAM_DATANODES": str(datanodes),
        "SHOPSTREAM_REPLICATION": str(min(MAX_REPLICATION, datanodes)),
        **executor.environment(),
        "SHOPSTREAM_HOST_WORKER_MEMORY": f"{executor.heap}m",
        "SHOPSTREAM_HOST_WORKER_CORES": str(executor.cores),
    }


def _own(host: Host, plan: HostPlan, executor: Executor) -> dict[str, str]:
    return {
        "SHOPSTREAM_ADDRESS": host.address,
        "SHOPSTREAM_MEMORY": f"{host.memory}m",
        **plan.environment(),
        **(plan.worker(executor, host.cores) if host.worker else {}),
    }


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
        raise UserError(f"Nothing says {variable} of host {name}: set it in the inventory, or reach the host.")
    return found


def _check_group(group: str, members: Sequence[str]) -> None:
    if not members and group not in _AT_MOST_ONE:
        raise UserError(f"The group {group} of the inventory has no host: put one in it.")
    if len(members) > 1 and group in (*ONE_HOST, *_AT_MOST_ONE):
        raise UserError(f"The group {group} takes one host, and the inventory has {', '.join(members)} in it.")
