"""Schemas: every column says what it is, and every table has one."""

from __future__ import annotations

import pyarrow as pa
import pytest

from spark_apps import schemas
from spark_apps.tables import TABLES

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
