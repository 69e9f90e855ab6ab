"""Schemas: every column says what it is, and a frame that does not fit is refused."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from pyspark.sql.pandas.types import from_arrow_schema

from spark_apps import schemas, tables
from spark_apps.engine.frames import fit_schema, write_files
from spark_apps.tables import TABLES, USER_SEGMENTS
from tests.factory import events_frame

EVERY_SCHEMA = {name: value for name, value in vars(schemas).items() if isinstance(value, pa.Schema)}


@pytest.mark.parametrize("name", sorted(EVERY_SCHEMA))
def test_every_column_has_a_comment(name: str) -> None:
    columns = schemas.COLUMNS[name.lower()]
    assert [one.name for one in columns] == EVERY_SCHEMA[name].names
    assert not [one.name for one in columns if not one.about.strip()]


@pytest.mark.parametrize("name", sorted(EVERY_SCHEMA))
def test_no_comment_goes_into_files(name: str) -> None:
    assert EVERY_SCHEMA[name].metadata is None
    assert not [field.name for field in EVERY_SCHEMA[name] if field.metadata]


@pytest.mark.parametrize("name", sorted(EVERY_SCHEMA))
def test_no_column_comes_twice(name: str) -> None:
    columns = EVERY_SCHEMA[name].names
    assert len(set(columns)) == len(columns)


def test_every_table_has_a_schema_a_command_and_a_place_of_its_own() -> None:
    assert {table.name.upper() for table in TABLES} == set(EVERY_SCHEMA) - {"POPULAR_PRODUCTS"}  # part of a model
    assert all(table.schema is EVERY_SCHEMA[table.name.upper()] for table in TABLES)
    assert len({table.path for table in TABLES}) == len(TABLES)
    assert all(table.command in ("clean", "features", "segment", "train", "stream") for table in TABLES)
    assert all(table.partition is None or table.partition in table.schema.names for table in TABLES)


def test_the_events_begin_with_the_nine_columns_of_the_log() -> None:
    assert tuple(schemas.EVENTS.names[:9]) == schemas.CSV_COLUMNS


def test_columns_are_put_in_the_table_s_order_and_others_left_out(spark: SparkSession) -> None:
    frame = events_frame(spark, [{}]).select(F.lit(1).alias("other"), *reversed(schemas.EVENTS.names))
    assert fit_schema(frame, tables.EVENTS).columns == schemas.EVENTS.names


def test_a_wrong_type_is_refused_and_its_column_named(spark: SparkSession) -> None:
    frame = events_frame(spark, [{}]).withColumn("price", F.col("price").cast("string"))
    with pytest.raises(ValueError, match=r"^table events: price is string, not double$"):
        fit_schema(frame, tables.EVENTS)


def test_every_wrong_column_is_named(spark: SparkSession) -> None:
    frame = events_frame(spark, [{}]).withColumns({"hour": F.lit(1).cast("bigint"), "brand": F.lit(1)})
    with pytest.raises(ValueError, match="brand is int, not string; hour is bigint, not int"):
        fit_schema(frame, tables.EVENTS)


def test_a_frame_of_another_type_is_not_written(spark: SparkSession, tmp_path: Path) -> None:
    frame = spark.createDataFrame([], from_arrow_schema(USER_SEGMENTS.schema)).withColumn("cluster", F.lit("0"))
    with pytest.raises(ValueError, match="cluster is string, not int"):
        write_files(frame, tmp_path / "segments", USER_SEGMENTS)
    assert not (tmp_path / "segments").exists()
