"""K-means on user features (SPEC G2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from spark_apps.engine.base import Done, Engine, Relation, Task, Unit
from spark_apps.segmentation.inputs import (
    CLUSTERED,
    FEATURES,
    USER_SECONDS,
    Floats,
    Scale,
    blocks,
    matrix_of,
    users_in_order,
)
from spark_apps.segmentation.local import fit_locally
from spark_apps.segmentation.sampling import Coreset, Draw, measure_and_draw
from spark_apps.segmentation.sums import SUMS, ClusterSums, nearest
from spark_apps.storage import StoragePath

MAX_ITERATIONS = 100
TOLERANCE = 1e-4
# Up to so many users, one task moves the centres: 64 bytes a user, and some 320 while it begins (3 million: 1.1 GB).
USERS_OF_A_TASK = 4_000_000
_MOVED = pa.schema(
    [
        ("centres", pa.list_(pa.list_(pa.float64()))),
        ("passes", pa.int64()),
        ("stands_still", pa.bool_()),
        ("widths", pa.float64()),
    ]
)
_WIDTHS = pa.schema([("widths", pa.float64())])


@dataclass(frozen=True)
class Fit:
    """How well k-means went.

    Attributes:
        k: number of clusters asked for.
        cost: sum of squared distances to the centres, in standard deviations.
        iterations: passes over the users.
        converged: whether the last pass moved no centre by more than TOLERANCE standard deviations.
        silhouette: mean over the users, squared Euclidean; None for a single cluster.
    """

    k: int
    cost: float
    iterations: int
    converged: bool
    silhouette: float | None


@dataclass(frozen=True)
class Clustering:
    """Scale and centres in standard deviations, shape (clusters, features), and how well they fit."""

    scale: Scale
    centres: Floats
    fit: Fit

    def means(self) -> list[dict[str, float]]:
        """Returns each cluster's centre in the units of the features, also of a cluster without users."""
        centres = self.centres * self.scale.deviation + self.scale.mean
        return [dict(zip(FEATURES, map(float, centre), strict=True)) for centre in centres]


@dataclass(frozen=True)
class Users:
    """Users to be clustered, what was drawn of them, and how they are shared out among tasks.

    Attributes:
        engine: reads them.
        rows: columns of inputs.CLUSTERED.
        count: their number, at least one.
        by: see `Engine.run`.
        scale: of their features.
        sample: clustering features of some, shape (users drawn, features).
        coreset: users who stand for all.
    """

    engine: Engine
    rows: Relation
    count: int
    by: str | None
    scale: Scale
    sample: Floats
    coreset: Coreset

    def run(self, unit: Unit, shared: Any, outputs: Mapping[str, StoragePath] | None = None) -> Done:
        """Runs a unit on `users`."""
        return self.engine.run(unit, {"users": self.rows}, self.by, outputs, shared, row_seconds=USER_SECONDS)


def survey(engine: Engine, rows: Relation, count: int, wanted: int, seed: int) -> Users:
    """Measures users and draws some of them.

    Args:
        engine: reads the users.
        rows: columns of inputs.CLUSTERED.
        count: their number, at least one.
        wanted: size of the sample, and half the size of the coreset.
        seed: of both.
    """
    by = None if count <= USERS_OF_A_TASK else "user_id"
    rows = rows.select(*CLUSTERED.names)
    return Users(engine, rows, count, by, *measure_and_draw(engine, rows, by, Draw(count, wanted, seed)))


def fit_clusters(users: Users, k: int, seed: int) -> Clustering:
    """Fits k-means to all users, from the best centres of a coreset.

    Where k-means ends depends on where it starts, some per cent above the best cost as a rule. See
    docs/decisions/0007-segments.md.

    Args:
        users: from `survey`.
        k: number of clusters asked for; there are fewer where fewer users differ.
        seed: of the starts.
    """
    start = fit_locally(users.coreset.points, k, seed, users.coreset.weights).centres
    moved, widths = (_run_in_parts if users.by else _run_in_a_task)(users, start)
    silhouette = widths / users.count if moved.filled > 1 else None
    fit = Fit(k, moved.sums.cost(moved.centres), moved.passes, moved.stands_still, silhouette)
    return Clustering(users.scale, moved.centres, fit)


class _Moved(NamedTuple):
    """Where centres came to stand, the sums of the users around them, passes, and whether the last moved none."""

    centres: Floats
    sums: ClusterSums
    passes: int
    stands_still: bool

    @property
    def filled(self) -> int:
        """Centres with users."""
        return int((self.sums.sizes > 0).sum())


def _lloyd(sums_of: Callable[[Floats], ClusterSums], start: Floats) -> _Moved:
    """Moves centres to the means of their users until they stand still; one without users stays where it is."""
    moved, passes, stands_still = start, 0, False
    while passes < MAX_ITERATIONS and not stands_still:
        centres, sums, passes = moved, sums_of(moved), passes + 1
        moved = sums.means(otherwise=centres)
        stands_still = bool(np.linalg.norm(moved - centres, axis=1).max() <= TOLERANCE)
    return _Moved(centres, sums, passes, stands_still)


def _run_in_a_task(users: Users, start: Floats) -> tuple[_Moved, float]:
    """Moves centres where all users are in one task; also returns the sum of their silhouettes."""
    done = users.run(_move, (users.scale, start))
    found, sums = done.result("moved", _MOVED).to_pylist()[0], done.result("sums", SUMS)
    moved = _Moved(matrix_of(found["centres"]), ClusterSums.from_rows(sums), found["passes"], found["stands_still"])
    return moved, found["widths"]


def _move(task: Task) -> None:
    """Gives `moved`, a row of _MOVED, and `sums`. Shared: scale, and where the centres start."""
    scale, start = task.shared
    points = scale.standardised(users_in_order(task)[1])
    moved = _lloyd(partial(ClusterSums.around, points=points, threads=task.threads), start)
    widths = _widths(moved.sums, moved.centres, points) if moved.filled > 1 else 0.0
    row = {"centres": moved.centres.tolist(), "passes": moved.passes, "stands_still": moved.stands_still}
    task.give("moved", pa.Table.from_pylist([{**row, "widths": widths}], _MOVED))
    task.give("sums", moved.sums.rows())


def _run_in_parts(users: Users, start: Floats) -> tuple[_Moved, float]:
    """Moves centres where each task has some of the users: a run a pass."""

    def sums_of(centres: Floats) -> ClusterSums:
        return ClusterSums.from_rows(users.run(_add_up, (users.scale, centres)).result("sums", SUMS))

    moved = _lloyd(sums_of, start)
    if moved.filled < 2:
        return moved, 0.0
    done = users.run(_compare, (users.scale, moved.centres, moved.sums))
    return moved, float(np.sort(done.result("widths", _WIDTHS)["widths"].to_numpy()).sum())


def _add_up(task: Task) -> None:
    """Gives `sums`: rows of sums.SUMS, a cluster each. Shared: scale and centres."""
    scale, centres = task.shared
    task.give("sums", ClusterSums.around(centres, scale.standardised(users_in_order(task)[1])).rows())


def _compare(task: Task) -> None:
    """Gives `widths`: the sum of silhouettes. Shared: scale, centres, and the sums of all users around them."""
    scale, centres, sums = task.shared
    widths = _widths(sums, centres, scale.standardised(users_in_order(task)[1]))
    task.give("widths", pa.table([[widths]], _WIDTHS))


def _widths(sums: ClusterSums, centres: Floats, points: Floats) -> float:
    return sum(sums.widths(points[block], nearest(centres, points[block])) for block in blocks(len(points)))
