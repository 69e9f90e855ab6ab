"""What jobs may ask of an engine, and what a unit of work may ask of the task it runs in."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain
from typing import Any, Generic, TypeVar

import pyarrow as pa

from spark_apps.engine.database import Database, Limits
from spark_apps.storage import StoragePath, for_another_thread, parquet_files, write_parts

# Rows of a group of rows in files that a single user is looked up in.
ROWS_PER_GROUP = 122_880
Value = TypeVar("Value")


@dataclass(frozen=True)
class Relation:
    """Rows of Parquet files that are laid out alike.

    Attributes:
        files: Parquet files with the columns of the schema, and perhaps others.
        schema: what is read of them.
        where: a condition in SQL that rows must meet, in what DuckDB and Spark have in common; None keeps all.
    """

    files: tuple[StoragePath, ...]
    schema: pa.Schema
    where: str | None = None

    @classmethod
    def of(cls, folder: StoragePath, schema: pa.Schema, where: str | None = None) -> Relation:
        """Takes all Parquet files of a folder, in the order of their names."""
        return cls(parquet_files(folder), schema, where)

    def select(self, *names: str) -> Relation:
        """Returns the same rows with fewer columns, in this order."""
        return Relation(self.files, pa.schema([self.schema.field(name) for name in names]), self.where)


class Task:
    """Where a unit runs: its inputs by name in a database, its outputs as folders, and what all tasks share."""

    def __init__(
        self,
        name: str,
        limits: Limits,
        outputs: Mapping[str, StoragePath],
        shared: Any = None,
        item: Any = None,
        open_database: Callable[[], Database] | None = None,
    ) -> None:
        """Begins a task.

        Args:
            name: begins the names of its files; no other task, and no other try of it, has it.
            limits: of its database; so many threads it may use outside of it, too.
            outputs: a folder for each output.
            shared: what the caller gave for all tasks.
            item: what it is about, where a unit is run for each of several items.
            open_database: opens its database; by default one of its own, within the limits.
        """
        self.shared, self.item, self.threads = shared, item, limits.threads
        # databases that share a folder would take each other's files
        self._open = open_database or (lambda: Database(replace(limits, spill=limits.spill / name)))
        self._task, self._outputs = name, {key: for_another_thread(folder) for key, folder in outputs.items()}
        self.written: list[tuple[str, str, int]] = []
        self._files: Counter[str] = Counter()
        self.results: dict[str, list[pa.Table]] = {}

    def __enter__(self) -> Task:
        return self

    def __exit__(self, *raised: object) -> None:
        if "database" in vars(self):
            self.database.close()

    @cached_property
    def database(self) -> Database:
        """Holds the inputs; opened when it is first asked for."""
        return self._open()

    def output(
        self,
        name: str,
        schema: pa.Schema,
        parts: Iterable[pa.Table],
        seldom_repeated: Sequence[str] = (),
        folder: str | None = None,
    ) -> int:
        """Writes rows as a file of an output; the caller sees it when the whole work is done.

        Outputs may be written side by side, each in a thread of its own.

        Args:
            name: of the output.
            schema: of the rows.
            parts: the rows, a table at a time; no file is made where there is none.
            seldom_repeated: columns that take less room without a dictionary of their values.
            folder: in the output's folder, for a table that is partitioned; the folder itself by default.

        Returns:
            The rows.
        """
        rows = 0

        def counted() -> Iterator[pa.Table]:
            nonlocal rows
            for part in parts:
                rows += len(part)
                yield part

        given = counted()
        first = next(given, None)
        if first is None:
            return 0
        file = f"{folder}/" if folder is not None else ""
        file += f"{self._task}-{self._files[name]:04d}.zstd.parquet"
        self._files[name] += 1
        write_parts(self._outputs[name] / file, schema, chain([first], given), ROWS_PER_GROUP, seldom_repeated)
        self.written.append((name, file, rows))
        return rows

    def give(self, result: str, rows: pa.Table) -> None:
        """Hands rows to the caller, which holds those of all tasks: say at the unit how many they can be."""
        self.results.setdefault(result, []).append(rows)


Unit = Callable[[Task], None]


class Shared(ABC, Generic[Value]):
    """A value that the tasks of several calls of an engine work with: hand it to them inside of what they share."""

    @abstractmethod
    def value(self) -> Value:
        """Returns the value; for tasks."""

    @abstractmethod
    def release(self) -> None:
        """Frees what is kept of it; no task may want it any more."""


@dataclass(frozen=True)
class Done:
    """What came of the work.

    Attributes:
        results: what tasks gave, by name, in no order of tasks that means anything.
        rows: rows written to each output.
    """

    results: dict[str, pa.Table] = field(default_factory=dict)
    rows: dict[str, int] = field(default_factory=dict)

    def result(self, name: str, schema: pa.Schema) -> pa.Table:
        """Returns what tasks gave under a name; an empty table of this schema where no task gave anything."""
        return self.results.get(name, schema.empty_table())


class Engine(ABC):
    """Runs units."""

    name: str
    # whether tasks run on other machines
    is_cluster: bool

    @property
    @abstractmethod
    def parallelism(self) -> int:
        """How many tasks run at a time."""

    @abstractmethod
    def run(
        self,
        unit: Unit,
        inputs: Mapping[str, Relation],
        by: str | None = None,
        outputs: Mapping[str, StoragePath] | None = None,
        shared: Any = None,
        row_seconds: float | None = None,
    ) -> Done:
        """Runs a unit on the rows of its inputs.

        Args:
            unit: can be pickled: a function of a module, or a `functools.partial` of one.
            inputs: by the names that the unit knows them by.
            by: a column of all inputs, whole numbers or texts, or an expression of such columns in what DuckDB's SQL
                and Spark's have in common: rows that agree in it come to the same task. None: all rows come to one.
            outputs: folders that do not exist yet, or hold none of the unit's files; not yet published.
            shared: handed to all tasks; can be pickled.
            row_seconds: processor time that a row of the inputs takes, about, where the unit works with Arrow and
                NumPy, so that a process has use for one core. None: it works in SQL.

        Raises:
            Whatever the unit raises.
        """

    @abstractmethod
    def map(
        self,
        unit: Unit,
        items: Sequence[Any],
        outputs: Mapping[str, StoragePath] | None = None,
        shared: Any = None,
    ) -> Done:
        """Runs a unit for each of some items, several at a time.

        Args:
            unit: as for `run`; it finds its item in `task.item`, and reads for itself what that names.
            items: can be pickled; the largest first where sizes differ much.
            outputs: as for `run`.
            shared: as for `run`.
        """

    @abstractmethod
    def share(self, value: Value) -> Shared[Value]:
        """Keeps a large value for the tasks of several calls, so that it is not handed over with each of them.

        Args:
            value: can be pickled.
        """


def gathered(parts: Iterable[Mapping[str, Sequence[pa.Table]]]) -> dict[str, pa.Table]:
    """Puts the results of tasks together."""
    found: dict[str, list[pa.Table]] = {}
    for part in parts:
        for name, tables in part.items():
            found.setdefault(name, []).extend(tables)
    return {name: pa.concat_tables(tables) for name, tables in found.items()}
