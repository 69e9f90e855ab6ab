"""Which engine a command's work runs on, and its opening."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager

from spark_apps.engine.base import Engine
from spark_apps.engine.local import LocalEngine
from spark_apps.engine.spills import open_spills
from spark_apps.errors import SparkMissingError
from spark_apps.settings import Settings, table_root
from spark_apps.storage import HdfsPath


def wants_spark(settings: Settings) -> bool:
    """Says whether work runs on Spark: where it was asked for, for a root on HDFS, and on a master that was named."""
    if settings.engine != "auto":
        return settings.engine == "spark"
    return isinstance(table_root(settings), HdfsPath) or "master" in settings.model_fields_set


@contextmanager
def open_engine(settings: Settings, job: str) -> Iterator[Engine]:
    """Opens the engine that the settings ask for, and closes it afterwards.

    Args:
        settings: the run's.
        job: the command's name; on Spark the application is called `shopstream <job>`.

    Raises:
        SparkMissingError: when Spark is wanted and pyspark is not installed.
        JavaMissingError: when a local Spark is wanted and no usable Java is found.
        HdfsUnreachableError: when the root's NameNode does not answer.
    """
    if wants_spark(settings):
        if importlib.util.find_spec("pyspark") is None:
            raise SparkMissingError
        # late: a second that a local run need not wait, and a package that it need not have
        from spark_apps.engine.session import spark_session
        from spark_apps.engine.spark import engine_of

        with spark_session(settings, job) as spark:
            yield engine_of(spark)
        return
    with open_spills(settings, "engine") as spills, LocalEngine(cores(), settings.memory, spills) as engine:
        yield engine


def cores() -> int:
    """Returns the cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux has it
    return len(affinity(0)) if affinity is not None else (os.cpu_count() or 1)
