"""Which cases of a test the short form takes."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def long_but(names: Iterable[str], short: Collection[str]) -> list[Any]:
    """Returns the names as parameters of a test, all but the short ones marked long."""
    return [pytest.param(name, marks=() if name in short else pytest.mark.long) for name in names]
