"""Runs units on this machine: what is SQL in one database that uses all cores, what is Python in a process a core."""

from __future__ import annotations

import multiprocessing
import pickle
import threading
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from spark_apps.engine.base import Done, Engine, Relation, Shared, Task, Unit, Value, gathered
from spark_apps.engine.database import Database, Limits
from spark_apps.engine.relations import define
from spark_apps.storage import StoragePath, count_rows

# Below so much processor time, starting processes takes longer than what they would save.
SECONDS_WORTH_PROCESSES = 2.0


@dataclass(frozen=True)
class _Work:
    """A unit with what each of its tasks needs; it can be sent to another process."""

    unit: Unit
    inputs: Mapping[str, Relation]
    by: str | None
    outputs: Mapping[str, StoragePath]
    shared: Any
    parts: int
    limits: Limits


@dataclass
class _Here(Shared[Value]):
    held: Value | None

    def value(self) -> Value:
        assert self.held is not None, "it was released"
        return self.held

    def release(self) -> None:
        self.held = None


class _Beside:
    """Opens databases of several tasks of this process, which have threads and memory in common."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._first: Database | None = None
        self._opening = threading.Lock()

    def open(self) -> Database:
        with self._opening:
            if self._first is None:
                self._first = Database(self._limits)
            return Database(self._limits, self._first)

    def close(self) -> None:
        if self._first is not None:
            self._first.close()  # what it keeps for further queries goes with it


@dataclass(frozen=True)
class _Ran:
    """What a task wrote and gave."""

    written: list[tuple[str, str, int]]
    results: dict[str, list[pa.Table]]


class LocalEngine(Engine):
    """Runs units in this process, and those that work in Python in as many processes as there are cores."""

    name = "local"
    is_cluster = False

    def __init__(self, cores: int, memory: int, scratch: Path) -> None:
        """Says what may be used.

        Args:
            cores: threads of a database, or processes.
            memory: bytes that queries may take together before they spill.
            scratch: folder for what is spilled; it is made when it is needed.
        """
        self._cores, self._memory, self._scratch = cores, memory, scratch
        self._pool: ProcessPoolExecutor | None = None
        pa.set_cpu_count(cores)

    def __enter__(self) -> LocalEngine:
        return self

    def __exit__(self, *raised: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    @property
    def parallelism(self) -> int:
        """See Engine."""
        return self._cores

    def run(
        self,
        unit: Unit,
        inputs: Mapping[str, Relation],
        by: str | None = None,
        outputs: Mapping[str, StoragePath] | None = None,
        shared: Any = None,
        row_seconds: float | None = None,
    ) -> Done:
        """See Engine."""
        outputs = outputs or {}
        for folder in outputs.values():
            folder.mkdir(parents=True, exist_ok=True)
        parts = self._parts(inputs, row_seconds) if row_seconds is not None and by is not None else 1
        limits = Limits(self._cores // parts or 1, self._memory // parts, self._scratch)
        work = _Work(unit, inputs, by, outputs, shared, parts, limits)
        ran = [_run_part(work, 0)] if parts == 1 else self._in_processes(work)
        return _done(ran, outputs)

    def map(
        self,
        unit: Unit,
        items: Sequence[Any],
        outputs: Mapping[str, StoragePath] | None = None,
        shared: Any = None,
    ) -> Done:
        """See Engine. Items are worked on in threads: what takes time in a unit is done by Arrow, NumPy and DuckDB."""
        made = outputs or {}
        limits = Limits(1, self._memory // self._cores, self._scratch)
        databases = _Beside(Limits(self._cores, self._memory, self._scratch / _new_name(0)))

        def run_one(number: int) -> _Ran:
            with Task(_new_name(number), limits, made, shared, items[number], databases.open) as task:
                unit(task)
            return _Ran(task.written, task.results)

        with closing(databases), ThreadPoolExecutor(self._cores) as pool:
            return _done(list(pool.map(run_one, range(len(items)))), made)

    def share(self, value: Value) -> Shared[Value]:
        """See Engine: tasks of `map` are threads of this process."""
        return _Here(value)

    def _parts(self, inputs: Mapping[str, Relation], row_seconds: float) -> int:
        rows = sum(count_rows(path) for relation in inputs.values() for path in relation.files)
        return self._cores if rows * row_seconds >= SECONDS_WORTH_PROCESSES else 1

    def _in_processes(self, work: _Work) -> list[_Ran]:
        if self._pool is None:
            # not forks: those of a process with threads may hang
            self._pool = ProcessPoolExecutor(self._cores, multiprocessing.get_context("spawn"))
        packed = pickle.dumps(work)
        futures = [self._pool.submit(_run_packed, packed, part) for part in range(work.parts)]
        return [future.result() for future in futures]


def _run_packed(packed: bytes, part: int) -> _Ran:
    work: _Work = pickle.loads(packed)
    pa.set_cpu_count(work.limits.threads)
    return _run_part(work, part)


def _run_part(work: _Work, part: int) -> _Ran:
    kept = f"hash({work.by}) % {work.parts} = {part}" if work.parts > 1 else None
    with Task(_new_name(part), work.limits, work.outputs, work.shared) as task:
        for name, relation in work.inputs.items():
            define(task.database, name, relation, kept)
        work.unit(task)
    return _Ran(task.written, task.results)


def _new_name(number: int) -> str:
    """The name of a task; a run that was killed may have left files of another try."""
    return f"part-{number:05d}-{uuid.uuid4().hex[:8]}"


def _done(ran: Sequence[_Ran], outputs: Mapping[str, StoragePath]) -> Done:
    rows = dict.fromkeys(outputs, 0)
    for output, _, count in (file for one in ran for file in one.written):
        rows[output] += count
    return Done(gathered(one.results for one in ran), rows)
