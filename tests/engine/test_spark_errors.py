"""Errors of Spark and of its JVM are known by where their classes come from."""

from __future__ import annotations

import pytest
from py4j.protocol import Py4JError, Py4JNetworkError
from pyspark.errors import AnalysisException, StreamingQueryException

from spark_apps.errors import MissingModelError, is_spark_error


class OwnJvmError(Py4JError):
    """Somebody's, made of py4j's."""


@pytest.mark.parametrize("kind", [AnalysisException, StreamingQueryException, Py4JError, Py4JNetworkError, OwnJvmError])
def test_errors_of_spark_are_known(kind: type[Exception]) -> None:
    assert is_spark_error(kind("the JVM said no"))


@pytest.mark.parametrize("error", [ValueError("pyspark"), OSError(28, "full"), MissingModelError("als")])
def test_other_errors_are_not_taken_for_spark_s(error: Exception) -> None:
    assert not is_spark_error(error)
