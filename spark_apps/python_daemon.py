"""Spark starts this in place of `pyspark.daemon` (spark.python.daemon.module): its Python workers fork from it.

A task costs less processor time with it, for two reasons; nothing else changes:
- Spark puts its Python archives and its largest jar on PYTHONPATH. Before each task it drops the import caches, and
  Python 3.10 and 3.11 answer that by reading each archive's directory anew (CPython issue 103200; SPARK-54744 mends it
  after Spark 4.1). PySpark is installed as a package here, so the archives go.
- What tasks import is imported before the fork, once.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from fnmatch import fnmatch
from importlib import import_module
from pathlib import PurePath

_ARCHIVES = ("pyspark.zip", "py4j-*-src.zip", "spark-core_*.jar")
# libraries of most tasks; importing them starts no thread, which a fork would lose
_PRELOADED = ("numpy", "pyarrow.compute", "pyarrow.parquet")


def without_archives(path: Sequence[str]) -> list[str]:
    """Returns an import path without Spark's own archives."""
    return [entry for entry in path if not any(fnmatch(PurePath(entry).name, archive) for archive in _ARCHIVES)]


def main() -> None:
    """Forks workers for Spark until Spark closes standard input."""
    sys.path[:] = without_archives(sys.path)
    sys.path_importer_cache.clear()
    for name in _PRELOADED:
        import_module(name)
    import_module("pyspark.daemon").manager()


if __name__ == "__main__":
    main()
