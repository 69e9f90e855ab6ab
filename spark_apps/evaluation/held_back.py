"""What a training keeps from its models to judge them by: the last product of some users (SPEC M2)."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from spark_apps.engine.base import Task
from spark_apps.engine.database import sql

# What is read of an interaction.
TIMED = ("user_id", "product_id", "score", "last_time")
# A user's product that models do not know of.
HELD = pa.schema(
    [
        ("user_id", pa.int64()),
        ("first_time", pa.timestamp("us", "UTC")),
        ("product_id", pa.int64()),
        ("score", pa.float64()),
    ]
)
_DRAWN = pa.schema([("draw", pa.string()), *HELD])
# A user with fewer products would have hardly anything left to learn from.
LEAST_PRODUCTS = 3


@dataclass(frozen=True)
class Draw:
    """Of how many users a product is held back, and the seed of their draw."""

    users: int
    seed: int


def draw_held_back(task: Task) -> None:
    """Draws some of a task's users and takes the product each touched last.

    The draw is by the MD5 of the user's id and the seed, which every engine and every version computes alike.

    Inputs: interactions, TIMED, of whole users. Shared: Draw. Gives `drawn`: as many users as are wanted, or all.
    """
    draw: Draw = task.shared
    task.database.set(seed=draw.seed, users=draw.users, least_products=LEAST_PRODUCTS)
    task.give("drawn", task.database.rows(sql("spark_apps.evaluation", "held_back"), _DRAWN))


def held_back(drawn: pa.Table, draw: Draw) -> pa.Table:
    """Returns the users with the lowest hashes of all that tasks drew: rows of HELD, by user."""
    best = drawn.sort_by([("draw", "ascending"), ("user_id", "ascending")]).slice(0, draw.users)
    return best.drop_columns("draw").sort_by("user_id").combine_chunks()


def no_rows() -> pa.Table:
    """Returns what is given where no task drew anybody."""
    return _DRAWN.empty_table()
