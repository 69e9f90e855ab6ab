"""How much a user cares for a product (SPEC F3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from spark_apps.features.grouping import COUNTED_TYPES
from spark_apps.schemas import INTERACTIONS
from spark_apps.settings import EventScores


def interactions(pairs: DataFrame, scores: EventScores) -> DataFrame:
    """Scores every (user, product) that met.

    Args:
        pairs: `features.pairs.pair_sums`.
        scores: points per event type, and the cap.

    Returns:
        The columns of schemas.INTERACTIONS.
    """
    computed = {"score": implicit_score(scores), "interaction_count": F.col("events")}
    return pairs.select(*(computed.get(name, F.col(name)).alias(name) for name in INTERACTIONS.fieldNames()))


def implicit_score(scores: EventScores) -> Column:
    """Returns the implicit score of a row with the counts views, carts, purchases and removals."""
    return F.least(_points({name: F.col(name) for name in COUNTED_TYPES.values()}, scores), F.lit(scores.cap))


def implicit_scores(pairs: pa.Table, scores: EventScores) -> NDArray[np.float64]:
    """Returns the same of every row of an Arrow table."""
    points = _points({name: pairs[name].to_numpy() for name in COUNTED_TYPES.values()}, scores)
    capped: NDArray[np.float64] = np.minimum(points, scores.cap)
    return capped


def _points(counts: Mapping[str, Any], scores: EventScores) -> Any:
    weights = scores.model_dump()
    return sum(counts[name] * float(weights[kind]) for kind, name in COUNTED_TYPES.items())
