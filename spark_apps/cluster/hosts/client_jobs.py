"""Finds the jobs that a run of the playbooks would interrupt on the client's host, before anything is written there.

Ansible runs it on the controller: `python -m spark_apps.cluster.hosts.client_jobs`, with a request on standard input.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spark_apps.cluster.compose.docker import Docker, find_docker
from spark_apps.cluster.config import ClusterConfig
from spark_apps.cluster.hosts import image_transfer
from spark_apps.cluster.hosts.placement import DISKS
from spark_apps.cluster.hosts.remote import HostsCluster, HostsCompose, Inventory
from spark_apps.cluster.operations.recreation import DesiredState, interrupted_jobs
from spark_apps.cluster.operations.submit import running_jobs
from spark_apps.cluster.state import find_cluster
from spark_apps.errors import UserError


@dataclass(frozen=True)
class Request:
    """The client's host, and what it is to have.

    Attributes:
        host: its name in the inventory.
        variables: those of it that lead ssh there, and `group_names`.
        name: the cluster's.
        settings: the text of its cluster.env.
        files: its Compose files, by their names in the repository.
        disks_file: the text of the one that is made for it.
    """

    host: str
    variables: Mapping[str, Any]
    name: str
    settings: str
    files: Sequence[str]
    disks_file: str


def jobs_at_risk(request: Request) -> list[str]:
    """Returns the jobs that run in a client which would be replaced.

    Raises:
        UserError: when the host or its engine does not answer.
    """
    here = find_cluster(request.name)
    cluster = HostsCluster(here.name, here.repository, here.folder, ClusterConfig.parse(request.settings))
    inventory = Inventory(Path(), {request.host: request.variables})
    as_it_is = HostsCompose(inventory, cluster, request.files)
    if not running_jobs(as_it_is):
        return []
    texts = compose_texts(here.repository, request.files, request.disks_file, request.settings)
    with as_it_is.client.temporary_files(texts) as folder:
        compose = HostsCompose(inventory, cluster, request.files, folder)
        return interrupted_jobs(compose, DesiredState(compose, _image_to_come(compose.docker)))


def compose_texts(repository: Path, files: Sequence[str], disks_file: str, settings: str) -> dict[str, str]:
    """Returns all that Compose reads on a host, by name.

    Args:
        repository: the folder that the files are copied from.
        files: the Compose files of the host.
        disks_file: the text of the one that is made for it.
        settings: the text of its cluster.env.
    """
    copied = {name: (repository / name).read_text(encoding="utf-8") for name in files if name != DISKS}
    return {**copied, DISKS: disks_file, "cluster.env": settings}


def main() -> int:
    """Prints the jobs, one a line; returns 0, or 2 after an error."""
    try:
        jobs = jobs_at_risk(Request(**json.load(sys.stdin)))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print("\n".join(jobs))
    return 0


def _image_to_come(host: Docker) -> Callable[[str], str]:
    """Gives the id of a host's image, and none where the controller will hand another over."""
    controller = find_docker()

    def image_id(name: str) -> str:
        ours, theirs = (docker.call("image", "inspect", name).stdout for docker in (controller, host))
        return "" if image_transfer.compare([name], ours, theirs)["send"] else host.image_id(name)

    return image_id


if __name__ == "__main__":
    sys.exit(main())
