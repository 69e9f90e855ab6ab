"""Brings each user's events together, once, and adds them up there: what every feature table starts from.

A user's events stand in one partition, so everything about a user can be worked out there: each task hands its
partition to Arrow's group-bys, whose distinct counts are exact, and which need no JVM to warm up.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import DataFrame
from pyspark.sql.pandas.types import from_arrow_schema

from spark_apps.features.pairs import PAIR_SUMS, sum_pairs
from spark_apps.features.users import USER_SUMS, sum_users

# what is read of an event, with its columns of schemas.EVENTS
NEEDED = pa.schema(
    [
        ("user_id", pa.int64()),
        ("product_id", pa.int64()),
        ("category_code", pa.string()),
        ("brand", pa.string()),
        ("event_type", pa.string()),
        ("price", pa.float64()),
        ("event_time", pa.timestamp("us", "UTC")),
        ("user_session", pa.string()),
    ]
)
# a row is a user (product_id is null) or a pair (first_seen is null): one frame, so that one pass makes both
_GATHERED = pa.unify_schemas([PAIR_SUMS, USER_SUMS])
_ROWS_PER_BATCH = 65_536


def gather(events: DataFrame) -> DataFrame:
    """Adds up the events of every user, and of every (user, product).

    Args:
        events: columns of schemas.EVENTS; a task holds one partition of them in memory, some 100 bytes an event.

    Returns:
        What `features.pairs.pair_sums` and `features.users.user_features` read; worth caching for both.
    """
    return (
        events.select(*NEEDED.names).repartition("user_id").mapInArrow(_gather_partition, from_arrow_schema(_GATHERED))
    )


def _gather_partition(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    held = [batch for batch in batches if batch.num_rows]
    if held:
        events = pa.Table.from_batches(held)
        for sums in (sum_users(events), sum_pairs(events)):
            yield from _widened(sums).to_batches(_ROWS_PER_BATCH)


def _widened(sums: pa.Table) -> pa.Table:
    """Gives sums every column of the gathered frame, null where they do not have it."""
    columns = [
        sums[field.name] if field.name in sums.column_names else pa.nulls(len(sums), field.type) for field in _GATHERED
    ]
    return pa.table(columns, schema=_GATHERED)
