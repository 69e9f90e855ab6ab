"""A month for the replay, and a folder on HDFS."""

from __future__ import annotations

from pathlib import Path

import pytest

from spark_apps.generator import GeneratorSpec, write_events
from tests.storage.conftest import on_hdfs

__all__ = ["on_hdfs"]


@pytest.fixture(scope="session")
def november(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of a synthetic November."""
    path = tmp_path_factory.mktemp("november") / "synthetic-2019-11.csv"
    write_events(GeneratorSpec(6_000, "2019-11", 5), path)
    return path
