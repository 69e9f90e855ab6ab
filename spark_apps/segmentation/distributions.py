"""How features are spread over the users of each cluster, counted in one pass: for means, medians and RFM cuts.

Counts add up to the same whatever the partitions and the order in which they are read, so the same users always give
the same figures; Spark's approximate percentiles do not promise that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from spark_apps.features.grouping import grouped
from spark_apps.segmentation.inputs import CLUSTER, Floats

# Values that agree in so many significant digits count as one: at most 9,000 cells for each power of ten.
DIGITS = 4
_LEAST_STEP = np.finfo(np.float64).tiny
_CELLS = "cluster int, feature int, cell double, value double, users bigint, total double"


@dataclass(frozen=True)
class Distribution:
    """The users of one group at each cell of one feature.

    Attributes:
        cells: what values are rounded to, by which cells of several groups are put together.
        values: the highest value met in each cell, rising.
        users: in each cell.
        total: sum of the feature over the users, unrounded.
    """

    cells: Floats
    values: Floats
    users: NDArray[np.int64]
    total: float

    @property
    def size(self) -> int:
        """Users."""
        return int(self.users.sum())

    @property
    def mean(self) -> float:
        """The exact mean."""
        return self.total / self.size

    @property
    def median(self) -> float:
        """The lower median, within 0.1 %; exact for whole numbers below 10,000."""
        return float(self.values[np.searchsorted(self.users.cumsum(), self.size / 2)])


Distributions = dict[int, dict[str, Distribution]]


def count_values(placed: DataFrame, features: Sequence[str]) -> Distributions:
    """Counts the values of features per cluster; at most 9,000 cells for each power of ten come to the driver.

    Args:
        placed: cluster and the features as doubles; a task holds one partition of them in memory.
        features: names of the columns to count.

    Returns:
        For each cluster that has users, the distribution of each feature.
    """
    count: Callable[[Iterable[pa.RecordBatch]], Iterator[pa.RecordBatch]] = partial(_count_partition, tuple(features))
    parts = placed.select(CLUSTER, *features).mapInArrow(count, _CELLS)
    whole = parts.groupBy("cluster", "feature", "cell").agg(
        F.max("value").alias("value"), F.sum("users").alias("users"), F.sum("total").alias("total")
    )
    clusters, places, *columns = (column.to_numpy() for column in whole.toArrow().columns)
    found: Distributions = {}
    for cluster in np.unique(clusters):
        of_feature = [(clusters == cluster) & (places == place) for place in range(len(features))]
        found[int(cluster)] = {
            name: _ordered(*(column[here] for column in columns))
            for name, here in zip(features, of_feature, strict=True)
        }
    return found


def all_users(distributions: Distributions, feature: str) -> Distribution:
    """Returns a feature's distribution over the users of all clusters."""
    parts = [by_feature[feature] for by_feature in distributions.values()]
    if not parts:
        return Distribution(np.empty(0), np.empty(0), np.empty(0, np.int64), 0.0)
    cells, values, users = (np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS)
    return _ordered(cells, values, users, np.array([part.total for part in parts]))


_COLUMNS = ("cells", "values", "users")


def _ordered(keys: Floats, values: Floats, users: NDArray[np.int64], totals: Floats) -> Distribution:
    """Adds up cells that come twice and puts them in the order of their values."""
    by_cell = np.argsort(keys, kind="stable")
    cells, first = np.unique(keys[by_cell], return_index=True)
    highest, together = np.maximum.reduceat(values[by_cell], first), np.add.reduceat(users[by_cell], first)
    by_value = np.argsort(highest)
    return Distribution(cells[by_value], highest[by_value], together[by_value], float(np.sort(totals).sum()))


def _count_partition(features: Sequence[str], batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    held = [batch for batch in batches if batch.num_rows]
    if held:
        rows = pa.Table.from_batches(held)
        for place, name in enumerate(features):
            yield from _count_feature(rows[CLUSTER], rows[name], place).to_batches()


def _count_feature(clusters: pa.ChunkedArray, values: pa.ChunkedArray, place: int) -> pa.Table:
    """Counts the cells of one feature, which stands at a place among the features."""
    counted = grouped(
        pa.table({"cluster": clusters, "cell": _rounded(values.to_numpy()), "of": values}),
        ["cluster", "cell"],
        {"value": ("of", "max", None), "users": ("of", "count", None), "total": ("of", "sum", None)},
    )
    return counted.add_column(1, "feature", pa.repeat(pa.scalar(place, pa.int32()), len(counted)))


def _rounded(values: Floats) -> Floats:
    """Rounds to DIGITS significant digits."""
    sizes = np.where(values == 0, 1.0, np.abs(values))
    steps = np.maximum(10.0 ** (np.floor(np.log10(sizes)) - (DIGITS - 1)), _LEAST_STEP)
    rounded: Floats = np.round(values / steps) * steps
    return rounded
