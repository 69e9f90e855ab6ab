"""Windows' Python for the tests of this folder."""

from __future__ import annotations

import pytest

from tests.windows.machine import missing, prepare


@pytest.fixture(scope="session", autouse=True)
def _windows() -> None:
    reason = missing()
    if reason is not None:
        pytest.skip(reason)
    prepare()
