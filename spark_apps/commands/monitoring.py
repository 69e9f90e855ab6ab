"""The InfluxDB of the cluster on this machine, for commands that read it."""

from __future__ import annotations

from spark_apps.cluster.compose.project import Compose
from spark_apps.cluster.state import find_cluster
from spark_apps.commands.cluster import compose_of
from spark_apps.errors import UserError
from spark_apps.telemetry.provision import READER_TOKEN

# where Grafana's container has the token that may read
_TOKEN_INSIDE = f"/run/shopstream/reader/{READER_TOKEN}"


def monitored(name: str) -> Compose:
    """Returns a cluster that has an InfluxDB.

    Raises:
        UserError: when there is no such cluster, or it was started without one.
    """
    compose = compose_of(find_cluster(name))
    if not compose.monitoring:
        raise UserError(f"Cluster {name} has no InfluxDB: start it with `shopstream cluster up --monitoring`.")
    return compose


def reader_token(compose: Compose) -> str:
    """Returns the token that may read the cluster's InfluxDB and nothing else."""
    return compose.ask("exec", "-T", "grafana", "cat", _TOKEN_INSIDE).strip()
