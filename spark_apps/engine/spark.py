"""Runs units in Spark's tasks: Spark reads files where they lie, brings rows together, schedules and tries again."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import reduce
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark import TaskContext
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from spark_apps.engine.base import Done, Engine, Relation, Shared, Task, Unit, Value, gathered
from spark_apps.engine.broadcast import broadcast
from spark_apps.engine.database import Limits
from spark_apps.engine.relations import register
from spark_apps.settings import GIB
from spark_apps.storage import StoragePath
from spark_apps.storage.staging import discard

_INPUT = "input_number"
# What the queries of a task may take before they spill; its rows come on top.
_TASK_MEMORY = GIB
# a row is a file that a task wrote, or one of its results as bytes of Arrow's
_FOUND = "name string, file string, rows long, result binary"
_FOUND_SCHEMA = pa.schema(
    [("name", pa.string()), ("file", pa.string()), ("rows", pa.int64()), ("result", pa.large_binary())]
)
_Step = Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]]


class SparkEngine(Engine):
    """Runs units in the tasks of a session."""

    name = "spark"

    def __init__(self, spark: SparkSession, limits: Limits) -> None:
        """Names the session and what one task may take."""
        self.session, self._limits = spark, limits
        self.is_cluster = not str(spark.sparkContext.master).startswith("local")

    @property
    def parallelism(self) -> int:
        """See Engine: cores of the executors that there are."""
        return int(self.session.sparkContext.defaultParallelism)

    def run(
        self,
        unit: Unit,
        inputs: Mapping[str, Relation],
        by: str | None = None,
        outputs: Mapping[str, StoragePath] | None = None,
        shared: Any = None,
        row_seconds: float | None = None,
    ) -> Done:
        """See Engine. A task holds its part of the inputs in memory."""
        scratch, handed = _scratch(outputs or {}), broadcast(self.session, shared)
        schemas = {name: one.schema for name, one in inputs.items()}
        step = _in_task(unit, schemas, scratch, handed, self._limits, runs_without_rows=by is None)
        done = _done(self._together(inputs, by).mapInArrow(step, _FOUND), scratch, outputs or {})
        handed.release()
        return done

    def map(
        self,
        unit: Unit,
        items: Sequence[Any],
        outputs: Mapping[str, StoragePath] | None = None,
        shared: Any = None,
    ) -> Done:
        """See Engine. Each item has a task of its own."""
        scratch, handed = _scratch(outputs or {}), broadcast(self.session, (list(items), shared))
        numbers = self.session.range(0, len(items), 1, max(1, len(items)))
        step = _for_each(unit, scratch, handed, self._limits)
        done = _done(numbers.mapInArrow(step, _FOUND), scratch, outputs or {})
        handed.release()
        return done

    def share(self, value: Value) -> Shared[Value]:
        """See Engine: each executor gets it once."""
        return broadcast(self.session, value, is_kept=True)

    def _together(self, inputs: Mapping[str, Relation], by: str | None) -> DataFrame:
        """All inputs as one frame, each row with the number of its input and nulls for what others have."""
        widened = pa.unify_schemas([one.schema for one in inputs.values()])
        frames = [self._read(number, one, widened) for number, one in enumerate(inputs.values())]
        united = reduce(DataFrame.unionByName, frames)
        return united.coalesce(1) if by is None else united.repartition(F.expr(by))

    def frame(self, relation: Relation) -> DataFrame:
        """Returns the rows of a relation as Spark's frame, for what Spark's own libraries do."""
        reader = self.session.read.schema(from_arrow_schema(relation.schema))
        paths = [_literal(path) for path in relation.files]
        rows = reader.parquet(*paths) if paths else self.session.createDataFrame([], from_arrow_schema(relation.schema))
        return rows if relation.where is None else rows.where(relation.where)

    def _read(self, number: int, relation: Relation, widened: pa.Schema) -> DataFrame:
        columns = [
            F.col(one.name) if one.name in relation.schema.names else F.lit(None).cast(_spark_type(one)).alias(one.name)
            for one in widened
        ]
        return self.frame(relation).select(F.lit(number).alias(_INPUT), *columns)


def engine_of(spark: SparkSession) -> SparkEngine:
    """Returns an engine on a session that is open: what a task's queries take before they spill is a GiB."""
    return SparkEngine(spark, Limits(1, _TASK_MEMORY, Path(tempfile.gettempdir())))


