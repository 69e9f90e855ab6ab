"""Splits one memory budget and the host's cores into container limits, heaps, executors and Python memory.

Every container gets its minimum; what is left is shared out by weight, up to each one's useful maximum; the rest
goes to the workers. A worker runs one executor: its container holds the worker's own JVM, the executor's heap,
the executor's memory outside the heap, and the Python processes of its tasks. All figures are in MiB.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from spark_apps.errors import UserError
from spark_apps.platform import sizes

MIB = 1024**2

# what the host's own system and Docker keep: a fifth, and never under 1 GiB
_RESERVED_SHARE, _MIN_RESERVED = 5, 1024

MAX_REPLICATION = 3
# Spark's pointers stay compressed below 32 GiB
_MAX_HEAP = 31 * 1024
# a worker's own JVM, outside of its executor
_WORKER_HEAP, _WORKER_OFF_HEAP = 192, 128
_WORKER_JVM = _WORKER_HEAP + _WORKER_OFF_HEAP
# an executor: its heap, what its JVM takes beside it, and Python
_EXECUTOR_HEAP, _EXECUTOR_HEAP_PER_CORE = 640, 256
_MIN_OVERHEAD, _OVERHEAD_SHARE = 320, 10
# `implicit` runs in one Python task; each further core may run an Arrow group-by beside it
_PYTHON_FIRST_CORE, _PYTHON_PER_CORE = 512, 256
# beyond this more Python memory per core helps nothing, and the heap gets what is left
_MAX_PYTHON_FIRST_CORE, _MAX_PYTHON_PER_CORE = 4096, 1024
# the part of an executor's Python memory that the ALS task may plan with; the rest is the interpreter and NumPy
_ALS_SHARE = 0.75


class TooLittleMemoryError(UserError):
    """The budget is below the sum of the minimums."""

    def __init__(self, budget: int, minimum: int, what: str) -> None:
        super().__init__(
            f"{budget} MiB are too little for {what}: give at least {minimum} MiB (--memory {minimum}m), "
            "or take fewer of them."
        )


@dataclass(frozen=True)
class Part:
    """One service's claim on the budget, per container."""

    name: str
    minimum: int
    weight: int
    maximum: int
    off_heap: int = 0  # what a JVM takes beside its heap; 0 for a service without one


# The minimum limits leave each JVM at least 192 MiB of heap; idle servers hold about 180 MiB in all.
_PARTS = (
    Part("NAMENODE", 512, 4, 8192, off_heap=224),
    Part("DATANODE", 448, 3, 1536, off_heap=224),
    Part("MASTER", 448, 1, 1024, off_heap=192),
    Part("HISTORY", 512, 3, 2048, off_heap=224),
    Part("CLIENT", 1408, 14, 12288),
    Part("INFLUXDB", 384, 6, 2048),
    Part("GRAFANA", 256, 2, 512),
    Part("PLATFORM", 160, 0, 160),
)
MONITORING = ("INFLUXDB", "GRAFANA", "PLATFORM")
_WORKER_WEIGHT = 70
# the driver's share of the client: heap, then what its JVM and its Python take
_DRIVER_OVERHEAD, _DRIVER_PYTHON = 320, 448
_DRIVER_HEAP_SHARE = 0.6


@dataclass(frozen=True)
class Executor:
    """What one worker's container is made of."""

    cores: int
    heap: int
    overhead: int
    python: int

    @property
    def limit(self) -> int:
        """The container's limit: the worker's JVM and its executor."""
        return self.worker_limit(1)

    def worker_limit(self, executors: int) -> int:
        """Returns the limit of a worker's container that holds several such executors."""
        return _WORKER_JVM + executors * self.memory

    @property
    def memory(self) -> int:
        """What the executor itself takes: heap, beside it, and Python."""
        return self.heap + self.overhead + self.python

    @property
    def worker_heap(self) -> int:
        """The heap of the worker's own JVM."""
        return _WORKER_HEAP

    @property
    def als_task_memory(self) -> int:
        """The bytes that the task of ALS may plan with."""
        return int(self.python * _ALS_SHARE) * MIB


