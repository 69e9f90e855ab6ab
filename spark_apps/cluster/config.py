"""What a cluster is made of, typed: cluster.env, which Compose reads, is read and written here alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from spark_apps.cluster import ports
from spark_apps.cluster.sizing import MAX_REPLICATION, Executor, Plan, megabytes, resize_worker
from spark_apps.errors import UserError

NAME_VARIABLE = "SHOPSTREAM_CLUSTER"
REPLICATION_VARIABLE = "SHOPSTREAM_REPLICATION"
_HEADER = "# Written by `shopstream cluster`: change it with `up` and `scale`, not by hand.\n"
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,=-]*")


def _text(variable: str) -> Any:
    return field(default="", metadata={"variable": variable, "read": str, "write": str})


def _number(variable: str) -> Any:
    return field(default=0, metadata={"variable": variable, "read": int, "write": str})


def _mebibytes(variable: str) -> Any:
    return field(default=0, metadata={"variable": variable, "read": megabytes, "write": "{}m".format})


def _family(pattern: str, read: Callable[[str], int], write: Callable[[int], str]) -> Any:
    """Variables that differ in one part of their names, which is the key."""
    return field(default_factory=dict, metadata={"family": pattern, "read": read, "write": write})


@dataclass(frozen=True)
class ClusterConfig:
    """What cluster.env says of a cluster, or of one host of several; memory in MiB.

    A text is empty and a number 0 where the file does not say it, because an earlier version wrote it or the cluster
    was never started. Parts are named as in `sizing`, ports as in `ports`.

    Attributes:
        als_task_memory: bytes.
        other: variables that no attribute stands for.
    """

    name: str = _text(NAME_VARIABLE)
    secrets: str = _text("SHOPSTREAM_SECRETS")
    tag: str = _text("SHOPSTREAM_TAG")
    influxdb_image: str = _text("INFLUXDB_IMAGE")
    grafana_image: str = _text("GRAFANA_IMAGE")
    hdfs_recheck_ms: str = _text("SHOPSTREAM_HDFS_RECHECK_MS")
    java_options: str = _text("SHOPSTREAM_JAVA_OPTIONS")
    memory: int = _mebibytes("SHOPSTREAM_MEMORY")
    workers: int = _number("SHOPSTREAM_WORKERS")
    datanodes: int = _number("SHOPSTREAM_DATANODES")
    replication: int = _number(REPLICATION_VARIABLE)
    monitoring: bool = field(
        default=True, metadata={"variable": "SHOPSTREAM_MONITORING", "read": "1".__eq__, "write": "{:d}".format}
    )
    port_offset: int = _number("SHOPSTREAM_PORT_OFFSET")
    ports: Mapping[str, int] = _family(r"SHOPSTREAM_PORT_(?!OFFSET)(\w+)", int, str)
    limits: Mapping[str, int] = _family(r"SHOPSTREAM_(\w+)_LIMIT", megabytes, "{}m".format)
    heaps: Mapping[str, int] = _family(r"SHOPSTREAM_(\w+)_HEAP", megabytes, "{}m".format)
    worker_memory: int = _mebibytes("SHOPSTREAM_WORKER_MEMORY")
    worker_cores: int = _number("SHOPSTREAM_WORKER_CORES")
    executor_memory: int = _mebibytes("SHOPSTREAM_EXECUTOR_MEMORY")
    executor_overhead: int = _mebibytes("SHOPSTREAM_EXECUTOR_OVERHEAD")
    executor_python: int = _mebibytes("SHOPSTREAM_EXECUTOR_PYTHON")
    als_task_memory: int = _number("SHOPSTREAM_ALS_TASK_MEMORY")
    driver_memory: int = _mebibytes("SHOPSTREAM_DRIVER_MEMORY")
    address: str = _text("SHOPSTREAM_ADDRESS")
    namenode_address: str = _text("SHOPSTREAM_NAMENODE_ADDRESS")
    master_address: str = _text("SHOPSTREAM_MASTER_ADDRESS")
    influxdb_address: str = _text("SHOPSTREAM_INFLUXDB_ADDRESS")
    host_worker_memory: int = _mebibytes("SHOPSTREAM_HOST_WORKER_MEMORY")
    host_worker_cores: int = _number("SHOPSTREAM_HOST_WORKER_CORES")
    other: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_variables(cls, variables: Mapping[str, str]) -> ClusterConfig:
        """Reads a config from variables.

        Raises:
            UserError: when the value of one cannot be read.
        """
        found: dict[str, Any] = {"other": {}}
        for variable, value in variables.items():
            one, key = _find(variable)
            try:
                read = one.metadata["read"](value) if one else value
            except (ValueError, UserError):
                raise UserError(f"{variable}={value} in cluster.env cannot be read: correct it there.") from None
            if one is None:
                found["other"][variable] = read
            elif key:
                found.setdefault(one.name, {})[key] = read
            else:
                found[one.name] = read
        return cls(**found)

    @classmethod
    def parse(cls, text: str) -> ClusterConfig:
        """Reads a config from the text of a cluster.env.

        Raises:
            UserError: when the value of a variable cannot be read.
        """
        lines = (line.strip() for line in text.splitlines())
        pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
        return cls.from_variables({name: _unquoted(value) for name, _, value in pairs})

    @classmethod
    def read(cls, path: Path) -> ClusterConfig:
        """Reads a cluster.env; an absent file is an empty config.

        Raises:
            UserError: when the value of a variable cannot be read.
        """
        try:
            return cls.parse(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls()

    def variables(self) -> dict[str, str]:
        """Returns the variables of cluster.env, without those that the config does not say."""
        found: dict[str, str] = {}
        for one in fields(self):
            value: Any = getattr(self, one.name)
            write: Any = one.metadata.get("write")
            if "family" in one.metadata:
                found |= {_member(one.metadata["family"], key): write(number) for key, number in value.items()}
            elif write and (value or isinstance(value, bool)):
                found[one.metadata["variable"]] = write(value)
        return {**found, **self.other}

    def text(self) -> str:
        """Returns the variables as lines that Compose and `parse` read.

        Raises:
            UserError: when a value cannot stand in a line.
        """
        return "".join(f"{name}={_quoted(value)}\n" for name, value in self.variables().items())

    def write(self, path: Path) -> bool:
        """Writes cluster.env by rename.

        Returns:
            False when the file already said just that, and was left alone.

        Raises:
            UserError: when a value cannot stand in a line.
        """
        if path.exists() and self.read(path) == self:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(_HEADER + self.text(), encoding="utf-8", newline="\n")
        part.replace(path)
        return True

    def url(self, page: str) -> str:
        """Returns the address of one of the cluster's pages on this machine."""
        return f"http://{ports.HOST}:{self.ports[page]}"

    def used_ports(self) -> dict[str, int]:
        """Returns the ports of this machine that the cluster listens on, by name."""
        names = [name for name in ports.DEFAULTS if self.monitoring or name not in ports.MONITORING]
        return {name: self.ports[name] for name in names if name in self.ports}

    def with_executor(self, executor: Executor) -> ClusterConfig:
        """Returns the config with workers that hold one such executor each."""
        return replace(
            self,
            limits={**self.limits, "WORKER": executor.limit},
            heaps={**self.heaps, "WORKER": executor.worker_heap},
            # Spark's standalone master counts heaps only, and a worker holds one executor
            worker_memory=executor.heap,
            worker_cores=executor.cores,
            executor_memory=executor.heap,
            executor_overhead=executor.overhead,
            executor_python=executor.python,
            als_task_memory=executor.als_task_memory,
        )

    def with_plan(self, plan: Plan) -> ClusterConfig:
        """Returns the config with the sizes and counts of a plan."""
        return replace(
            self,
            workers=plan.workers,
            datanodes=plan.datanodes,
            replication=plan.replication,
            limits=plan.limits,
            heaps=plan.heaps(),
            driver_memory=plan.driver_heap(),
        ).with_executor(plan.executor)

    def with_sizes_of(self, other: ClusterConfig) -> ClusterConfig:
        """Returns the config with the sizes of another one, as far as that has them."""
        names = [one.name for one in fields(self) if one.name.startswith(("worker_", "executor_", "als_", "driver_"))]
        return replace(
            self,
            limits={name: other.limits.get(name, limit) for name, limit in self.limits.items()},
            heaps={name: other.heaps.get(name, heap) for name, heap in self.heaps.items()},
            replication=other.replication or self.replication,
            **{name: getattr(other, name) or getattr(self, name) for name in names},
        )

    def total(self) -> int:
        """Returns the sum of all containers' limits, for the counts of workers and DataNodes."""
        counts = {"WORKER": self.workers, "DATANODE": self.datanodes}
        return sum(limit * counts.get(name, 1) for name, limit in self.limits.items())

    def with_counts(self, workers: int, datanodes: int) -> ClusterConfig:
        """Returns the config with other counts, and containers as large as they are."""
        replication = min(MAX_REPLICATION, datanodes)
        return replace(self, workers=workers, datanodes=datanodes, replication=replication)

    def rescaled(self, workers: int, datanodes: int) -> ClusterConfig:
        """Returns the config with other counts, in the budget that it names.

        Running containers keep their sizes where the budget allows it; otherwise the workers, and nothing else, become
        smaller.

        Raises:
            TooLittleMemoryError: when the workers would fall below the minimum.
        """
        scaled = self.with_counts(workers, datanodes)
        if scaled.total() <= self.memory:
            return scaled
        others = replace(scaled, workers=0).total()
        cores = self.worker_cores * self.workers
        return scaled.with_executor(resize_worker(self.memory, others, workers, datanodes, cores))


def _find(variable: str) -> tuple[Field[Any] | None, str]:
    """The field that a variable belongs to, and its key in a family."""
    for one in fields(ClusterConfig):
        if one.metadata.get("variable") == variable:
            return one, ""
        if found := re.fullmatch(one.metadata.get("family", "(?!)"), variable):
            return one, found[1]
    return None, ""


def _member(pattern: str, key: str) -> str:
    """The variable of a family's member."""
    return re.sub(r"\(.*\)", key, pattern)


def _quoted(value: str) -> str:
    if _PLAIN.fullmatch(value):
        return value
    if "'" in value or "\n" in value:
        raise UserError(f"{value!r} cannot stand in cluster.env: take a path or value without quotes.")
    return f"'{value}'"


def _unquoted(value: str) -> str:
    return value[1:-1] if len(value) > 1 and value[0] == value[-1] == "'" else value
