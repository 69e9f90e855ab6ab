"""RFM: scores from 1 to 5 that survive ties and skew, and the eleven usual names (SPEC G1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from spark_apps.segmentation.distributions import Distribution, Distributions, all_users

BUCKETS = 5
SCORED = ("recency", "frequency", "monetary")

# The name at [recency score - 1][mean of frequency and monetary score, rounded up, - 1].
RULES: tuple[tuple[str, ...], ...] = (
    # bought or came:  least ................................................................ most
    ("Lost", "Lost", "At Risk", "Cannot Lose Them", "Cannot Lose Them"),  # longest ago
    ("Hibernating", "Hibernating", "At Risk", "At Risk", "Cannot Lose Them"),
    ("About To Sleep", "About To Sleep", "Need Attention", "Loyal", "Loyal"),
    ("Promising", "Potential Loyalists", "Potential Loyalists", "Loyal", "Champions"),
    ("New Customers", "Potential Loyalists", "Potential Loyalists", "Champions", "Champions"),  # most recent
)
NAMES = tuple(dict.fromkeys(chain.from_iterable(reversed(RULES))))

_PLACES = np.array([[NAMES.index(name) for name in row] for row in RULES])

Cuts = dict[str, list[float]]
Values = NDArray[np.number[Any]]


def bucket_cuts(spread: Distribution) -> list[float]:
    """Finds the upper ends of the first four of five buckets, as even as ties allow.

    Each cut comes as near as it can to a fair share of what the cuts before it left over, and always takes a
    whole value: if 90 % of users spent nothing, they fill the first bucket and the others share the rest evenly.
    It takes no value that a bucket above it needs, so five distinct values always fill five buckets, however
    rare they are.

    Args:
        spread: users at each value.

    Returns:
        At most four strictly rising values; fewer where there are fewer than five distinct values.
    """
    values, users_up_to = spread.values, spread.users.cumsum()
    cuts: list[float] = []
    start = taken = 0
    for buckets_left in range(BUCKETS, 1, -1):
        if len(values) - start < 2:
            break
        fair = taken + (users_up_to[-1] - taken) / buckets_left
        highest = max(start, len(values) - buckets_left)
        cut = min(max(start, _nearest(users_up_to, fair)), highest)
        cuts.append(float(values[cut]))
        start, taken = cut + 1, int(users_up_to[cut])
    return cuts


def _nearest(rising: np.ndarray, wanted: float) -> int:
    """The place of the number nearest to the wanted one, the lower of equals."""
    above = int(np.searchsorted(rising, wanted))
    return above - 1 if above > 0 and wanted - rising[above - 1] <= rising[above] - wanted else above


def rfm_cuts(distributions: Distributions) -> Cuts:
    """Returns the cuts of recency, frequency and monetary over all users: what a saved model keeps."""
    return {name: bucket_cuts(all_users(distributions, name)) for name in SCORED}


@dataclass(frozen=True)
class Scores:
    """RFM scores of users, from 1 to 5, and the places of their names in NAMES."""

    recency: NDArray[np.int32]
    frequency: NDArray[np.int32]
    monetary: NDArray[np.int32]
    names: NDArray[np.intp]

    def segments(self) -> pa.Array:
        """Returns the names."""
        return pa.DictionaryArray.from_arrays(pa.array(self.names, pa.int32()), pa.array(NAMES)).cast(pa.string())


def rfm_scores(values: Mapping[str, Values], cuts: Cuts) -> Scores:
    """Scores users.

    Args:
        values: for each of SCORED, that of each user.
        cuts: from `rfm_cuts`, of these users or of those a saved model was made from.
    """
    rising = {name: _score(values[name], cuts[name]) for name in SCORED}
    recency = (BUCKETS + 1 - rising["recency"]).astype(np.int32)
    frequency, monetary = rising["frequency"], rising["monetary"]
    return Scores(recency, frequency, monetary, _PLACES[recency - 1, (frequency + monetary + 1) // 2 - 1])


def _score(values: Values, cuts: Sequence[float]) -> NDArray[np.int32]:
    """1 + the number of cuts below each value."""
    return (1 + np.searchsorted(np.array(cuts, np.float64), values, side="left")).astype(np.int32)