@dataclass(frozen=True)
class Plan:
    """The sizes of a whole cluster."""

    workers: int
    datanodes: int
    executor: Executor
    limits: dict[str, int] = field(default_factory=dict)

    @property
    def replication(self) -> int:
        """Copies of each HDFS block."""
        return min(MAX_REPLICATION, self.datanodes)

    def total(self) -> int:
        """Returns the sum of all containers' limits."""
        return sum(limit * self._count(name) for name, limit in self.limits.items())

    def driver_heap(self) -> int:
        """Returns the heap of a driver in the client."""
        return driver_heap(self.limits["CLIENT"])

    def heaps(self) -> dict[str, int]:
        """Returns the heaps of the services' JVMs, workers apart."""
        return heaps_within(self.limits)

    def _count(self, name: str) -> int:
        return {"WORKER": self.workers, "DATANODE": self.datanodes}.get(name, 1)


@dataclass(frozen=True)
class HostPlan:
    """The sizes of what runs on one host of several: its services' limits, and what its worker could hold."""

    limits: dict[str, int]
    executor: Executor | None = None

    def executors(self, executor: Executor, cores: int) -> int:
        """Returns how many executors the worker holds where those of the cluster are of one size on all hosts.

        Args:
            executor: the cluster's executor, which fits the smallest host: a larger host's worker holds several.
            cores: the host's.
        """
        assert self.executor is not None, "this host has no worker"
        held = min((self.executor.limit - _WORKER_JVM) // executor.memory, max(1, cores) // executor.cores)
        return max(1, held)

    def all_limits(self) -> dict[str, int]:
        """Returns the limits of all services but the worker; those that run elsewhere have their minimum."""
        return {**{part.name: part.minimum for part in _PARTS}, **self.limits}


def parse_size(text: str) -> int:
    """Returns the bytes that a size such as 12g, 1.5G, 800m or 12884901888 means.

    Raises:
        UserError: when it is no size.
    """
    try:
        return sizes.parse_size(text)
    except ValueError as error:
        raise UserError(f"{error}.") from None


def default_budget(engine_memory: int) -> int:
    """Returns the budget in MiB on a Docker engine with so many bytes of memory."""
    whole = engine_memory // MIB
    return max(0, whole - max(_MIN_RESERVED, whole // _RESERVED_SHARE))


def make_plan(budget: int, workers: int, datanodes: int, cores: int, monitoring: bool = True) -> Plan:
    """Splits a budget.

    Args:
        budget: MiB that all containers together may take.
        workers: how many Spark workers.
        datanodes: how many DataNodes.
        cores: the engine's cores, shared by the workers; a worker gets fewer than its share when its memory
            would not do for them.
        monitoring: whether InfluxDB and Grafana run too.

    Raises:
        TooLittleMemoryError: naming the smallest budget that works.
    """
    counts = {part.name: 1 for part in _PARTS if monitoring or part.name not in MONITORING}
    what = f"{_counted(workers, 'worker')} and {_counted(datanodes, 'DataNode')}"
    limits, executor = _share_out(budget, counts | {"DATANODE": datanodes}, workers, cores, what)
    assert executor is not None, "there is a worker"
    return Plan(workers, datanodes, executor, {**limits, "WORKER": executor.limit})


def make_host_plan(budget: int, parts: Collection[str], worker: bool, cores: int, host: str) -> HostPlan:
    """Splits the budget of one host of several by the same rule: what runs elsewhere takes nothing here.

    Args:
        budget: MiB that all containers of the host together may take.
        parts: names of the services on it, as NAMENODE, DATANODE, CLIENT.
        worker: whether it has a Spark worker.
        cores: the host's.
        host: its name, for the sentence.

    Raises:
        TooLittleMemoryError: naming the smallest budget that works.
    """
    counts = dict.fromkeys(parts, 1)
    return HostPlan(*_share_out(budget, counts, int(worker), cores, f"what host {host} is to run"))


def smallest_common(executors: Sequence[Executor]) -> Executor:
    """Returns the executor that fits wherever one of these does."""
    heap = min(one.heap for one in executors)
    return Executor(min(one.cores for one in executors), heap, _overhead(heap), min(one.python for one in executors))


def _share_out(
    budget: int, counts: Mapping[str, int], workers: int, cores: int, what: str
) -> tuple[dict[str, int], Executor | None]:
    """Gives each part its minimum and its share of what is left, and the workers the rest."""
    parts = [part for part in _PARTS if part.name in counts]
    minimum = sum(part.minimum * counts[part.name] for part in parts)
    smallest = _min_executor(1).limit
    if budget - minimum < smallest * workers:
        raise TooLittleMemoryError(budget, minimum + smallest * workers, what)
    executor_cores = _cores_for((budget - minimum) // workers, cores // workers) if workers else 0
    surplus = budget - minimum - (_min_executor(executor_cores).limit * workers if workers else 0)
    weights = sum(part.weight * counts[part.name] for part in parts) + _WORKER_WEIGHT * bool(workers)
    limits = {part.name: min(part.maximum, part.minimum + surplus * part.weight // max(1, weights)) for part in parts}
    rest = budget - sum(limit * counts[name] for name, limit in limits.items())
    return limits, _make_executor(rest // workers, executor_cores) if workers else None


def megabytes(value: str) -> int:
    """Returns the MiB of a size in cluster.env, such as 768m."""
    return parse_size(value) // MIB


def resize_worker(budget: int, others: int, workers: int, datanodes: int, cores: int) -> Executor:
    """Returns the executor of each worker where the workers share what other containers leave of a budget.

    Args:
        budget: MiB that all containers together may take.
        others: MiB that all but the workers take.
        workers: how many there are.
        datanodes: how many DataNodes, for the sentence.
        cores: what the workers have together.

    Raises:
        TooLittleMemoryError: when the workers would fall below the minimum.
    """
    room, smallest = (budget - others) // workers, _min_executor(1).limit
    if room < smallest:
        what = f"{_counted(workers, 'worker')} and {_counted(datanodes, 'DataNode')}"
        raise TooLittleMemoryError(budget, others + smallest * workers, what)
    return _make_executor(room, _cores_for(room, cores // workers))


def _cores_for(limit: int, share: int) -> int:
    """The most cores of a worker's share for which its container has the memory; one at least."""
    return max(n for n in range(1, max(1, share) + 1) if n == 1 or _min_executor(n).limit <= limit)


def _min_executor(cores: int) -> Executor:
    heap = _EXECUTOR_HEAP + _EXECUTOR_HEAP_PER_CORE * (cores - 1)
    python = _PYTHON_FIRST_CORE + _PYTHON_PER_CORE * (cores - 1)
    return Executor(cores, heap, _overhead(heap), python)


def _make_executor(limit: int, cores: int) -> Executor:
    """Fills a worker's container: half of what is left beyond the minimum goes to Python, up to its maximum."""
    minimum = _min_executor(cores)
    extra = limit - minimum.limit
    max_python = _MAX_PYTHON_FIRST_CORE + _MAX_PYTHON_PER_CORE * (cores - 1)
    python = min(max_python, minimum.python + extra // 2)
    for_jvm = limit - _WORKER_HEAP - _WORKER_OFF_HEAP - python
    # the overhead is a tenth of the heap where that is more than its minimum
    heap = min(_MAX_HEAP, for_jvm - _MIN_OVERHEAD, for_jvm * _OVERHEAD_SHARE // (_OVERHEAD_SHARE + 1))
    return Executor(cores, heap, _overhead(heap), python)


def _overhead(heap: int) -> int:
    return max(_MIN_OVERHEAD, -(-heap // _OVERHEAD_SHARE))


def heaps_within(limits: Mapping[str, int]) -> dict[str, int]:
    """Returns the heap of each JVM within its container's limit, workers apart."""
    return {part.name: limits[part.name] - part.off_heap for part in _PARTS if part.off_heap}


def driver_heap(client: int) -> int:
    """Returns the heap of a driver in a client's container of so many MiB."""
    return min(client - _DRIVER_OVERHEAD - _DRIVER_PYTHON, int(client * _DRIVER_HEAP_SHARE))


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
