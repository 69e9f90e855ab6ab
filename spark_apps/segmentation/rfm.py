"""RFM: scores from 1 to 5 that survive ties and skew, and the eleven usual names (SPEC G1)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

BUCKETS = 5
# The distribution is read at these steps; percentile_approx is off by at most 1 / ACCURACY in rank.
STEPS = 1000
ACCURACY = 10_000

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

Cuts = dict[str, list[float]]


def quantile_points(features: DataFrame) -> dict[str, list[float]]:
    """Reads the distributions of recency, frequency and monetary at STEPS + 1 even points, in one pass."""
    shares = [step / STEPS for step in range(STEPS + 1)]
    columns = [F.percentile_approx(name, shares, ACCURACY).alias(name) for name in ("recency", "frequency", "monetary")]
    row = features.agg(*columns).first()  # one row of 3 x 1001 numbers
    if row is None or row["recency"] is None:
        return {"recency": [0.0], "frequency": [0.0], "monetary": [0.0]}
    return {name: [float(point) for point in row[name]] for name in ("recency", "frequency", "monetary")}


def bucket_cuts(points: Sequence[float]) -> list[float]:
    """Finds the upper ends of the first four of five buckets, as even as ties allow.

    Each cut takes its fair share of what the cuts before it left over, and always a whole value: if
    90 % of users spent nothing, they fill the first bucket and the others share the rest evenly. It takes
    no value that a bucket above it needs, so five distinct values always fill five buckets.

    Args:
        points: a sorted sample of the distribution.

    Returns:
        At most four strictly rising values; fewer where there are fewer than five distinct values.
    """
    rest = list(points)
    cuts: list[float] = []
    for buckets_left in range(BUCKETS, 1, -1):
        values = sorted(set(rest))
        if len(values) < 2:
            break
        fair = rest[max(0, round(len(rest) / buckets_left) - 1)]
        cut = min(fair, values[max(0, len(values) - buckets_left)])
        cuts.append(cut)
        rest = [value for value in rest if value > cut]
    return cuts


def rfm_cuts(features: DataFrame) -> Cuts:
    """Returns the cuts of recency, frequency and monetary over all users: what a saved model keeps."""
    return {name: bucket_cuts(points) for name, points in quantile_points(features).items()}


def rfm_columns(cuts: Cuts) -> list[Column]:
    """Returns rfm_recency, rfm_frequency, rfm_monetary and rfm_segment for a frame of user features.

    Args:
        cuts: from `rfm_cuts`, of these users or of those a saved model was made from.
    """
    recency = (BUCKETS + 1 - _score("recency", cuts["recency"])).cast("int")
    frequency, monetary = _score("frequency", cuts["frequency"]), _score("monetary", cuts["monetary"])
    strength = F.ceil((frequency + monetary) / 2).cast("int")
    table = F.array(*(F.array(*(F.lit(name) for name in row)) for row in RULES))
    return [
        recency.alias("rfm_recency"),
        frequency.alias("rfm_frequency"),
        monetary.alias("rfm_monetary"),
        F.element_at(F.element_at(table, recency), strength).alias("rfm_segment"),
    ]


def _score(name: str, cuts: Sequence[float]) -> Column:
    """1 + the number of cuts below the value."""
    below = [F.when(F.col(name) > F.lit(cut), 1).otherwise(0) for cut in cuts]
    return sum(below, F.lit(1)).cast("int")
