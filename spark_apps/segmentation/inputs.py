"""What users are clustered by: eight features, their units, and their scale."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from spark_apps import schemas
from spark_apps.engine.base import Task

UNITS = {
    "recency": "days",
    "frequency": "active days",
    "monetary": "currency of the log",
    "conversion_rate": "purchases per view",
    "cart_abandonment": "share of carts",
    "unique_products": "products",
    "unique_categories": "categories",
    "avg_price": "currency of the log",
}
FEATURES = tuple(UNITS)
# Equal prices added up in another order differ in their last digits: these must not tell users apart.
_OF_PRICES, _PRICE_DIGITS = ("monetary", "avg_price"), 6
# from here on a double has no such digits
_WHOLE = 2.0**52 / 10**_PRICE_DIGITS
# What a user takes of a unit's time, about.
USER_SECONDS = 2e-6
# Users whose distances and the like are in memory at a time, and stay in the processor's caches.
BLOCK = 16_384
Floats = NDArray[np.float64]


def _columns(*names: str) -> pa.Schema:
    features: pa.Schema = schemas.USER_FEATURES
    return pa.schema([features.field(name) for name in names])


# What clustering reads of a user, and what placing does.
CLUSTERED = _columns("user_id", *FEATURES)
PLACED = _columns("user_id", "purchases", *FEATURES, "first_seen", "last_seen")


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation of each feature."""

    mean: Floats
    deviation: Floats

    def standardised(self, points: Floats) -> Floats:
        """Returns points in standard deviations from the mean; a feature without spread is 0, as in Spark."""
        varies = self.deviation > 0
        scaled: Floats = np.where(varies, (points - self.mean) / np.where(varies, self.deviation, 1.0), 0.0)
        return scaled


def points_of(users: pa.Table) -> Floats:
    """Returns the features of users, shape (users, features); a missing mean price is 0."""
    return np.column_stack([_doubles(users[name], name) for name in FEATURES])


def users_in_order(task: Task) -> tuple[NDArray[np.int64], Floats]:
    """Returns a task's users and their features, in the order of the users: so sums don't depend on that of files."""
    users = task.database.rows("select * from users", CLUSTERED)
    ids: NDArray[np.int64] = users["user_id"].to_numpy()
    points = points_of(users)
    if (ids[1:] >= ids[:-1]).all():  # as a rule, by their files
        return ids, points
    order = np.argsort(ids, kind="stable")
    return ids[order], points[order]


def blocks(rows: int) -> Iterator[slice]:
    """Yields slices of so many rows."""
    return (slice(start, start + BLOCK) for start in range(0, rows, BLOCK))


def lists_of(values: Floats) -> pa.Array:
    """Returns points as lists, as `matrix_of` reads them."""
    return pa.array(values.tolist(), pa.list_(pa.float64()))


def matrix_of(lists: pa.ChunkedArray | list[list[float]]) -> Floats:
    """Returns lists of doubles, a feature each, as points."""
    rows = lists if isinstance(lists, list) else lists.to_pylist()
    return np.array(rows, np.float64).reshape(-1, len(FEATURES))


def fixed_sum(parts: Floats) -> Floats:
    """Adds up what parts found, a row each: the same whatever the order in which they come."""
    found: Floats = np.sort(parts, axis=0).sum(axis=0)
    return found


def _doubles(column: pa.ChunkedArray, name: str) -> Floats:
    values: Floats = column.fill_null(0).to_numpy().astype(np.float64)
    if name not in _OF_PRICES:
        return values
    return np.where(np.abs(values) < _WHOLE, np.round(values, _PRICE_DIGITS), values)
