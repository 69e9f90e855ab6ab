"""Cluster centres that follow the users of each batch: mini-batch k-means with forgetting (SPEC T3).

Sculley, "Web-Scale K-Means Clustering" (2010), in the form of Spark's streaming k-means: a centre c that stands for n
users, and m users of the batch nearest to it whose mean is x, become

    c' = (a n c + m x) / (a n + m)        n' = a n + m

where a below 1 forgets: after ln(1/2) / ln(a) batches what was known weighs half.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Centres:
    """Centres in standard deviations, shape (clusters, features), and for how many users each of them stands."""

    places: Floats
    weights: Floats

    def moved(self, sums: Floats, users: NDArray[np.int64], decay: float) -> Centres:
        """Returns the centres after a batch.

        Args:
            sums: of the batch's users nearest to each centre, shape (clusters, features).
            users: their numbers.
            decay: a of the formula, above 0, at most 1.
        """
        known = self.weights * decay
        weights = known + users
        met = users[:, None] > 0  # what nobody is near stays where it is, however little is left of its weight
        moved = (known[:, None] * self.places + sums) / np.where(met, weights[:, None], 1.0)
        return Centres(np.where(met, moved, self.places), weights)
