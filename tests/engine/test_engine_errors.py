"""Errors of DuckDB, of Spark and of its JVM are known by where their classes come from."""

from __future__ import annotations

import duckdb
import pytest
from py4j.protocol import Py4JError, Py4JNetworkError
from pyspark.errors import AnalysisException, StreamingQueryException

from spark_apps.errors import MissingModelError, is_engine_error


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
