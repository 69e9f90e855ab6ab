"""Which categories and brands a segment likes more than others do (SPEC G4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

import pyarrow as pa

from spark_apps.engine.base import Engine, Relation, Task
from spark_apps.engine.database import sql
from spark_apps.results import Result
from spark_apps.schemas import UNKNOWN
from spark_apps.storage import StoragePath

_ROOM = "spark_apps.segmentation"
INTERESTS = pa.schema(
    [
        ("segment", pa.string()),
        ("dimension", pa.string()),
        ("value", pa.string()),
        ("score", pa.float64()),
        ("users", pa.int64()),
    ]
)
# parts hold exact sums, so that no order of adding up changes one
_PARTS = INTERESTS.set(3, pa.field("score", pa.decimal128(38, 9)))

# Memory for an interaction, of two groupings by user at a time and the products beside them: 110 are too few in 64 MB.
_BYTES_PER_PAIR = 240

Dimension = Literal["categories", "brands"]
# each dimension's column in schemas.PRODUCT_FEATURES
DIMENSIONS: dict[Dimension, str] = {"categories": "category_code", "brands": "brand"}


class Interest(NamedTuple):
    """A segment's interest in a category or brand: sum of its users' implicit scores, and how many these users are."""

    segment: str
    dimension: Dimension
    value: str
    score: float
    users: int


class Affinity(Result):
    """A category or brand that a segment likes.

    share: of the segment's interest in known categories (or brands), 0 to 1; lift: that share divided by the same share
    over all users; users: of the segment, with interest in it.
    """

    value: str
    share: float
    lift: float
    users: int


class SegmentAffinities(Result):
    """What a segment likes more than all users do, highest lift first; nothing where nothing stands out."""

    segment: str
    categories: list[Affinity]
    brands: list[Affinity]


def interests(
    engine: Engine, interactions: Relation, products: Relation, segments: Relation, scratch: StoragePath
) -> list[Interest]:
    """Adds up interest per segment and category, and per segment and brand; the unknown ones are left out.

    Every task holds the products' categories and brands, some 60 bytes a product. At most k rows for each category and
    brand of the catalogue come back.

    Args:
        engine: reads the tables.
        interactions: columns of schemas.INTERACTIONS; scores above 0 are interest.
        products: columns of schemas.PRODUCT_FEATURES.
        segments: user_id, segment.
        scratch: a new folder.
    """
    described = engine.run(_bring, {"products": products.select("product_id", *DIMENSIONS.values())}).results[
        "products"
    ]
    inputs = {
        "interactions": interactions.select("user_id", "product_id", "score"),
        "segments": segments.select("user_id", "segment"),
    }
    parts = scratch / "interests"
    engine.run(_sum_interests, inputs, "user_id", {"interests": parts}, described)
    done = engine.run(_add_interests, {"interests": Relation.of(parts, _PARTS)}, "value")
    return [Interest(**row) for row in done.result("interests", INTERESTS).to_pylist()]


def _bring(task: Task) -> None:
    task.give("products", task.database.rows("select * from products"))


def _sum_interests(task: Task) -> None:
    """Writes `interests`, rows of _PARTS, of the task's users. Shared: categories and brands of the products."""
    task.database.register("products", task.shared)
    task.database.set(unknown=UNKNOWN)
    for _ in task.database.in_shares("interactions", "user_id", _BYTES_PER_PAIR):
        task.output("interests", _PARTS, task.database.batches(sql(_ROOM, "interests"), _PARTS))


def _add_interests(task: Task) -> None:
    """Gives `interests`, rows of INTERESTS, of the task's values."""
    task.give("interests", task.database.rows(sql(_ROOM, "interest_sums"), INTERESTS))


def affinities(found: Iterable[Interest], least_users: Mapping[str, float], kept: int) -> list[SegmentAffinities]:
    """Finds what each segment likes more than all users do.

    Interest is compared as shares, of the segment's own and of everybody's: so a segment of busy users has no affinity
    for everything. Only lifts above 1 count.

    Args:
        found: from `interests`.
        least_users: for each segment, in the order wanted, the users who must like what is listed.
        kept: listed per segment and dimension, at most.
    """
    rows = sorted(found)
    by_dimension = {dimension: [row for row in rows if row.dimension == dimension] for dimension in DIMENSIONS}
    return [
        SegmentAffinities(
            segment=name, **{one: _strongest(here, name, least)[:kept] for one, here in by_dimension.items()}
        )
        for name, least in least_users.items()
    ]


def _strongest(rows: list[Interest], segment: str, least: float) -> list[Affinity]:
    """The affinities of a segment by lift, of equals in the alphabet."""
    everybody = _sums((row.value, row.score) for row in rows)
    own = [row for row in rows if row.segment == segment]
    own_total, total = sum(row.score for row in own), sum(everybody.values())
    strong: list[Affinity] = []
    for row in own:
        share = row.score / own_total
        lift = share / (everybody[row.value] / total)
        if row.users >= least and round(lift, 9) > 1:
            strong.append(Affinity(value=row.value, share=share, lift=lift, users=row.users))
    return sorted(strong, key=lambda one: (-round(one.lift, 9), one.value))


def _sums(scores: Iterable[tuple[str, float]]) -> dict[str, float]:
    summed: dict[str, float] = {}
    for value, score in scores:
        summed[value] = summed.get(value, 0.0) + score
    return summed
