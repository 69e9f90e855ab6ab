"""Merges new rows into sorted ones a part at a time, so that memory grows with the new rows only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa

Join = Callable[[list[pa.Table]], pa.Table]


def merged(parts: Iterable[pa.Table], newer: pa.Table, join: Join) -> Iterator[pa.Table]:
    """Merges rows into others that are sorted by user.

    Args:
        parts: the others; all parts together are sorted by user_id, each has a row at least.
        newer: rows in any order.
        join: makes one table, sorted by user_id, of older and newer rows of the same users.

    Yields:
        Tables that hold all rows of their users; together they are sorted by user_id.
    """
    newer = newer.sort_by("user_id")
    users, taken, held = newer["user_id"].to_numpy(), 0, newer.slice(0, 0)
    for part in parts:
        held = pa.concat_tables([held, part])
        last = held["user_id"][-1].as_py()  # may have rows in the next part, too
        complete, until = (int(np.searchsorted(one, last)) for one in (held["user_id"].to_numpy(), users))
        yield join([held.slice(0, complete), newer.slice(taken, until - taken)])
        held, taken = held.slice(complete), until
    yield join([held, newer.slice(taken)])


def cut(parts: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Cuts tables, seen as one, into tables of so many rows; the last one may have fewer."""
    held: list[pa.Table] = []
    for part in parts:
        held.append(part)
        if sum(map(len, held)) >= rows:
            whole = pa.concat_tables(held)
            full = len(whole) - len(whole) % rows
            yield from (whole.slice(start, rows) for start in range(0, full, rows))
            held = [whole.slice(full)]
    if any(map(len, held)):
        yield pa.concat_tables(held)
