"""Popular products, for users and products without history (SPEC R4), and what the hybrid knows of products.

Three units: sums of some users' scores, sums of all users', and what is made of them. The second goes by product, so
that no task and no driver holds the sums of all tasks.
"""

from __future__ import annotations

import pyarrow as pa

from spark_apps.engine.base import Task
from spark_apps.engine.database import sql
from spark_apps.schemas import POPULAR_PRODUCTS

_ROOM = "spark_apps.recommendation"
GLOBAL, CATEGORY, SEGMENT = "global", "category", "segment"
ALL = "all"
# What is read of a product, of a user's segment.
DESCRIBED = ("product_id", "category", "category_code", "brand", "avg_price", "unique_users")
PLACED = ("user_id", "segment")
SEGMENT_SUMS = pa.schema([("segment", pa.string()), ("product_id", pa.int64()), ("score", pa.decimal128(38, 9))])
SEGMENT_SCORES = pa.schema([("segment", pa.string()), ("product_id", pa.int64()), ("score", pa.float64())])
INTEREST = pa.schema([("liked", pa.int64())])
HYBRID_PRODUCTS = pa.schema(
    [
        ("product_id", pa.int64()),
        ("category_code", pa.string()),
        ("brand", pa.string()),
        ("avg_price", pa.float64()),
        ("users", pa.int64()),
    ]
)


def segment_sums(task: Task) -> None:
    """Adds up what some users of each segment think of each product; each user's score is capped already.

    Inputs: interactions, als.RATED; held, als.HELD; segments, PLACED: all of whole users. Output: segment_sums,
    at most segments x products rows a task; a score is below 0 where removals outweigh. Gives `interest`, a row: how
    many scores are above 0. From removals alone ALS would make factors that say nothing.
    """
    task.database.view("learned", sql(_ROOM, "learned"))
    task.give("interest", task.database.rows("select count(*) as liked from learned where score > 0", INTEREST))
    task.output("segment_sums", SEGMENT_SUMS, task.database.batches(sql(_ROOM, "segment_sums"), SEGMENT_SUMS))


def segment_scores(task: Task) -> None:
    """Adds up what each segment thinks of each product. Inputs: segment_sums. Output: segment_scores."""
    text = sql(_ROOM, "segment_scores")
    task.output("segment_scores", SEGMENT_SCORES, task.database.batches(text, SEGMENT_SCORES))


def popular_products(task: Task) -> None:
    """Ranks products over everybody, per top category and per segment, and describes them for the hybrid.

    Needs all rows in one task: at most segments x products. Inputs: segment_scores, SEGMENT_SCORES; products,
    DESCRIBED. Shared: how many each list keeps. Outputs: lists, schemas.POPULAR_PRODUCTS without products that nobody
    likes; products, HYBRID_PRODUCTS.
    """
    task.database.set(kept=task.shared)
    schema = POPULAR_PRODUCTS
    task.output("lists", schema, task.database.batches(sql(_ROOM, "popular_products"), schema))
    products = task.database.batches(sql(_ROOM, "hybrid_products"), HYBRID_PRODUCTS)
    task.output("products", HYBRID_PRODUCTS, products)
