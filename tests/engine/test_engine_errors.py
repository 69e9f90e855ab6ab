"""Errors of DuckDB, of Spark and of its JVM are known by where their classes come from."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from py4j.protocol import Py4JError, Py4JNetworkError
from pyspark.errors import AnalysisException, StreamingQueryException

from spark_apps.engine.base import Task
from spark_apps.engine.local import LocalEngine
from spark_apps.errors import MissingModelError, OutOfMemoryError, from_engine_error, is_engine_error


class OwnJvmError(Py4JError):
    """Somebody's, made of py4j's."""


@pytest.mark.parametrize(
    "kind", [duckdb.IOException, AnalysisException, StreamingQueryException, Py4JError, Py4JNetworkError, OwnJvmError]
)
def test_errors_of_engines_are_known(kind: type[Exception]) -> None:
    assert is_engine_error(kind("the engine said no"))


@pytest.mark.parametrize("error", [ValueError("pyspark"), OSError(28, "full"), MissingModelError("als")])
def test_other_errors_are_not_taken_for_theirs(error: Exception) -> None:
    assert not is_engine_error(error)


def _collect(task: Task) -> None:
    task.database.value("select len(list(i)) from range(20_000_000) numbers(i)")  # lists are never spilled


def test_a_query_that_can_not_be_spilled_is_told_in_a_sentence_that_names_the_setting(tmp_path: Path) -> None:
    with LocalEngine(1, 64 << 20, tmp_path / "spill") as engine, pytest.raises(duckdb.OutOfMemoryException) as raised:
        engine.run(_collect, {})
    assert is_engine_error(raised.value)
    told = from_engine_error(str(raised.value), tmp_path)
    assert isinstance(told, OutOfMemoryError) and "SHOPSTREAM_MEMORY=8g" in str(told)
