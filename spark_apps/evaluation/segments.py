"""The training users in their clusters, for models that are evaluated (SPEC R5)."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from spark_apps.engine.base import Task
from spark_apps.segmentation.clusters import Clustering
from spark_apps.segmentation.inputs import CLUSTERED, points_of
from spark_apps.segmentation.sums import nearest

SEGMENTED = pa.schema([("user_id", pa.int64()), ("segment", pa.string())])
NAMES = pa.schema([("segment", pa.string())])


def place_users(task: Task) -> None:
    """Places users in clusters. Inputs: users, inputs.CLUSTERED. Shared: Clustering, None for a single cluster.

    Output: segments, SEGMENTED: the cluster's number as its name. Gives `names`, at most a row for each cluster.
    """
    clustering: Clustering | None = task.shared
    found: set[str] = set()

    def placed() -> Iterator[pa.Table]:
        for users in task.database.batches("select * from users order by user_id", CLUSTERED):
            names = pa.array(_clusters(users, clustering)).cast(pa.string())
            found.update(names.unique().to_pylist())
            yield pa.table([users["user_id"], names], schema=SEGMENTED)

    task.output("segments", SEGMENTED, placed())
    task.give("names", pa.table([sorted(found)], schema=NAMES))


def _clusters(users: pa.Table, clustering: Clustering | None) -> np.ndarray:
    if clustering is None:
        return np.zeros(len(users), np.int64)
    return nearest(clustering.centres, clustering.scale.standardised(points_of(users)))
