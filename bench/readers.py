"""Reads every published table as any reader would, and tells how two readings differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds

from spark_apps.storage.transaction import recover
from spark_apps.tables import BATCH_TABLES, RECOMMENDATIONS, Table

# sums of prices depend on the order of adding, scores of ALS on the order of whole blocks
SUM_TOLERANCE, SCORE_TOLERANCE = 1e-9, 1e-5

Content = dict[str, pa.Table]


def content(root: Path, tables: Sequence[Table] = BATCH_TABLES) -> Content:
    """Reads published tables as any reader would, their rows in order."""
    recover(root)
    read = {}
    for table in tables:
        hive = ds.partitioning(pa.schema([("date", pa.date32())]), flavor="hive") if table.partition else None
        names = table.schema.names
        files = any((root / table.path).rglob("*.parquet"))
        stored = ds.dataset(root / table.path, format="parquet", partitioning=hive).to_table() if files else None
        rows = stored.select(names) if stored is not None else table.schema.empty_table()
        order = [(field.name, "ascending") for field in table.schema if not pa.types.is_list(field.type)]
        read[table.name] = rows.sort_by(order)
    return read


def difference(name: str, expected: pa.Table, found: pa.Table, tolerance: float = SUM_TOLERANCE) -> str | None:
    """Says how two tables differ; None where they are equal, doubles up to a share, scores up to a distance."""
    if expected.num_rows != found.num_rows:
        return f"{name} has {found.num_rows} rows, not {expected.num_rows}"
    if name == RECOMMENDATIONS.name and tolerance:
        # equal scores may change places: users, ranks and scores tell
        expected, found = expected.select(["user_id", "rank", "score"]), found.select(["user_id", "rank", "score"])
    for column in expected.column_names:
        one, other = expected[column].combine_chunks(), found[column].combine_chunks()
        if not (_near(one, other, tolerance) if pa.types.is_floating(one.type) else one.equals(other)):
            return f"{name}.{column} differs"
    return None


def same_figures(one: Any, other: Any) -> bool:
    """Says whether two metrics are equal, numbers in them up to a share."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_figures(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_figures, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return bool(np.isclose(one, other, rtol=SCORE_TOLERANCE, atol=0.0, equal_nan=True))
    return bool(one == other)


def _near(one: pa.Array, other: pa.Array, tolerance: float) -> bool:
    distance = SCORE_TOLERANCE if pa.types.is_float32(one.type) and tolerance else 0.0
    values = [array.to_numpy(zero_copy_only=False).astype(np.float64) for array in (one, other)]
    same_nulls = one.is_null().equals(other.is_null())
    return same_nulls and np.allclose(*values, rtol=tolerance, atol=distance, equal_nan=True)
