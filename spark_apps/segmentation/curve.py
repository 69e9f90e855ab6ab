"""The silhouette curve, by which `--k auto` chooses (SPEC G2)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_apps.results import Result
from spark_apps.segmentation.inputs import Floats, Scale
from spark_apps.segmentation.local import fit_locally
from spark_apps.segmentation.spread import moments
from spark_apps.segmentation.sums import ClusterSums

K_TRIED = range(2, 11)
_STARTS = 3


class CurvePoint(Result):
    """How well k clusters fit a sample: cost (sum of squared distances, scaled units), iterations and silhouette."""

    k: int
    cost: float | None
    iterations: int | None = None
    silhouette: float | None


def silhouette_curve(sample: Floats, ks: Sequence[int], seed: int) -> list[CurvePoint]:
    """Tries several k on a sample, with scikit-learn.

    The silhouette is that of Spark (squared Euclidean, standardised features), exact over the sample.

    Args:
        sample: from `sampling.sample_users`.
        ks: the numbers of clusters to try, rising; those that the sample's different users cannot fill are left out.
        seed: of the initial centres.
    """
    if not len(sample):
        return []
    mean, squares = moments(sample)
    scaled = Scale(mean, np.sqrt(squares / len(sample))).standardised(sample)
    different = len(np.unique(scaled, axis=0))
    curve = []
    for k in ks:
        if k >= different:
            break
        fitted = fit_locally(scaled, k, seed, starts=_STARTS)
        score = squared_silhouette(scaled, fitted.labels)
        curve.append(CurvePoint(k=k, cost=fitted.cost, iterations=fitted.iterations, silhouette=score))
    return curve


def best_k(curve: Sequence[CurvePoint]) -> int:
    """Returns the k with the highest silhouette, the smallest of equals."""
    return max(curve, key=lambda point: (-math.inf if point.silhouette is None else point.silhouette, -point.k)).k


def squared_silhouette(points: Floats, labels: NDArray[np.integer[Any]]) -> float:
    """The mean silhouette for squared Euclidean distances, which need no pairs but only sums per cluster.

    Args:
        points: shape (points, features).
        labels: the cluster of each point, from 0; at least two differ.
    """
    return ClusterSums.of(points, labels, int(labels.max()) + 1).widths(points, labels) / len(points)
