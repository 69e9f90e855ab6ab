"""Samples of users, whose size does not grow with the users.

Who is drawn depends on the user and the seed alone: a number from 0 to below 1 is made of both by the finaliser of
SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), here in NumPy. So a
sample is the same on every engine, whatever the order of users and however they are shared out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from spark_apps.engine.base import Engine, Relation, Task
from spark_apps.segmentation.inputs import USER_SECONDS, Floats, Scale, lists_of, matrix_of, users_in_order
from spark_apps.segmentation.spread import give_spread, measure, scale_of

_WEYL, _FIRST, _SECOND = (np.uint64(one) for one in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))
_DRAWN = pa.schema([("user_id", pa.int64()), ("chance", pa.float64()), ("point", pa.list_(pa.float64()))])


@dataclass(frozen=True)
class Coreset:
    """Users who stand for all users in k-means.

    Attributes:
        points: their features in standard deviations, shape (users drawn, features).
        weights: how many users each stands for.
    """

    points: Floats
    weights: Floats


@dataclass(frozen=True)
class Draw:
    """How users are drawn.

    Attributes:
        users: their number.
        wanted: users of the sample; of the coreset, users to draw by the one half of the chance, and by the other.
        seed: of the draw.
    """

    users: int
    wanted: int
    seed: int


def measure_and_draw(engine: Engine, users: Relation, by: str | None, draw: Draw) -> tuple[Scale, Floats, Coreset]:
    """Measures users, and draws a sample and a lightweight coreset: about `wanted` and twice `wanted`, or all users.

    In the coreset, half of the chance to be drawn is the same for all users, half grows with the squared distance to
    the mean. So the few who are far from all others, and decide where centres lie, are in it (Bachem, Lucic, Krause,
    "Scalable k-means clustering via lightweight coresets", KDD 2018).

    Args:
        engine: reads the users.
        users: columns of inputs.CLUSTERED; at least one user.
        by: how they are shared out, see `Engine.run`; where they are not, they are read once.
        draw: how they are drawn.

    Returns:
        The scale of the features; the sample's features, shape (users drawn, features), and the coreset; both in the
        order of users.
    """
    scale = measure(engine, users, by) if by else None
    done = engine.run(_draw, {"users": users}, by, shared=(draw, scale), row_seconds=USER_SECONDS)
    scale = scale or scale_of(done)
    sample, core = (done.result(name, _DRAWN).sort_by("user_id") for name in ("sample", "coreset"))
    coreset = Coreset(scale.standardised(matrix_of(core["point"])), 1 / core["chance"].to_numpy())
    return scale, matrix_of(sample["point"]), coreset


def _draw(task: Task) -> None:
    """Gives sample and coreset, rows of _DRAWN: about three times the users wanted, from all tasks together.

    Shared: Draw, and the scale of all users; None where the task has all of them, and measures them first.
    """
    how, scale = task.shared
    ids, points = users_in_order(task)
    if not len(ids):
        return
    scale = scale or give_spread(task, points)
    drawn, share = drawn_numbers(ids, how.seed), how.wanted / max(how.users, 1)
    chances = {"sample": np.full(len(ids), share), "coreset": _coreset_chances(points, scale, share)}
    for name, chance in chances.items():
        kept = drawn < chance
        task.give(name, pa.table([ids[kept], chance[kept], lists_of(points[kept])], _DRAWN))


def drawn_numbers(ids: NDArray[np.int64], seed: int) -> Floats:
    """Returns a number from 0 to below 1 for each user, by user and seed."""
    numbers = _mixed(ids.astype(np.uint64) ^ _mixed(np.array([seed % 2**64], np.uint64)))
    found: Floats = (numbers >> np.uint64(11)) / 2.0**53
    return found


def _mixed(numbers: NDArray[np.uint64]) -> NDArray[np.uint64]:
    numbers = numbers + _WEYL
    numbers = (numbers ^ (numbers >> np.uint64(30))) * _FIRST
    numbers = (numbers ^ (numbers >> np.uint64(27))) * _SECOND
    mixed: NDArray[np.uint64] = numbers ^ (numbers >> np.uint64(31))
    return mixed


def _coreset_chances(points: Floats, scale: Scale, share: float) -> Floats:
    # standardised features have a mean squared distance of 1 each
    varying = max(1, int((scale.deviation > 0).sum()))
    distances = (scale.standardised(points) ** 2).sum(axis=1)
    chances: Floats = np.minimum(1.0, share * (1 + distances / varying))
    return chances
