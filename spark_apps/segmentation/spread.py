"""Mean and standard deviation of the features over all users, of whom parts are measured and put together."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from spark_apps.engine.base import Done, Engine, Relation, Task
from spark_apps.segmentation.inputs import (
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
    return scale_of(engine.run(_measure, {"users": users}, by, row_seconds=USER_SECONDS))


def scale_of(done: Done) -> Scale:
    """Returns the scale of all users that tasks measured."""
    return _together(done.result("spread", _SPREAD))


def _measure(task: Task) -> None:
    points = users_in_order(task)[1]
    if len(points):
        give_spread(task, points)


def give_spread(task: Task, points: Floats) -> Scale:
    """Gives `spread`, a row of _SPREAD, of a task's points, at least one; returns their scale."""
    mean, squares = moments(points)
    spread = pa.table([[len(points)], lists_of(mean[None]), lists_of(squares[None])], _SPREAD)
    task.give("spread", spread)
    return _together(spread)


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
