"""The state folder of a cluster on the host: its secrets and cluster.env."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from spark_apps.cluster.config import ClusterConfig
from spark_apps.errors import UserError

DEFAULT_NAME = "shopstream"
STATE_VARIABLE = "SHOPSTREAM_CLUSTER_STATE"

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")
REPOSITORY = Path(__file__).resolve().parents[2]


class NoClusterError(UserError):
    """No cluster of this name was ever started here."""

    def __init__(self, name: str) -> None:
        option = "" if name == DEFAULT_NAME else f" --name {name}"
        super().__init__(f"There is no cluster {name} here: start it with `shopstream cluster up{option}`.")


class EarlierVersionError(UserError):
    """The cluster was started by a version of the kit that needed less."""

    def __init__(self, name: str, missing: Sequence[str]) -> None:
        option = "" if name == DEFAULT_NAME else f" --name {name}"
        super().__init__(
            f"Cluster {name} was started by an earlier version (its cluster.env lacks {', '.join(missing)}): run "
            f"`shopstream cluster up{option}`, which keeps its data."
        )


@dataclass(frozen=True)
class Cluster:
    """Where one cluster's files stand on the host."""

    name: str
    repository: Path
    folder: Path

    @property
    def secrets(self) -> Path:
        """Folder of the secrets, of mode 0700."""
        return self.folder / "secrets"

    @property
    def env_file(self) -> Path:
        """The file of sizes, ports, images and counts that Compose reads."""
        return self.folder / "cluster.env"

    def config(self) -> ClusterConfig:
        """Returns what cluster.env says; an empty config before the first `up`.

        Raises:
            UserError: when the value of a variable cannot be read.
        """
        return ClusterConfig.read(self.env_file)

    def started(self) -> bool:
        """Whether there was an `up` before, and no `destroy` since."""
        return self.config() != ClusterConfig()

    def existing_config(self) -> ClusterConfig:
        """Returns what cluster.env says.

        Raises:
            NoClusterError: when there is none.
        """
        if not self.started():
            raise NoClusterError(self.name)
        return self.config()

    def option(self) -> str:
        """Returns the option that names this cluster in a command, empty for the default one."""
        return "" if self.name == DEFAULT_NAME else f" --name {self.name}"


def find_cluster(name: str, repository: Path = REPOSITORY) -> Cluster:
    """Returns the files of the cluster with this name.

    Args:
        name: the Compose project's name.
        repository: folder that holds compose/ and docker/.

    Raises:
        UserError: when the name cannot be a Compose project, or the kit was installed without its folders.
    """
    if not _NAME.fullmatch(name):
        raise UserError(
            f"A cluster cannot be called {name!r}: take lower-case letters, digits, - and _, starting with a "
            "letter or digit."
        )
    if not (repository / "compose" / "cluster.yaml").is_file():
        raise UserError(
            f"There is no compose/cluster.yaml in {repository}: the cluster commands work from a copy of the "
            "repository, installed by `make setup`."
        )
    parent = Path(os.environ.get(STATE_VARIABLE) or repository / ".cluster")
    return Cluster(name, repository, parent.expanduser().absolute() / name)
