"""Fixtures that every test may use: one Spark session, and rows of the real log where they are to be had."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from spark_apps.session import spark_session
from spark_apps.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[1]
SAMPLE_VARIABLE = "SHOPSTREAM_SAMPLE"
USUAL_SAMPLE = REPOSITORY.parent / "shared" / "data" / "user_behavior_sample.csv"


@pytest.fixture(autouse=True, scope="session")
def _no_settings_from_outside() -> Iterator[None]:
    """A developer's own SHOPSTREAM_ settings must not change what the tests see."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("SHOPSTREAM_")]:
            if name != SAMPLE_VARIABLE:
                patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Settings of a small local Spark; their root is the session's own and empty."""
    return Settings(
        root=str(tmp_path_factory.mktemp("root")),
        master="local[2]",
        driver_memory="2g",
        shuffle_partitions=2,
        spark_ui=False,
    )


@pytest.fixture(scope="session")
def spark(settings: Settings) -> Iterator[SparkSession]:
    """The one Spark session of the test run, built as the commands build theirs."""
    with spark_session(settings, "tests") as session:
        yield session


@pytest.fixture(scope="session")
def sample_path() -> Path:
    """The first rows of the real October 2019 file."""
    path = Path(os.environ.get(SAMPLE_VARIABLE, USUAL_SAMPLE))
    if not path.is_file():
        pytest.skip(f"the real rows are not here: set {SAMPLE_VARIABLE} to a file of them")
    return path
