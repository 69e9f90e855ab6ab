"""A saved segmentation, and the one way to place users in it: at training, and for users who come later (SPEC G5)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from spark_apps import schemas
from spark_apps.engine.base import Engine, Relation, Task
from spark_apps.segmentation.behaviour import behaviours
from spark_apps.segmentation.inputs import FEATURES, PLACED, USER_SECONDS, Floats, Scale, points_of
from spark_apps.segmentation.profiles import CROSSED, Crossed
from spark_apps.segmentation.rfm import SCORED, Cuts, Scores, rfm_scores
from spark_apps.segmentation.sums import nearest
from spark_apps.storage import StoragePath

SEGMENTED = schemas.USER_SEGMENTS
_DATES = pa.schema([("first", pa.date32()), ("last", pa.date32())])
_REFERENCES = pa.schema([("day", pa.date32()), ("users", pa.int64())])
_OUTPUT = "user_segments"


@dataclass(frozen=True)
class SegmentModel:
    """What it takes to place a user.

    Attributes:
        scale: of the features.
        centres: in standard deviations, shape (clusters, features).
        cuts: of the RFM scores.
        names: the name of every cluster.
    """

    scale: Scale
    centres: Floats
    cuts: Cuts
    names: Mapping[int, str]

    @classmethod
    def from_metrics(cls, scale: Scale, centres: Floats, metrics: Mapping[str, Any]) -> SegmentModel:
        """Puts a loaded pipeline and its version's metadata together.

        Args:
            scale: of the version's pipeline, as the centres.
            centres: in standard deviations.
            metrics: of the version's metadata.
        """
        names = {int(cluster["cluster"]): str(cluster["name"]) for cluster in metrics["clusters"]}
        return cls(scale, centres, metrics["rfm_cuts"], names)


def place_users(model: SegmentModel, features: pa.Table) -> pa.Table:
    """Places users in the segments of a model, row by row: nothing about them changes the model.

    Args:
        model: fresh from training, or loaded.
        features: user_id, purchases and the columns of inputs.FEATURES, of users old or new.

    Returns:
        The columns of schemas.USER_SEGMENTS.
    """
    points = points_of(features)
    clusters = nearest(model.centres, model.scale.standardised(points))
    scores = rfm_scores({name: points[:, FEATURES.index(name)] for name in SCORED}, model.cuts)
    names = [model.names[number] for number in range(len(model.centres))]
    placed = placement_columns(scores, clusters, names, features["purchases"].to_numpy() > 0)
    return pa.table([features["user_id"], *placed.values()], SEGMENTED)


def placement_columns(
    scores: Scores, clusters: NDArray[np.intp], names: Sequence[str], bought: NDArray[np.bool_]
) -> dict[str, pa.Array]:
    """Returns the columns of schemas.USER_SEGMENTS but for user_id, in their order.

    Args:
        scores: of the users.
        clusters: the number of each user's cluster.
        names: of the clusters.
        bought: whether each user has purchases.
    """
    return {
        "rfm_recency": pa.array(scores.recency, pa.int32()),
        "rfm_frequency": pa.array(scores.frequency, pa.int32()),
        "rfm_monetary": pa.array(scores.monetary, pa.int32()),
        "rfm_segment": scores.segments(),
        "cluster": pa.array(clusters, pa.int32()),
        "segment": pa.array(names, pa.string()).take(pa.array(clusters)),
        "behaviour": behaviours(scores.names, clusters, bought, names),
    }


@dataclass(frozen=True)
class Placed:
    """A written table of segments, how its users spread, and dates.

    Attributes:
        users: the table.
        crossed: users by what they share.
        first_date: when the first of them was seen.
        last_date: when the last of them was seen.
        reference_date: from which recency counts.
    """

    users: Relation
    crossed: list[Crossed]
    first_date: date
    last_date: date
    reference_date: date


def write_segments(engine: Engine, users: Relation, model: SegmentModel, folder: StoragePath) -> Placed:
    """Places all users and writes the table.

    Args:
        engine: reads and writes.
        users: columns of schemas.USER_FEATURES; at least one user.
        model: of the segments.
        folder: a new one.
    """
    inputs, outputs = {"users": users.select(*PLACED.names)}, {_OUTPUT: folder}
    done = engine.run(_place, inputs, "user_id", outputs, model, row_seconds=USER_SECONDS)
    crossed = done.result("crossed", CROSSED).group_by(CROSSED.names[:-1]).aggregate([("users", "sum")])
    rows = crossed.rename_columns(CROSSED.names).to_pylist()
    dates = done.result("dates", _DATES)
    bounds = pc.min(dates["first"]).as_py(), pc.max(dates["last"]).as_py()
    days = done.result("references", _REFERENCES).group_by("day").aggregate([("users", "sum")])
    reference = days.sort_by([("users_sum", "descending"), ("day", "descending")])["day"][0].as_py()
    return Placed(Relation.of(folder, SEGMENTED), sorted(Crossed(**row) for row in rows), *bounds, reference)


def _place(task: Task) -> None:
    """Writes `user_segments`; gives `crossed`, at most 22 k rows for each batch of users, `dates` and `references`."""

    def placed() -> Iterator[pa.Table]:
        for users in task.database.batches("select * from users order by user_id", PLACED):
            found = place_users(task.shared, users)
            counted = found.group_by(CROSSED.names[:-1]).aggregate([([], "count_all")])
            task.give("crossed", counted.rename_columns(CROSSED.names))
            yield found

    task.output(_OUTPUT, SEGMENTED, placed())
    dates = "select min(first_seen)::date as first, max(last_seen)::date as last from users"
    task.give("dates", task.database.rows(dates, _DATES))
    # the same for all but a handful, whose recency is bounded: see features.reference
    references = "select last_seen::date + recency as day, count(*) as users from users group by day"
    task.give("references", task.database.rows(references, _REFERENCES))
