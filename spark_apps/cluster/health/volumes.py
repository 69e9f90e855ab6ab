"""What stands on a cluster's volumes, and the commands that repair or remove it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from spark_apps.cluster.compose.docker import PROJECT_LABEL, Docker, json_rows
from spark_apps.cluster.config import ClusterConfig

NAME_NODE, DATA_NODE = "NAME_NODE", "DATA_NODE"
# who owns what is on a volume, by the volume's role: its first folder or the volume itself
OWNERS = {"hdfs": 10001, "spark": 10002}
_GROUP = 10000
_LOOK_SECONDS = 60.0


class VolumesUnreadableError(Exception):
    """The volumes cannot be looked into, or there are none; the message says why."""


@dataclass(frozen=True)
class ServerFolder:
    """A folder that a server keeps on a volume.

    Attributes:
        uid: of its owner.
        path: on the volume.
        volume: the volume's name.
        cluster_id: that of HDFS, empty where the folder is not HDFS's.
        kind: NAME_NODE or DATA_NODE, empty where the folder is not HDFS's.
        role: the user whose it should be, a key of OWNERS.
    """

    uid: int
    path: str
    volume: str
    cluster_id: str
    kind: str
    role: str

    @property
    def expected_uid(self) -> int:
        """Who should own it."""
        return OWNERS[self.role]

    def removal(self, image: str) -> str:
        """The command that removes one DataNode's folder and leaves what others hold on the same volume."""
        folder = self.path.removesuffix("/data") or "/data"
        return f"docker run --rm --user 0 --entrypoint rm --volume {self.volume}:/v {image} -r /v{folder}"

    def chown(self, image: str) -> str:
        """The command that gives the folder's volume to its user."""
        owner = f"{self.expected_uid}:{_GROUP}"
        return f"docker run --rm --user 0 --entrypoint chown -v {self.volume}:/v {image} -R {owner} /v"


def helper_image(config: ClusterConfig) -> str:
    """Returns the image by which volumes are read, repaired and removed."""
    return f"shopstream/hadoop:{config.tag or 'dev'}"


def server_folders(docker: Docker, project: str, image: str) -> list[ServerFolder]:
    """Looks into a cluster's volumes from a container that may read everything and write nothing.

    Args:
        docker: of the engine that has them.
        project: the cluster's name.
        image: with a shell, from `helper_image`.

    Raises:
        VolumesUnreadableError: when there are no volumes, or no image to look with.
    """
    listed = docker.ask("volume", "ls", "--filter", f"label={PROJECT_LABEL}={project}", "--format", "{{json .}}")
    names = [str(row["Name"]) for row in json_rows(listed)]
    if not names:
        raise VolumesUnreadableError("no volumes yet")
    if docker.call("image", "inspect", image).returncode != 0:
        raise VolumesUnreadableError(f"the image {image} is not there")
    mounts = [part for name in names for part in ("--volume", f"{name}:/volumes/{name}:ro")]
    rights = ["--user", "0", "--cap-drop", "ALL", "--cap-add", "DAC_READ_SEARCH", "--network", "none", "--read-only"]
    run = ["run", "--rm", "--interactive", *rights, *mounts, "--entrypoint", "sh", image, "-s", "--", "/volumes"]
    text = docker.ask(*run, timeout=_LOOK_SECONDS, program="server_folders.sh")
    return [folder for line in text.splitlines() for folder in _folders(line)]


def _folders(line: str) -> Iterator[ServerFolder]:
    """Reads one line of the look into the volumes; only folders that a server keeps are of interest."""
    uid, path, cluster_id, kind = line.split("|")
    volume, _, inside = path.removeprefix("/volumes/").partition("/")
    role = "hdfs" if kind in (NAME_NODE, DATA_NODE) else _role(volume, inside)
    if role:
        yield ServerFolder(int(uid), f"/{inside}", volume, cluster_id, kind, role)


def _role(volume: str, inside: str) -> str:
    """Names the user whose volume this is, by the volume's name; secrets volumes have owners of their own."""
    if inside or "secret" in volume:
        return ""
    short = volume.rpartition("_")[2]
    if any(word in short for word in ("namenode", "datanode", "hdfs")):
        return "hdfs"
    return "spark" if any(word in short for word in ("spark", "worker", "client")) else ""
