"""The state folder of a cluster on the host: its secrets and cluster.env, the one truth that Compose reads."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from spark_apps.errors import UserError

DEFAULT_NAME = "shopstream"
NAME_VARIABLE = "SHOPSTREAM_CLUSTER"
STATE_VARIABLE = "SHOPSTREAM_CLUSTER_STATE"

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,40}")
REPOSITORY = Path(__file__).resolve().parents[2]
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-]*")


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

    def environment(self) -> dict[str, str]:
        """Returns what cluster.env holds; nothing before the first `up`."""
        return read_environment(self.env_file)

    def existing_environment(self) -> dict[str, str]:
        """Returns what cluster.env holds.

        Raises:
            NoClusterError: when there is none.
        """
        values = self.environment()
        if not values:
            raise NoClusterError(self.name)
        return values

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


def read_environment(path: Path) -> dict[str, str]:
    """Reads a file of NAME=value lines; an absent file is empty."""
    try:
        return parse_environment(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}


def parse_environment(text: str) -> dict[str, str]:
    """Reads NAME=value lines."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {name: _unquoted(value) for name, _, value in pairs}


def write_environment(path: Path, values: dict[str, str]) -> bool:
    """Writes NAME=value lines by rename.

    Returns:
        False when the file already held just that, and was left alone.
    """
    if read_environment(path) == values:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    header = "# Written by `shopstream cluster`: change it with `up` and `scale`, not by hand.\n"
    part.write_text(header + environment_text(values), encoding="utf-8", newline="\n")
    part.replace(path)
    return True


def environment_text(values: Mapping[str, str]) -> str:
    """Returns NAME=value lines as Compose and `read_environment` read them."""
    return "".join(f"{name}={_quoted(value)}\n" for name, value in values.items())


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    if "'" in value or "\n" in value:
        raise UserError(f"{value!r} cannot stand in cluster.env: take a path or value without quotes.")
    return f"'{value}'"


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == "'" else value
