"""Ids for ALS models, which take 32-bit integers only.

Ids that fit are used as they are. Only where one does not, ids are numbered, and the numbering is
kept with the model.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from spark_apps.engine.base import Task
from spark_apps.engine.database import sql

LARGEST_INT = 2**31 - 1
# A numbering: its rows in the order of both.
INDEX = pa.schema([("id", pa.int32()), ("original", pa.int64())])


def fits_int(smallest: int | None, largest: int | None) -> bool:
    """Says whether ids between two bounds fit a 32-bit integer; no ids at all do."""
    return smallest is None or largest is None or (smallest >= -LARGEST_INT - 1 and largest <= LARGEST_INT)


def number_ids(task: Task) -> None:
    """Numbers ids from 0 in their own order, where they do not all fit 32 bits.

    Inputs: ids, one column of distinct whole numbers. Output: index, INDEX; no file where ids fit.
    """
    bounds = task.database.rows("select min(original) as least, max(original) as most from ids as ids(original)")
    (row,) = bounds.to_pylist()
    if not fits_int(row["least"], row["most"]):
        text = sql("spark_apps.recommendation", "ids")
        task.output("index", INDEX, task.database.batches(text, INDEX), INDEX.names)


def to_model_ids(originals: NDArray[np.int64], index: NDArray[np.int64]) -> NDArray[np.int32]:
    """Returns the model's ids of original ids.

    Args:
        originals: ids, all of them in the index if there is one.
        index: the original ids of an index, in their order; empty where ids fit 32 bits.
    """
    return (np.searchsorted(index, originals) if len(index) else originals).astype(np.int32)
