"""Group-bys of Arrow tables: small ones, of what the driver puts together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

Aggregate = tuple[str, str, object]
# columns of events that count a type
COUNTED_TYPES = {"view": "views", "cart": "carts", "purchase": "purchases", "remove_from_cart": "removals"}


def grouped(table: pa.Table, keys: Sequence[str], aggregates: Mapping[str, Aggregate]) -> pa.Table:
    """Groups a table on one thread, so that ordered aggregates follow its rows.

    Args:
        table: the rows.
        keys: columns to group by.
        aggregates: for each new column its source column, Arrow's function and options.
    """
    made = table.group_by(list(keys), use_threads=False).aggregate(list(aggregates.values()))
    names = [f"{column}_{function}" for column, function, _ in aggregates.values()]
    return made.select([*keys, *names]).rename_columns([*keys, *aggregates])


def summed(*names: str) -> dict[str, Aggregate]:
    """Returns the aggregates that add up columns under their own names, 0 where all are null."""
    return {name: (name, "sum", pc.ScalarAggregateOptions(min_count=0)) for name in names}
