"""Compares rows exactly, floats within a tolerance, and says which values differ."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

Row = Mapping[str, Any]
_SHOWN = 10


def assert_rows(found: Iterable[Row], expected: Iterable[Row], rel: float = 1e-12) -> None:
    """Checks that rows are equal, in order: types too, floats within a relative tolerance."""
    have, want = list(found), list(expected)
    assert len(have) == len(want), f"{len(have)} rows, not {len(want)}"
    wrong = [
        f"row {number} ({_head(right)}), {name}: {row.get(name)!r}, not {right.get(name)!r}"
        for number, (row, right) in enumerate(zip(have, want, strict=True))
        for name in sorted({*row, *right})
        if name not in row or name not in right or not same(row[name], right[name], rel)
    ]
    assert not wrong, f"{len(wrong)} values differ:\n" + "\n".join(wrong[:_SHOWN])


def same(one: Any, other: Any, rel: float = 1e-12) -> bool:
    """Says whether two values are equal and of one type; floats within a relative tolerance."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float):
        return math.isclose(one, other, rel_tol=rel, abs_tol=rel)
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key], rel) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(same(*pair, rel) for pair in zip(one, other, strict=True))
    return bool(one == other)


def _head(row: Row) -> str:
    return ", ".join(f"{name} {row[name]}" for name in list(row)[:2])
