"""How much a user cares for a product (SPEC F3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from spark_apps.features.grouping import COUNTED_TYPES
from spark_apps.settings import EventScores


def implicit_scores(pairs: pa.Table, scores: EventScores) -> NDArray[np.float64]:
    """Returns the implicit score of every row of a table with the counts views, carts, purchases and removals."""
    points = _points({name: pairs[name].to_numpy() for name in COUNTED_TYPES.values()}, scores)
    capped: NDArray[np.float64] = np.minimum(points, scores.cap)
    return capped


def _points(counts: Mapping[str, Any], scores: EventScores) -> Any:
    weights = scores.model_dump()
    return sum(counts[name] * float(weights[kind]) for kind, name in COUNTED_TYPES.items())
