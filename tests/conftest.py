"""Fixtures that every test may use: one Spark session, and rows of the real log where they are to be had."""

from __future__ import annotations

from spark_apps.runtime.threads import one_native_thread

one_native_thread()  # as commands do, before NumPy is imported

# ruff: noqa: E402
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from pyspark.sql import SparkSession
from xdist.scheduler import LoadFileScheduling

from spark_apps.engine.session import spark_session
from spark_apps.errors import JavaMissingError
from spark_apps.runtime.java import find_java
from spark_apps.settings import Settings
from tests.hdfs.server import hdfs_server
from tests.java import FIRST_COMPILER

__all__ = ["hdfs_server"]

REPOSITORY = Path(__file__).resolve().parents[1]
NOBODY = 65534
SAMPLE_VARIABLE = "SHOPSTREAM_SAMPLE"
USUAL_SAMPLE = REPOSITORY.parent / "shared" / "data" / "user_behavior_sample.csv"
# how long an example takes says nothing about the code on a busy machine
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")

# whoever sets this variable gets what they say
os.environ.setdefault("SPARK_SUBMIT_OPTS", FIRST_COMPILER)

# Side by side, a file's tests run in one process, and so do all of a folder whose files share what takes long to make.
# Such a folder begins first: what begins last is short.
TOGETHER = ("pipeline",)


class FilesAndFolders(LoadFileScheduling):
    """Hands files to processes, and folders of TOGETHER as if they were one file."""

    def _split_scope(self, nodeid: str) -> str:
        file = Path(super()._split_scope(nodeid))
        return str(file.parent if file.parent.name in TOGETHER else file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FilesAndFolders:
    """Says which tests run in one process, where several run side by side."""
    return FilesAndFolders(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins with the longest."""
    items.sort(key=lambda item: item.path.parent.name not in TOGETHER)  # stable: otherwise in the order of the files


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
def java() -> Path:
    """The home folder of the Java that Spark and Hadoop run on; who asks for it is skipped where there is none."""
    try:
        return find_java()
    except JavaMissingError:
        pytest.skip("Spark and Hadoop need Java 17 or 21, and none was found")


@pytest.fixture(scope="session")
def spark(settings: Settings, java: Path) -> Iterator[SparkSession]:
    """The one Spark session of the test run, built as the commands build theirs."""
    with spark_session(settings, "tests") as session:
        yield session


@pytest.fixture(scope="session")
def as_nobody() -> Callable[[Callable[[], Any]], Any]:
    """Calls a function in a fork of this process without root's rights; its result must be fit for JSON.

    Whatever it imports must have been imported before: nobody may not read every folder of packages.
    """
    return _in_a_fork_without_rights


def _in_a_fork_without_rights(function: Callable[[], Any]) -> Any:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            os.write(writing, json.dumps(function()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        told = answer.read()
    os.waitpid(child, 0)
    return json.loads(told)


@pytest.fixture
def in_new_york(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process on a machine whose clock shows New York's time; Spark's own zone stays UTC."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def for_everybody(tmp_path: Path) -> Path:
    """A new folder that every user can reach; what is made in it gets no rights by that."""
    for folder in (tmp_path, *tmp_path.parents):
        mode = folder.stat().st_mode
        if not mode & 0o001:
            if folder.stat().st_uid != os.geteuid():
                pytest.skip(f"others may not enter {folder}")
            folder.chmod(mode | 0o011)
    return tmp_path


@pytest.fixture(scope="session")
def sample_path() -> Path:
    """The first rows of the real October 2019 file."""
    path = sample_file()
    if path is None:
        pytest.skip(f"the real rows are not here: set {SAMPLE_VARIABLE} to a file of them")
    return path


def sample_file() -> Path | None:
    """Where the real rows are, None where they are not to be had."""
    path = Path(os.environ.get(SAMPLE_VARIABLE, USUAL_SAMPLE))
    return path if path.is_file() else None
