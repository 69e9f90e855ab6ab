"""How features are spread over the users of each cluster, counted in one pass: for means, medians and RFM cuts.

Counts add up to the same whatever the partitions and the order in which they are read, so the same users always give
the same figures; approximate percentiles do not promise that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from spark_apps.engine.base import Relation, Task
from spark_apps.engine.database import sql
from spark_apps.segmentation.clusters import Clustering, Users
from spark_apps.segmentation.inputs import FEATURES, Floats, users_in_order
from spark_apps.segmentation.sums import nearest
from spark_apps.storage import StoragePath

# Values that agree in so many significant digits count as one: at most 9,000 cells for each power of ten.
DIGITS = 4
_LEAST_STEP = np.finfo(np.float64).tiny
CELLS = pa.schema(
    [
        ("cluster", pa.int32()),
        ("feature", pa.int32()),
        ("cell", pa.float64()),
        ("value", pa.float64()),
        ("users", pa.int64()),
        ("total", pa.float64()),
    ]
)


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


def count_values(users: Users, clustering: Clustering, scratch: StoragePath) -> Distributions:
    """Counts the values of the features per cluster; at most 9,000 cells for each power of ten are brought together.

    Args:
        users: from `clusters.survey`.
        clustering: of them.
        scratch: a new folder.

    Returns:
        For each cluster that has users, the distribution of each feature.
    """
    cells = scratch / "cells"
    users.run(_count, (clustering.scale, clustering.centres), {"cells": cells})
    done = users.engine.run(_add_cells, {"cells": Relation.of(cells, CELLS)}, by="feature")
    return distributions_of(done.result("cells", CELLS))


def distributions_of(cells: pa.Table) -> Distributions:
    """Returns what rows of CELLS say: for each cluster, the distribution of each feature."""
    clusters, places, *columns = (column.to_numpy() for column in cells.columns)
    found: Distributions = {}
    for cluster in np.unique(clusters):
        of_feature = [(clusters == cluster) & (places == place) for place in range(len(FEATURES))]
        found[int(cluster)] = {
            name: _ordered(*(column[here] for column in columns))
            for name, here in zip(FEATURES, of_feature, strict=True)
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


def _count(task: Task) -> None:
    """Writes `cells`: rows of CELLS. Shared: scale and centres."""
    scale, centres = task.shared
    points = users_in_order(task)[1]
    task.output("cells", CELLS, count_cells(points, nearest(centres, scale.standardised(points))))


def count_cells(points: Floats, labels: NDArray[np.intp]) -> Iterator[pa.Table]:
    """Yields rows of CELLS, of one feature of one cluster at a time."""
    for cluster in np.unique(labels):
        own = points[labels == cluster]
        for place, values in enumerate(own.T):
            yield _cells(int(cluster), place, values)


def _cells(cluster: int, place: int, values: Floats) -> pa.Table:
    ordered = np.sort(values)
    cells = _rounded(ordered)
    ends = np.append(np.flatnonzero(cells[1:] != cells[:-1]), len(cells) - 1)
    totals = np.add.reduceat(ordered, np.append(0, ends[:-1] + 1))
    here = (np.full(len(ends), number, np.int32) for number in (cluster, place))
    return pa.table([*here, cells[ends], ordered[ends], np.diff(ends, prepend=-1), totals], CELLS)


def _add_cells(task: Task) -> None:
    """Gives `cells`: those of all parts, added up."""
    task.give("cells", task.database.rows(sql("spark_apps.segmentation", "cells"), CELLS))


def _rounded(values: Floats) -> Floats:
    """Rounds to DIGITS significant digits."""
    sizes = np.where(values == 0, 1.0, np.abs(values))
    steps = np.maximum(10.0 ** (np.floor(np.log10(sizes)) - (DIGITS - 1)), _LEAST_STEP)
    rounded: Floats = np.round(values / steps) * steps
    return rounded
