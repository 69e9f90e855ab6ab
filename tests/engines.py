"""The engine that tests work with where it is not what they are about."""

from __future__ import annotations

import tempfile
from functools import lru_cache
from pathlib import Path

from spark_apps.engine.local import LocalEngine


@lru_cache(maxsize=1)
def local_engine() -> LocalEngine:
    """Returns this machine's: two cores, little memory."""
    return LocalEngine(2, 512 << 20, Path(tempfile.mkdtemp(prefix="spill")))
