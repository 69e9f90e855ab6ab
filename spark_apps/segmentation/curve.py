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
    """The mean silhouette for squared Euclidean distances, which need no pairs but only sums per cluster."""
    clusters, labels = np.unique(labels, return_inverse=True)
    norms = (points**2).sum(axis=1)
    members = np.eye(len(clusters))[labels]
    sizes = members.sum(axis=0)
    # of each point, the sum of its squared distances to a cluster's points
    distances = np.maximum(sizes * norms[:, None] + norms @ members - 2 * points @ (points.T @ members), 0)
    rows = np.arange(len(points))
    own = distances[rows, labels] / np.maximum(sizes[labels] - 1, 1)
    distances[rows, labels] = np.inf
    nearest = (distances / sizes).min(axis=1)
    widths = np.where(sizes[labels] > 1, (nearest - own) / np.maximum(np.maximum(nearest, own), _TINY), 0)
    return float(widths.mean())
