"""Compares a table on hosts with that of one machine, by column: there may be millions of rows."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from spark_apps.tables import EVENTS, QUARANTINE, Table
from tests.factory import read_published

CLEANED = {
    EVENTS: ("event_time", "user_id", "product_id", "event_type", "user_session", "price"),
    QUARANTINE: ("raw_line",),
}


def rows_here(root: Path, table: Table, order: tuple[str, ...]) -> pa.Table:
    return in_order(read_published(root, table), order)


def in_order(table: pa.Table, order: tuple[str, ...]) -> pa.Table:
    return table.sort_by([(name, "ascending") for name in order])


def assert_tables(found: pa.Table, expected: pa.Table) -> None:
    """Compares two tables: floats to nine digits, all else exactly."""
    assert found.num_rows == expected.num_rows
    assert set(found.column_names) == set(expected.column_names)
    for name in expected.column_names:
        ours, theirs = found[name], expected[name]
        if pa.types.is_floating(theirs.type):
            apart = pc.abs(pc.subtract(ours, theirs))
            limit = pc.add(pc.multiply(pc.abs(theirs), 1e-9), 1e-9)
            assert pc.all(pc.less_equal(apart, limit), skip_nulls=True).as_py() is not False, name
            assert ours.null_count == theirs.null_count, name
        elif pa.types.is_date(theirs.type):
            assert pc.cast(theirs, pa.string()).equals(pc.cast(ours, pa.string())), name
        else:
            assert pc.cast(ours, theirs.type).equals(theirs), name
