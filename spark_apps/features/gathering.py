"""Brings each user's events together, once, and adds them up there: what every feature table starts from.

A user's events stand in one partition, so everything about a user can be worked out there, in Arrow's and NumPy's
columns: distinct counts are exact, and no JVM has to warm up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema

from spark_apps.features.pairs import PAIR_SUMS, sum_pairs
from spark_apps.features.products import PRODUCT_SUMS, sum_products
from spark_apps.features.users import USER_SUMS, sum_users
from spark_apps.schemas import EVENTS

# what is read of an event
_READ = ("user_id", "product_id", "category_code", "brand", "event_type", "price", "event_time", "user_session")
NEEDED = pa.schema([EVENTS.field(name) for name in _READ])
# a row is a user, a pair or a product, with nulls for what the others have: one frame, so that one pass makes all
_GATHERED = pa.unify_schemas([PAIR_SUMS, USER_SUMS, PRODUCT_SUMS])
_ROWS_PER_BATCH = 65_536


def gather(events: DataFrame, keep_pairs: Callable[[pa.Table], None] | None = None) -> DataFrame:
    """Adds up the events of every user, of every (user, product), and of every product by description.

    Args:
        events: columns of schemas.EVENTS; a task holds one partition of them in memory, some 110 bytes an event, and
            up to 170 more while it adds them up.
        keep_pairs: takes the pairs of a task, columns of features.pairs.PAIR_SUMS, inside the task and again in each
            new try of it; pairs, by far the most rows, then do not stand in the result.

    Returns:
        What `features.pairs.pair_sums`, `features.users.user_features` and `features.products.product_sums` read;
        worth caching for several of them.
    """
    together = events.select(*NEEDED.names).repartition("user_id")
    return together.mapInArrow(partial(_gather_partition, keep_pairs), from_arrow_schema(_GATHERED))


def leave_out(pairs: pa.Table) -> None:
    """Keeps no pairs: for those who read users and products only."""


def _gather_partition(
    keep_pairs: Callable[[pa.Table], None] | None, batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    held = [batch for batch in batches if batch.num_rows]
    if held:
        events = pa.Table.from_batches(held)
        pairs = sum_pairs(events)
        sums = [sum_users(events), sum_products(pairs)]
        if keep_pairs is None:
            sums.append(pairs)
        else:
            keep_pairs(pairs)
        for rows in sums:
            yield from _widened(rows).to_batches(_ROWS_PER_BATCH)


def _widened(sums: pa.Table) -> pa.Table:
    """Gives sums every column of the gathered frame, null where they do not have it."""
    columns = [
        sums[field.name] if field.name in sums.column_names else pa.nulls(len(sums), field.type) for field in _GATHERED
    ]
    return pa.table(columns, schema=_GATHERED)
