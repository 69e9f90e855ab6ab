"""Events of whole users as sorted arrays: what funnels, frequencies, sequences and baskets are counted from.

A visit is what one user did in one session: the log has a few session ids that several users share, and each of
these makes a visit of its own. An event without a session belongs to no visit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Ints = NDArray[np.int64]

# Event types in the order in which events of the same second are read.
STEPS = ("view", "cart", "remove_from_cart", "purchase")
VIEW, CART, REMOVAL, PURCHASE = range(len(STEPS))
SECONDS_PER_DAY = 86_400


@dataclass(frozen=True)
class Visits:
    """Events of some users, in order of user, visit, time and type; one entry an event.

    Attributes:
        user: number of the user, from 0 without gaps.
        visit: number of the visit, ascending; -1 for events without a session.
        kind: place of the event's type in STEPS.
        day: days since 1970.
        product: place of the product in `products`.
        category: place of the category in `categories`.
        products: distinct product ids.
        categories: distinct category codes.
    """

    user: Ints
    visit: Ints
    kind: Ints
    day: Ints
    product: Ints
    category: Ints
    products: pa.Array
    categories: pa.Array


def whole_users(batches: Iterable[pa.RecordBatch], events: int) -> Iterator[pa.Table]:
    """Cuts rows in order of user into tables that no user is spread over.

    Args:
        batches: rows with a `user_id`, sorted by it.
        events: rows from which a table may end; only a user with more makes it much longer.
    """
    held: list[pa.RecordBatch] = []
    for batch in batches:
        if not batch.num_rows:
            continue
        held.append(batch)
        users = batch.column("user_id").to_numpy()
        if sum(map(len, held)) < events:
            continue
        start = int(np.searchsorted(users, users[-1]))
        complete = [*held[:-1], batch.slice(0, start)]
        goes_on = start == 0 and len(held) > 1 and held[-2].column("user_id")[-1].as_py() == users[-1]
        if goes_on or not any(map(len, complete)):
            continue
        yield pa.Table.from_batches(complete)
        held = [batch.slice(start)]
    if held:
        yield pa.Table.from_batches(held)


def sorted_visits(events: pa.Table) -> Visits:
    """Puts events in order and numbers users and visits.

    Args:
        events: user_id, user_session, seconds (since 1970), kind (place in STEPS), product_id, category_code.
    """
    session, _ = _places(events["user_session"])
    product, products = _places(events["product_id"])
    category, categories = _places(events["category_code"])
    user, kind, seconds = (_ints(events[name]) for name in ("user_id", "kind", "seconds"))
    order = np.lexsort((seconds * len(STEPS) + kind, session, user))
    user, session = user[order], session[order]
    new_user = starts_of(user)
    return Visits(
        user=np.cumsum(new_user) - 1,
        visit=np.where(session < 0, -1, np.cumsum(new_user | starts_of(session)) - 1),
        kind=kind[order],
        day=seconds[order] // SECONDS_PER_DAY,
        product=product[order],
        category=category[order],
        products=products,
        categories=categories,
    )


def starts_of(values: Ints) -> NDArray[np.bool_]:
    """Marks the first of each run of equal values."""
    return np.concatenate([[True], values[1:] != values[:-1]]) if len(values) else np.zeros(0, np.bool_)


def counted(values: Ints) -> tuple[Ints, Ints]:
    """Returns the distinct values, ascending, and how often each is there."""
    distinct, counts = np.unique(values, return_counts=True)
    return distinct, counts.astype(np.int64)


def _places(column: pa.ChunkedArray) -> tuple[Ints, pa.Array]:
    """Each value's place among the distinct ones, -1 for null, and the distinct ones."""
    encoded = column.combine_chunks().dictionary_encode()
    return _ints(pc.fill_null(encoded.indices, -1)), encoded.dictionary


def _ints(column: pa.Array | pa.ChunkedArray) -> Ints:
    return np.asarray(column.to_numpy(), np.int64)
