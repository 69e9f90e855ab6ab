"""The silhouette curve, by which `--k auto` chooses (SPEC G2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_apps.segmentation.inputs import Floats
from spark_apps.segmentation.local import fit_locally

K_TRIED = range(2, 11)
_STARTS = 3
# Points whose distances to all clusters are held at a time.
_BLOCK = 65_536
_TINY = np.finfo(np.float64).tiny


@dataclass(frozen=True)
class CurvePoint:
    """How well k clusters fit a sample: cost (sum of squared distances, scaled units), iterations and silhouette."""

    k: int
    cost: float
    iterations: int
    silhouette: float


def silhouette_curve(sample: Floats, ks: Sequence[int], seed: int) -> list[CurvePoint]:
    """Tries several k on a sample, with scikit-learn: Spark would spend minutes on scheduling tiny jobs.

    The silhouette is Spark's (squared Euclidean, standardised features), exact over the sample.

    Args:
        sample: from `sampling.sample_users`.
        ks: the numbers of clusters to try, rising; those that the sample's different users cannot fill are left out.
        seed: of the initial centres.
    """
    if not len(sample):
        return []
    from sklearn.preprocessing import StandardScaler  # late: a second that other commands need not wait

    scaled = StandardScaler().fit_transform(sample)
    different = len(np.unique(scaled, axis=0))
    curve = []
    for k in ks:
        if k >= different:
            break
        fitted = fit_locally(scaled, k, seed, starts=_STARTS)
        score = squared_silhouette(scaled, fitted.labels)
        curve.append(CurvePoint(k, fitted.cost, fitted.iterations, score))
    return curve


def best_k(curve: Sequence[CurvePoint]) -> int:
    """Returns the k with the highest silhouette, the smallest of equals."""
    return max(curve, key=lambda point: (point.silhouette, -point.k)).k


def squared_silhouette(points: Floats, labels: NDArray[np.integer[Any]]) -> float:
    """The mean silhouette for squared Euclidean distances, which need no pairs but only sums per cluster.

    Args:
        points: shape (points, features).
        labels: the cluster of each point; at least two differ.
    """
    numbers: NDArray[np.intp] = np.unique(labels, return_inverse=True)[1]
    norms: Floats = (points**2).sum(axis=1)
    clusters = _ClusterSums(
        np.bincount(numbers).astype(np.float64),
        np.bincount(numbers, weights=norms).astype(np.float64),
        np.column_stack([np.bincount(numbers, weights=values) for values in points.T]),
    )
    total = 0.0
    for start in range(0, len(points), _BLOCK):
        block = slice(start, start + _BLOCK)
        total += float(clusters.widths(points[block], norms[block], numbers[block]).sum())
    return total / len(points)


@dataclass(frozen=True)
class _ClusterSums:
    """Of each cluster: its points, the sum of their squared lengths, and their sum, shape (clusters, features)."""

    sizes: Floats
    norms: Floats
    points: Floats

    def widths(self, points: Floats, norms: Floats, labels: NDArray[np.intp]) -> Floats:
        """Returns the silhouette of some points with their squared lengths and clusters."""
        # of each point, the sum of its squared distances to a cluster's points
        distances = np.maximum(self.sizes * norms[:, None] + self.norms - 2 * points @ self.points.T, 0)
        rows = np.arange(len(points))
        own = distances[rows, labels] / np.maximum(self.sizes[labels] - 1, 1)
        distances[rows, labels] = np.inf
        nearest = (distances / self.sizes).min(axis=1)
        widths: Floats = np.where(
            self.sizes[labels] > 1, (nearest - own) / np.maximum(np.maximum(nearest, own), _TINY), 0
        )
        return widths
