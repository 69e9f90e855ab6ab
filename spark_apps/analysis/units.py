"""The units that count what the analysis tells: SQL over events of whole users, whole sessions and whole items.

What they give are sums over a task's share, which `merged` adds up: their number does not grow with the events.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pyarrow as pa

from spark_apps.analysis.affinities import AFFINITIES, MAX_BASKET, MAX_ITEMS, MIN_TOGETHER
from spark_apps.analysis.tops import ITEMS
from spark_apps.engine.base import Task
from spark_apps.engine.database import sql
from spark_apps.schemas import EVENTS

_ROOM = "spark_apps.analysis"
# Room for an event in lists of its visit or basket, which are never spilled: 120 were measured. What does not fit into
# the memory is counted a share of the users at a time, and each share reads the files again.
BYTES_PER_EVENT = 200
# The nine columns of the log, in its order.
LOGGED = EVENTS.names[:9]
EVENT_COLUMNS = pa.schema([EVENTS.field(name) for name in LOGGED])
_MONEY = pa.decimal128(38, 4)


def _schema(texts: tuple[str, ...], numbers: tuple[str, ...]) -> pa.Schema:
    return pa.schema([*((name, pa.string()) for name in texts), *((name, pa.int64()) for name in numbers)])


CUBE = pa.schema(
    [
        ("event_type", pa.string()),
        ("date", pa.date32()),
        ("hour", pa.int64()),
        ("events", pa.int64()),
        ("priced", pa.int64()),
        ("price_sum", _MONEY),
        ("price_min", pa.float64()),
        ("price_max", pa.float64()),
        *((f"missing_{name}", pa.int64()) for name in LOGGED),
    ]
)
UNIT_TYPES = _schema(("unit",), ("types", "units"))
FREQUENCIES = _schema(("figure",), ("number", "users"))
SEQUENCES = _schema(("sequence",), ("visits",))
USERS = _schema((), ("users",))
DUPLICATES = _schema((), ("duplicates",))
PRODUCTS = _schema((), ("products",))
SESSION_SHAPES = _schema(("figure",), ("number", "sessions"))
BASKET_COUNTS = _schema(("figure",), ("baskets", "too_large"))
TOGETHER = _schema(("figure",), ("cell", "baskets"))
ITEM_SUMS = pa.schema(
    [
        ("kind", pa.string()),
        ("item", pa.string()),
        ("product_id", pa.int64()),
        ("category_code", pa.string()),
        ("brand", pa.string()),
        *((name, pa.int64()) for name in ("views", "carts", "purchases")),
        ("revenue", _MONEY),
        ("last_time", pa.timestamp("us", "UTC")),
    ]
)


def count_users(task: Task) -> None:
    """Counts what the events of whole users tell.

    Inputs: events, EVENT_COLUMNS. Outputs: item_sums, ITEM_SUMS. Gives cube, a row a type, date and hour; unit_types,
    at most 48 rows; frequencies, a row a date and at most sqrt(2 * sessions) more; sequences, at most 120,000 rows;
    users and duplicates.
    """
    database = task.database
    database.view("priced_events", sql("spark_apps.features", "priced_events"))
    task.give("cube", database.rows(sql(_ROOM, "cube"), CUBE))
    task.output("item_sums", ITEM_SUMS, database.batches(sql(_ROOM, "item_sums"), ITEM_SUMS))
    for _ in _shares_of_users(task):
        database.table("visits", sql(_ROOM, "visits"))
        database.table("pairs", sql(_ROOM, "pairs"))
        for name, schema in _OF_USERS.items():
            task.give(name, database.rows(sql(_ROOM, name), schema))
        task.give("users", database.rows("select count(distinct user_id) as users from pairs", USERS))


_OF_USERS = {
    "unit_types": UNIT_TYPES,
    "frequencies": FREQUENCIES,
    "sequences": SEQUENCES,
    "duplicates": DUPLICATES,
}


def count_sessions(task: Task) -> None:
    """Counts sessions by their shape.

    Inputs: events with a session, SESSION_COLUMNS. Gives session_shapes: at most sqrt(2 * events) numbers of events,
    and a row a second of the time that the events span.
    """
    task.database.table("sessions", sql(_ROOM, "sessions"))
    task.give("session_shapes", task.database.rows(sql(_ROOM, "session_shapes"), SESSION_SHAPES))


SESSION_COLUMNS = ("event_time", "user_session")


def rank_items(task: Task) -> None:
    """Finds the first products, category codes and brands by views and by purchases.

    Inputs: item_sums, ITEM_SUMS, all of an item. Gives ranked_items, at most 6 * MAX_ITEMS rows; and products.
    """
    task.database.set(keep=MAX_ITEMS)
    task.database.table("items", sql(_ROOM, "items"))
    task.give("ranked_items", task.database.rows(sql(_ROOM, "ranked_items"), ITEMS))
    products = "select count(*) filter (kind = 'products') as products from items"
    task.give("products", task.database.rows(products, PRODUCTS))


def count_baskets(task: Task) -> None:
    """Counts the baskets of whole users, and in how many of them candidates are together.

    Inputs: events, BASKET_COLUMNS. Outputs: together, TOGETHER. Shared: for each of AFFINITIES at most MAX_ITEMS
    product ids or category codes. Gives basket_counts, a row an affinity.
    """
    candidates: Mapping[str, pa.Array] = task.shared
    task.database.set(max_basket=MAX_BASKET, max_items=MAX_ITEMS)
    for _ in _shares_of_users(task):
        for name in AFFINITIES:
            items = candidates[name]
            task.database.set(figure=name)
            task.database.register("candidates", pa.table({"item": items, "place": range(len(items))}))
            task.database.view("chosen", sql(_ROOM, name))
            task.database.table("baskets", sql(_ROOM, "baskets"))
            task.give("basket_counts", task.database.rows(sql(_ROOM, "basket_counts"), BASKET_COUNTS))
            task.output("together", TOGETHER, task.database.batches(sql(_ROOM, "together"), TOGETHER))


BASKET_COLUMNS = ("event_time", "event_type", "product_id", "category_code", "user_id", "user_session")


def add_baskets(task: Task) -> None:
    """Adds up in how many baskets candidates are together.

    Inputs: together, TOGETHER, all of a cell. Gives cells: at most MAX_ITEMS^2 / 2 of each affinity, those in
    MIN_TOGETHER baskets.
    """
    task.database.set(min_together=MIN_TOGETHER)
    task.give("cells", task.database.rows(sql(_ROOM, "cells"), TOGETHER))


def _shares_of_users(task: Task) -> Iterator[int]:
    """Lets `steps` be those of as many users at a time as may be held, one share after the other."""
    needed = int(task.database.value("select count(*) from events")) * BYTES_PER_EVENT
    shares = needed // task.database.memory + 1
    task.database.view("steps", sql(_ROOM, "steps"))
    for share in range(shares):
        task.database.set(shares=shares, share=share)
        yield share


def merged(parts: pa.Table, *keys: str) -> pa.Table:
    """Adds up the shares of all tasks.

    Args:
        parts: what tasks gave: keys, and numbers to add; of those ending in `_min` and `_max`, the least and greatest.
        keys: columns that rows agree in.

    Returns:
        The same columns, a row for each combination of keys.
    """
    numbers = [name for name in parts.column_names if name not in keys]
    wanted = [(name, {"_min": "min", "_max": "max"}.get(name[-4:], "sum")) for name in numbers]
    return parts.group_by(list(keys)).aggregate(wanted).rename_columns([*keys, *numbers])
