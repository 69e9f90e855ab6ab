"""Two counts of the same thing, made from different tables, place by place: per date, user, product or batch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

PLACE, COUNT = "place", "count"
SHOWN_PLACES = 3
_SIDES = ("expected", "found")


@dataclass(frozen=True)
class Balance:
    """What is counted twice.

    Attributes:
        what: the two sides, in words.
        expected, found: sums over all places.
        places: places with a count on either side.
        differing: those of them whose two counts differ.
        examples: the first differing places in their order, at most SHOWN_PLACES.
        mend: what to run where it does not balance.
    """

    what: str
    expected: int
    found: int
    places: int
    differing: int
    examples: tuple[str, ...]
    mend: str

    @property
    def holds(self) -> bool:
        """Whether the two counts are equal at every place; equal sums alone are not enough."""
        return self.differing == 0


def balance(what: str, expected: DataFrame, found: DataFrame, mend: str) -> Balance:
    """Compares two counts place by place; a place that one side does not have counts 0 there.

    Args:
        what: the two sides, in words.
        expected: columns place (any one type, null allowed), count (rows or events); each place once.
        found: the same.
        mend: what to run where it does not balance.
    """
    both = _side_by_side(expected, found)
    differs = F.col("expected") != F.col("found")
    sums = both.agg(
        *(F.coalesce(F.sum(side), F.lit(0)).alias(side) for side in _SIDES),
        F.count(F.lit(1)).alias("places"),
        F.count_if(differs).alias("differing"),
    ).collect()[0]
    first = both.where(differs).orderBy(PLACE).limit(SHOWN_PLACES)
    examples = first.collect() if sums["differing"] else []  # at most SHOWN_PLACES
    return Balance(what, **sums.asDict(), examples=tuple(_told(**row.asDict()) for row in examples), mend=mend)


def counted(rows: DataFrame, place: str) -> DataFrame:
    """Returns the number of rows of each place.

    Args:
        rows: any rows.
        place: the column that names the place.

    Returns:
        Columns place, count.
    """
    return rows.groupBy(F.col(place).alias(PLACE)).agg(F.count(F.lit(1)).alias(COUNT))


def summed(rows: DataFrame, place: str, number: str) -> DataFrame:
    """Returns the sum of a column for each place.

    Args:
        rows: any rows.
        place: the column that names the place.
        number: the column that is summed, whole numbers.

    Returns:
        Columns place, count.
    """
    return rows.groupBy(F.col(place).alias(PLACE)).agg(F.sum(number).alias(COUNT))


def together(*counts: DataFrame) -> DataFrame:
    """Returns the counts of several frames as those of one.

    Args:
        counts: columns place, count.

    Returns:
        Columns place, count, each place once.
    """
    return summed(reduce(DataFrame.unionByName, counts), PLACE, COUNT)


def _side_by_side(expected: DataFrame, found: DataFrame) -> DataFrame:
    sides = [
        frame.select(PLACE, *(F.col(COUNT).alias(side) if side == name else F.lit(0).alias(side) for side in _SIDES))
        for name, frame in zip(_SIDES, (expected, found), strict=True)
    ]
    # a union, for a join does not bring together places that are null
    return reduce(DataFrame.unionByName, sides).groupBy(PLACE).agg(*(F.sum(side).alias(side) for side in _SIDES))


def _told(place: object, expected: int, found: int) -> str:
    return f"{'none' if place is None else place}: {expected:,} and {found:,}"