def _literal(path: StoragePath) -> str:
    """A path as Spark's reader takes it, which looks for patterns in it."""
    return "".join(f"\\{letter}" if letter in "{}[]*?\\" else letter for letter in str(path))


def _spark_type(field: pa.Field) -> Any:
    return from_arrow_schema(pa.schema([field]))[0].dataType


def _in_task(
    unit: Unit,
    schemas: Mapping[str, pa.Schema],
    outputs: Mapping[str, StoragePath],
    shared: Shared[Any],
    limits: Limits,
    runs_without_rows: bool,
) -> _Step:
    def work(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        held = [batch for batch in batches if batch.num_rows]
        if not held and not runs_without_rows:
            return
        with Task(_name_of_try(), _on_spark_s_disk(limits), outputs, shared.value()) as task:
            for number, (name, schema) in enumerate(schemas.items()):
                register(task.database, name, _rows_of(held, number, schema))
            held.clear()
            unit(task)
        yield from _told(task)

    return work


def _for_each(unit: Unit, outputs: Mapping[str, StoragePath], shared: Shared[Any], limits: Limits) -> _Step:
    def work(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        items, for_all = shared.value()
        for number in (number for batch in batches for number in batch["id"].to_pylist()):
            name = f"{_name_of_try()}-{number}"
            with Task(name, _on_spark_s_disk(limits), outputs, for_all, items[number]) as task:
                unit(task)
            yield from _told(task)

    return work


def _on_spark_s_disk(limits: Limits) -> Limits:
    """Has a task spill where Spark does: a container's /tmp may be small, and in memory."""
    folders = os.environ.get("SPARK_LOCAL_DIRS")
    return limits if not folders else replace(limits, spill=Path(folders.split(",")[0]))


def _rows_of(batches: list[pa.RecordBatch], number: int, schema: pa.Schema) -> pa.Table:
    if not batches:
        return schema.empty_table()
    rows = pa.Table.from_batches(batches)
    return rows.filter(pc.equal(rows[_INPUT], number)).select(schema.names).cast(schema)


def _name_of_try() -> str:
    context = TaskContext.get()
    assert context is not None
    return f"part-{context.partitionId():05d}-{context.taskAttemptId()}"


def _told(task: Task) -> Iterator[pa.RecordBatch]:
    for output, file, rows in task.written:
        yield _row(output, file, rows, None)
    for result, tables in task.results.items():
        for table in tables:
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, table.schema) as stream:
                stream.write_table(table)
            yield _row(result, None, len(table), sink.getvalue().to_pybytes())


def _row(name: str, file: str | None, rows: int, result: bytes | None) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([{"name": name, "file": file, "rows": rows, "result": result}], _FOUND_SCHEMA)


def _results(found: list[dict[str, Any]]) -> dict[str, pa.Table]:
    parts: list[dict[str, list[pa.Table]]] = [
        {row["name"]: [pa.ipc.open_stream(row["result"]).read_all()]} for row in found if row["result"] is not None
    ]
    return gathered(parts)


def _scratch(outputs: Mapping[str, StoragePath]) -> dict[str, StoragePath]:
    """A folder for the files of tries in each output's own; readers pass over its name."""
    scratch = {name: folder / f".tries-{uuid.uuid4().hex[:8]}" for name, folder in outputs.items()}
    for folder in scratch.values():
        folder.mkdir(parents=True, exist_ok=True)
    return scratch


def _done(rows: DataFrame, scratch: Mapping[str, StoragePath], outputs: Mapping[str, StoragePath]) -> Done:
    """Does the work. A row a file, and a row a result, which a unit says the size of, come to the driver."""
    found = [row.asDict() for row in rows.collect()]
    return Done(_results(found), _move(found, scratch, outputs))


def _move(
    found: list[dict[str, Any]], scratch: Mapping[str, StoragePath], outputs: Mapping[str, StoragePath]
) -> dict[str, int]:
    """Moves the files that whole tasks told of; tries that failed or came too late have left others."""
    rows = dict.fromkeys(outputs, 0)
    for one in found:
        if one["file"] is not None:
            target = outputs[one["name"]] / one["file"]
            target.parent.mkdir(parents=True, exist_ok=True)
            (scratch[one["name"]] / one["file"]).rename(target)
            rows[one["name"]] += one["rows"]
    for folder in scratch.values():
        discard(folder)
    return rows
