"""What the roles ask the project itself: who runs what, each host's settings, and which images differ."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY))

from ansible.errors import AnsibleFilterError  # noqa: E402
from ansible.module_utils.parsing.convert_bool import boolean  # noqa: E402

from spark_apps.cluster.hosts import placement as cluster  # noqa: E402
from spark_apps.cluster.hosts.client_jobs import Request, compose_texts  # noqa: E402
from spark_apps.cluster.hosts.image_transfer import compare  # noqa: E402
from spark_apps.cluster.hosts.remote import READ, ssh_command  # noqa: E402
from spark_apps.cluster.ports import listening  # noqa: E402
from spark_apps.errors import UserError  # noqa: E402

# all that is read of a host: reading everything would have Ansible work out everything
_READ = (
    *("group_names", "ansible_host", "shopstream_address", "shopstream_memory", "shopstream_cores"),
    *("shopstream_data_disks", "ansible_memtotal_mb", "ansible_processor_vcpus"),
)


def plan(
    hostvars: Mapping[str, Mapping[str, Any]], members: Iterable[str], name: str, given: Mapping[str, str]
) -> dict[str, dict[str, Any]]:
    """Returns for each host what the roles write and start there.

    Args:
        hostvars: Ansible's variables of all hosts.
        members: names of the cluster's hosts.
        name: the cluster's name.
        given: further variables of cluster.env.
    """
    variables = {one: {key: hostvars[one][key] for key in _READ if key in hostvars[one]} for one in members}
    try:
        hosts = cluster.read_hosts(variables)
        configs = cluster.configs(hosts, name, given)
    except UserError as error:
        raise AnsibleFilterError(str(error)) from None
    return {
        host.name: {
            "address": host.address,
            "memory": host.memory,
            "settings": configs[host.name].text(),
            "files": cluster.compose_files(host, hosts),
            "disks": list(host.disks) if "datanodes" in host.groups else [],
            "disks_file": json.dumps(cluster.disks_file(host), indent=1) + "\n",
            "secrets": cluster.secrets_of(host),
            "writes_to_remote_influxdb": cluster.writes_to_remote_influxdb(host, hosts),
            "services": [*host.one_shots(), *host.services()],
            "ports": host.ports(),
        }
        for host in hosts
    }


def client_request(variables: Mapping[str, Any], planned: Mapping[str, Any], name: str) -> str:
    """Returns what `spark_apps.cluster.hosts.client_jobs` is asked of the client's host.

    Args:
        variables: Ansible's, of the host.
        planned: what `plan` says of it.
        name: the cluster's name.
    """
    leading = {key: variables[key] for key in (*READ, "group_names") if key in variables}
    request = Request(
        host=variables["inventory_hostname"],
        variables={**leading, "ansible_become": boolean(variables.get("ansible_become", False))},
        name=name,
        settings=planned["settings"],
        files=planned["files"],
        disks_file=planned["disks_file"],
    )
    return json.dumps(asdict(request))


def disk(path: str) -> dict[str, str]:
    """Returns a data disk's folder as the module host_files makes it."""
    # user hdfs and group shopstream of the images
    return {"path": path, "owner": "10001", "group": "10000", "mode": "0750"}


def files(planned: Mapping[str, Any], repository: str, folder: str) -> list[dict[str, str]]:
    """Returns what Compose reads on a host, as the module host_files writes it.

    Args:
        planned: what `plan` says of the host.
        repository: where the Compose files are on the controller.
        folder: where they belong on the host.
    """
    texts = compose_texts(Path(repository), planned["files"], planned["disks_file"], planned["settings"])
    return [{"path": f"{folder}/{name}", "content": text} for name, text in texts.items()]


def secret_files(names: Iterable[str], given: Mapping[str, str], made: str, folder: str) -> list[dict[str, str]]:
    """Returns the secrets of a host, as the module host_files writes them.

    Args:
        names: of the secrets.
        given: values that the inventory has.
        made: the folder of the others on the controller.
        folder: where they belong on the host.
    """
    values = {name: given.get(name) or (Path(made) / name).read_text(encoding="utf-8") for name in names}
    return [{"path": f"{folder}/{name}", "content": value, "mode": "0600"} for name, value in values.items()]


def tree(names: Iterable[str], source: str, target: str) -> dict[str, list[dict[str, str]]]:
    """Returns folders with all that is below them, as the module host_files makes them.

    Args:
        names: the folders.
        source: where they are on the controller.
        target: where they belong on the host.
    """
    paths = [path for name in names for path in (Path(source) / name, *sorted((Path(source) / name).rglob("*")))]
    places = {path: f"{target}/{path.relative_to(source).as_posix()}" for path in paths}
    return {
        "folders": [{"path": place} for path, place in places.items() if path.is_dir()],
        "files": [
            {"path": place, "content": path.read_text(encoding="utf-8")}
            for path, place in places.items()
            if path.is_file()
        ],
    }


def taken(tables: Iterable[str], ports: Iterable[str]) -> list[int]:
    """Returns those ports that something listens on, by the text of /proc/net/tcp and tcp6."""
    found = {port for table in tables for port in listening(table)}
    ranges = [(one.partition("-")[0], one.rpartition("-")[2]) for one in ports]
    return sorted(port for port in found if any(int(first) <= port <= int(last) for first, last in ranges))


class FilterModule:
    """Ansible's way to find filters."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        """Names the filters."""
        return {
            "shopstream_plan": plan,
            "shopstream_images": compare,
            "shopstream_client_request": client_request,
            "shopstream_disk": disk,
            "shopstream_files": files,
            "shopstream_secret_files": secret_files,
            "shopstream_tree": tree,
            "shopstream_taken": taken,
            "shopstream_ssh": ssh_command,
        }
