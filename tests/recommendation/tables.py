"""Small tables as files, and the engines that units of this room are run on."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from spark_apps.engine.base import Engine, Relation
from spark_apps.engine.database import Limits
from spark_apps.engine.local import LocalEngine
from spark_apps.engine.published import stored_schema
from spark_apps.engine.spark import SparkEngine
from spark_apps.evaluation import held_back
from spark_apps.recommendation.als import HELD
from spark_apps.recommendation.popularity import PLACED
from spark_apps.tables import INTERACTIONS

ENGINES = ["local", "spark"]
FIRST = datetime(2019, 10, 1, tzinfo=timezone.utc)
SEGMENTS = pa.schema([(PLACED[0], pa.int64()), (PLACED[1], pa.string())])
# Of two files, so that rows do not come in one order.
_FILES = 2


def local_engine(folder: Path) -> LocalEngine:
    """An engine of two cores with little memory."""
    return LocalEngine(2, 256 << 20, folder / "spill")


def spark_engine(spark: SparkSession, folder: Path) -> SparkEngine:
    """An engine whose tasks have little memory."""
    return SparkEngine(spark, Limits(1, 256 << 20, folder / "spill"))


def engine_named(name: str, request: pytest.FixtureRequest, folder: Path) -> Engine:
    """One of ENGINES; where there is no Java, who asks for Spark is skipped."""
    return local_engine(folder) if name == "local" else spark_engine(request.getfixturevalue("spark"), folder)


def files(folder: Path, schema: pa.Schema, rows: Iterable[Iterable[Any]]) -> Relation:
    """Writes rows as files of a new folder.

    Args:
        folder: a new one.
        schema: of the rows.
        rows: values in the order of the schema.
    """
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    table = pa.table([pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema)
    folder.mkdir(parents=True)
    for part in range(_FILES):
        pq.write_table(
            table.take(pa.array(range(part, len(table), _FILES), pa.int64())), folder / f"part {part}.parquet"
        )
    return Relation.of(folder, schema)


def interactions(folder: Path, rows: Iterable[tuple[int, int, float]]) -> Relation:
    """Interactions of user, product and score; nothing was bought."""
    return touched(folder, ((user, product, score, 0, 0) for user, product, score in rows))


def touched(folder: Path, rows: Iterable[tuple[int, int, float, int, int]]) -> Relation:
    """Interactions of user, product, score, purchases, and the day of the last event."""
    pairs = ((u, p, score, 1, bought, FIRST + timedelta(days=day)) for u, p, score, bought, day in rows)
    return files(folder, stored_schema(INTERACTIONS), pairs)


def segments(folder: Path, rows: Iterable[tuple[int, str]]) -> Relation:
    """Users in their segments."""
    return files(folder, SEGMENTS, rows)


def nothing_held() -> Relation:
    """No pair that is kept from models."""
    return Relation((), HELD)


def held(folder: Path, rows: Iterable[tuple[int, int]]) -> Relation:
    """Pairs that are kept from models."""
    return files(folder, held_back.HELD, ((user, FIRST, product, 1.0) for user, product in rows))


def read(relation: Relation, *order: str) -> pa.Table:
    """Reads a relation's files, sorted."""
    tables = [pq.read_table(str(path), columns=relation.schema.names, partitioning=None) for path in relation.files]
    table = pa.concat_tables(tables) if tables else relation.schema.empty_table()
    assert table.schema.equals(relation.schema)
    return table.sort_by([(name, "ascending") for name in order]).combine_chunks()
