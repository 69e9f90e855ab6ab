"""What is known of products, put together from parts of the events (SPEC F2)."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from spark_apps.features.grouping import grouped, summed

# A product's popularity counts as if so many users of average enthusiasm had met it as well:
# one user's purchase moves it by a twentieth of the way.
PRIOR_USERS = 20
_DESCRIPTION = ("category_code", "brand")


def merge_descriptions(sums: pa.Table) -> pa.Table:
    """Adds up sums of products over disjoint events, each product described by its last event.

    Args:
        sums: what the driver holds, a catalogue and what some batches add to it: product_id, category_code, brand,
            last_time, events, views, carts, purchases, removals, priced, price_sum, unique_users; further columns are
            added up.

    Returns:
        One row per product, in the order of their ids; the columns of `sums`.
    """
    # within a product its newest description last
    ordered = sums.sort_by([(name, "ascending") for name in ("product_id", "last_time", *_DESCRIPTION)])
    newest = {
        name: (name, "last", pc.ScalarAggregateOptions(skip_nulls=False)) for name in ("last_time", *_DESCRIPTION)
    }
    added = summed(*(name for name in sums.column_names if name != "product_id" and name not in newest))
    return grouped(ordered, ["product_id"], added | newest).select(sums.column_names).cast(sums.schema)
