"""What a cluster is doing: services, workers, DataNodes, memory, addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from spark_apps.cluster.compose.project import Compose, Container
from spark_apps.cluster.config import ClusterConfig
from spark_apps.cluster.health import web
from spark_apps.cluster.health.readiness import ServiceState, expected_counts, states
from spark_apps.platform.namenode import NameNode
from spark_apps.platform.spark_master import SparkMaster

PAGES = {
    "HDFS": "HDFS",
    "Spark master": "SPARK",
    "Spark history": "HISTORY",
    "running job": "DRIVER",
    "InfluxDB": "INFLUXDB",
    "Grafana": "GRAFANA",
}
_NEED_MONITORING = ("InfluxDB", "Grafana")


@dataclass(frozen=True)
class Status:
    """A cluster at one moment; memory in MiB."""

    name: str
    services: list[ServiceState]
    containers: list[Container]
    hdfs: NameNode | None
    spark: SparkMaster | None
    memory_limits: int
    memory_budget: int
    urls: dict[str, str]

    @property
    def ready(self) -> bool:
        """Whether every service can be used."""
        return all(service.ready for service in self.services)

    def as_json(self) -> dict[str, Any]:
        """Returns it for `status --json`."""
        values = asdict(self)
        for container in values["containers"]:
            del container["labels"]
        return {"ready": self.ready, **values}


def cluster_status(compose: Compose) -> Status:
    """Looks at a cluster, running or not.

    Raises:
        NoClusterError: when there was never one.
        DockerError: when Docker does not answer.
    """
    config = compose.cluster.existing_config()
    expected = expected_counts(compose.services(), config)
    containers = compose.containers()
    limits, budget = compose.memory()
    return Status(
        name=compose.cluster.name,
        services=states(expected, containers, config),
        containers=containers,
        hdfs=web.namenode(config),
        spark=web.spark_master(config),
        memory_limits=limits,
        memory_budget=budget,
        urls=urls(config, compose.monitoring, compose.pages),
    )


def urls(config: ClusterConfig, monitoring: bool, elsewhere: Mapping[str, str] | None = None) -> dict[str, str]:
    """Returns the addresses of the cluster's pages, on this machine if not elsewhere."""
    names = [name for name in PAGES if monitoring or name not in _NEED_MONITORING]
    places = elsewhere or {}
    return {name: places.get(PAGES[name]) or config.url(PAGES[name]) for name in names}
