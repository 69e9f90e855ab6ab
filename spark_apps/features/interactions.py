"""How much a user cares for a product (SPEC F3)."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

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
    points = (
        F.col("views") * F.lit(scores.view)
        + F.col("carts") * F.lit(scores.cart)
        + F.col("purchases") * F.lit(scores.purchase)
        + F.col("removals") * F.lit(scores.remove_from_cart)
    )
    return F.least(points, F.lit(scores.cap))
