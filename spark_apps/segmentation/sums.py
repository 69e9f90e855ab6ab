"""Sums over the users of each cluster, from which k-means, its cost and the silhouette come: parts of users add up."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from spark_apps.segmentation.inputs import FEATURES, Floats, blocks, fixed_sum, lists_of, matrix_of

_TINY = np.finfo(np.float64).tiny
SUMS = pa.schema(
    [("cluster", pa.int32()), ("size", pa.float64()), ("norm", pa.float64()), ("point", pa.list_(pa.float64()))]
)


@dataclass(frozen=True)
class ClusterSums:
    """Of each cluster: its points, the sum of their squared lengths, and their sum, shape (clusters, features)."""

    sizes: Floats
    norms: Floats
    points: Floats

    @classmethod
    def of(cls, points: Floats, labels: NDArray[np.integer[Any]], k: int) -> ClusterSums:
        """Adds up points by their clusters, 0 to below k."""
        norms = np.einsum("ij,ij->i", points, points)
        columns = np.ones(len(points)), norms, *points.T
        sums = [np.bincount(labels, weights=values, minlength=k).astype(np.float64, copy=False) for values in columns]
        return cls(sums[0], sums[1], np.column_stack(sums[2:]))

    @classmethod
    def around(cls, centres: Floats, points: Floats, threads: int = 1) -> ClusterSums:
        """Adds up points by the centre that is nearest to each; several threads add in the same order as one."""

        def sums_of(block: slice) -> ClusterSums:
            return cls.of(points[block], nearest(centres, points[block]), len(centres))

        whole = cls(np.zeros(len(centres)), np.zeros(len(centres)), np.zeros_like(centres))
        with ThreadPoolExecutor(threads) as pool:
            for part in pool.map(sums_of, blocks(len(points))):
                whole = cls(whole.sizes + part.sizes, whole.norms + part.norms, whole.points + part.points)
        return whole

    @classmethod
    def from_rows(cls, rows: pa.Table) -> ClusterSums:
        """Adds up rows of SUMS that tasks gave, whatever their order."""
        parts, k = rows.sort_by("cluster"), len(rows["cluster"].unique())
        sizes, norms = (parts[name].to_numpy().reshape(k, -1) for name in ("size", "norm"))
        points = matrix_of(parts["point"]).reshape(k, -1, len(FEATURES))
        return cls(fixed_sum(sizes.T), fixed_sum(norms.T), fixed_sum(points.swapaxes(0, 1)))

    def rows(self) -> pa.Table:
        """Returns rows of SUMS."""
        return pa.table([pa.array(range(len(self.sizes))), self.sizes, self.norms, lists_of(self.points)], SUMS)

    def means(self, otherwise: Floats) -> Floats:
        """Returns the mean of each cluster's points; of one without any, its row of `otherwise`."""
        filled = self.sizes[:, None] > 0
        means: Floats = np.where(filled, self.points / np.maximum(self.sizes[:, None], 1), otherwise)
        return means

    def cost(self, centres: Floats) -> float:
        """Returns the sum of the points' squared distances to their centres."""
        lengths = self.sizes * (centres**2).sum(axis=1)
        return max(0.0, float((self.norms - 2 * (self.points * centres).sum(axis=1) + lengths).sum()))

    def widths(self, points: Floats, labels: NDArray[np.integer[Any]]) -> float:
        """Returns the sum of some points' silhouettes; at least two clusters have points.

        Args:
            points: of those that were added up.
            labels: their clusters.
        """
        return sum(float(self._widths(points[block], labels[block]).sum()) for block in blocks(len(points)))

    def _widths(self, points: Floats, labels: NDArray[np.integer[Any]]) -> Floats:
        norms = (points**2).sum(axis=1)
        # of each point, the sum of its squared distances to a cluster's points
        distances = np.maximum(self.sizes * norms[:, None] + self.norms - 2 * points @ self.points.T, 0)
        rows = np.arange(len(points))
        own = distances[rows, labels] / np.maximum(self.sizes[labels] - 1, 1)
        distances[rows, labels] = np.inf
        others = np.where(self.sizes > 0, distances / np.maximum(self.sizes, 1), np.inf)
        other = others.min(axis=1)
        widths: Floats = np.where(self.sizes[labels] > 1, (other - own) / np.maximum(np.maximum(other, own), _TINY), 0)
        return widths


def nearest(centres: Floats, points: Floats) -> NDArray[np.intp]:
    """Returns the index of the nearest centre of each point."""
    distances = (centres**2).sum(axis=1) - 2 * (points @ centres.T)
    labels: NDArray[np.intp] = np.argmin(distances, axis=1)
    return labels
