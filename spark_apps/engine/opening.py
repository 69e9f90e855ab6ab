"""Which engine a command's work runs on, and its opening."""

from __future__ import annotations

import importlib.util
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import SourceFileLoader
from pathlib import Path
from zipimport import zipimporter

from spark_apps.engine.base import Engine
from spark_apps.engine.local import LocalEngine
from spark_apps.engine.spills import open_spills
from spark_apps.errors import SparkMissingError, UserError
from spark_apps.settings import Settings, table_root
from spark_apps.storage import HdfsPath

SPARK_VERSION = "4.1"


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
        UserError: when another PySpark is found, or Spark cannot read below the root.
        JavaMissingError: when a local Spark is wanted and no usable Java is found.
        HdfsUnreachableError: when the root's NameNode does not answer.
    """
    if wants_spark(settings):
        _check_pyspark()
        # late: a second that a local run need not wait, and a package that it need not have
        from spark_apps.engine.session import spark_session
        from spark_apps.engine.spark import engine_of

        with spark_session(settings, job) as spark:
            yield engine_of(spark)
        return
    with open_spills(settings, "engine") as spills, LocalEngine(cores(), settings.memory, spills) as engine:
        yield engine


def _check_pyspark() -> None:
    """Looks at PySpark before it is imported: another one may lack what is imported of it."""
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise SparkMissingError
    folder = Path(spec.origin).parent
    text = (
        spec.loader.get_data(str(folder / "version.py")).decode()
        if isinstance(spec.loader, SourceFileLoader | zipimporter)
        else ""
    )
    version = re.search(r"__version__.*[\"'](\d+\.\d+)", text)
    if version is None or version[1] != SPARK_VERSION:
        found = version[1] if version else "of another kind"
        raise UserError(
            f"Python finds PySpark {found} in {folder}, and this needs {SPARK_VERSION}: take that folder out of "
            "PYTHONPATH."
        )


def cores() -> int:
    """Returns the cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux has it
    return len(affinity(0)) if affinity is not None else (os.cpu_count() or 1)
