"""A database for lines that are not plain."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from spark_apps.engine.database import Database, Limits


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """One that the tests of a module share: each text makes its tables anew."""
    with Database(Limits(1, 256 << 20, tmp_path_factory.mktemp("spill"))) as found:
        yield found
