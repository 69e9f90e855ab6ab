"""K-means with scikit-learn on samples."""

from __future__ import annotations

import threading
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_apps.segmentation.inputs import Floats

STARTS = 10
# A segmentation fits in two threads: which warnings are shown is for all of them, and modules of scikit-learn import
# each other in circles, so that two threads which both load it find half of it.
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class LocalFit:
    """K-means on points of a sample: cluster of each point, centres, sum of squared distances, iterations."""

    labels: NDArray[np.integer[Any]]
    centres: Floats
    cost: float
    iterations: int


def fit_locally(points: Floats, k: int, seed: int, weights: Floats | None = None, starts: int = STARTS) -> LocalFit:
    """Fits k-means from several starts, by k-means++, and keeps the best.

    Args:
        points: at least one, in standard deviations.
        k: number of clusters; there are fewer where fewer points differ.
        seed: of the starts.
        weights: of the points; 1 each by default.
        starts: tried.
    """
    with _one_at_a_time, warnings.catch_warnings():
        from sklearn.cluster import KMeans  # late: a second that other commands need not wait
        from sklearn.exceptions import ConvergenceWarning

        warnings.simplefilter("ignore", ConvergenceWarning)  # of centres that fall together, which are merged here
        fitted = KMeans(min(k, len(points)), n_init=starts, random_state=seed).fit(points, sample_weight=weights)
    centres = np.unique(fitted.cluster_centers_, axis=0)
    return LocalFit(fitted.labels_, centres, float(fitted.inertia_), int(fitted.n_iter_))
