"""Mean and standard deviation of the features over all users, of whom parts are measured and put together."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from spark_apps.engine.base import Engine, Relation, Task
from spark_apps.segmentation.inputs import (
    CLUSTERED,
    FEATURES,
    USER_SECONDS,
    Floats,
    Scale,
    fixed_sum,
    lists_of,
    matrix_of,
    users_in_order,
)

_SPREAD = pa.schema([("users", pa.int64()), ("mean", pa.list_(pa.float64())), ("squares", pa.list_(pa.float64()))])


def measure(engine: Engine, users: Relation, by: str | None) -> Scale:
    """Returns the scale of users' features.

    Args:
        engine: reads the users.
        users: columns of inputs.CLUSTERED; at least one user.
        by: how they are shared out, see `Engine.run`.
    """
    done = engine.run(_measure, {"users": users.select(*CLUSTERED.names)}, by, row_seconds=USER_SECONDS)
    return _together(done.result("spread", _SPREAD))


def _measure(task: Task) -> None:
    """Gives `spread`: a row of _SPREAD."""
    points = users_in_order(task)[1]
    if len(points):
        mean, squares = moments(points)
        task.give("spread", pa.table([[len(points)], lists_of(mean[None]), lists_of(squares[None])], _SPREAD))


def moments(points: Floats) -> tuple[Floats, Floats]:
    """Returns the mean of each feature, and the sum of squared differences from it; at least one point."""
    # differences from one of them: where all are alike, the mean is what they are, to the last digit
    mean = points[0] + (points - points[0]).mean(axis=0)
    return mean, ((points - mean) ** 2).sum(axis=0)


def _together(parts: pa.Table) -> Scale:
    """Chan, Golub, LeVeque, "Algorithms for computing the sample variance" (1983)."""
    users = parts["users"].to_numpy()[:, None].astype(np.float64)
    means, squares = matrix_of(parts["mean"]), matrix_of(parts["squares"])
    count, first = users.sum(), means.min(axis=0)
    mean = first + fixed_sum(users * (means - first)) / count
    spread: Floats = fixed_sum(squares + users * (means - mean) ** 2)
    return Scale(mean, np.sqrt(spread / (count - 1)) if count > 1 else np.zeros(len(FEATURES)))
