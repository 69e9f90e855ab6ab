"""Which segment a batch's users are in: the nearest centre's, with hysteresis for those who have one (SPEC T5).

Whoever is seen has recency 0 at that moment, which at a training few users have: many stand near an edge then, and the
nearest centre alone would move them, some of them to and fro. So a known user moves only where

    d(new) < (1 - margin) d(old)

with d the distance from a centre in standard deviations. New users, and all users at a training, are placed by the
nearest centre, as Spark's k-means places them; with a margin of 0 known users are, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from spark_apps.segmentation.inputs import Scale
from spark_apps.streaming.online_kmeans import Floats


@dataclass(frozen=True)
class Placing:
    """What places users in segments.

    Attributes:
        centres: in standard deviations.
        scale: of the features.
        names: of the clusters.
        margin: share by which another centre must be nearer.
    """

    centres: Floats
    scale: Scale
    names: Mapping[int, str]
    margin: float

    def settled(self, points: Floats, nearest: NDArray[np.intp], former: pa.ChunkedArray) -> NDArray[np.intp]:
        """Returns the cluster that each user is in.

        Args:
            points: the users, in standard deviations.
            nearest: the cluster whose centre is nearest to each.
            former: the segment that each was in; null, or a name that no cluster has, for a new user.
        """
        numbers = pa.array(list(self.names), pa.int64())
        places = pc.index_in(former, value_set=pa.array(list(self.names.values()), pa.string())).combine_chunks()
        known = places.is_valid().to_numpy(zero_copy_only=False)
        old = np.where(known, numbers.take(places).fill_null(0).to_numpy(), nearest)
        stays = self._distances(points, nearest) >= (1 - self.margin) * self._distances(points, old)
        settled: NDArray[np.intp] = np.where(stays, old, nearest)
        return settled

    def _distances(self, points: Floats, clusters: NDArray[np.intp]) -> Floats:
        distances: Floats = np.linalg.norm(points - self.centres[clusters], axis=1)
        return distances
