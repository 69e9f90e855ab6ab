"""Python loads this at its start where this folder is on its path: PySpark is as good as not installed then."""

from __future__ import annotations

import sys
from importlib.machinery import ModuleSpec
from typing import Any


class _WithoutSpark:
    """Finds what another finder does, but for Spark's packages."""

    def __init__(self, finder: Any) -> None:
        self._finder = finder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._finder, name)

    def find_spec(self, name: str, *where: Any) -> ModuleSpec | None:
        if name.partition(".")[0] in ("pyspark", "py4j"):
            return None
        found: ModuleSpec | None = self._finder.find_spec(name, *where)
        return found


sys.meta_path[:] = [_WithoutSpark(finder) for finder in sys.meta_path]
