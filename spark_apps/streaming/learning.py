"""What a batch's events change about its users: the first of two steps in each task (SPEC T3, T4).

A task holds one bucket of users: their new events, all their former ones and the lists they were given. What is known
of a user is worked out anew from all of the user's events by the functions that batch jobs use, so it equals theirs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from spark_apps.features.gathering import NEEDED
from spark_apps.features.grouping import (
    COUNTED_TYPES,
    Groups,
    grouped,
    micros_of,
    seconds_of,
    spent,
    summed,
    type_flags,
)
from spark_apps.features.interactions import implicit_scores
from spark_apps.features.pairs import sum_pairs
from spark_apps.features.users import USER_SUMS, session_lengths, sum_users
from spark_apps.settings import EventScores
from spark_apps.streaming.figures import Relevances, pack
from spark_apps.streaming.watermark import WINDOW

FRESH = NEEDED.append(pa.field("late", pa.bool_()))
PROFILES = pa.schema(
    [
        ("user_id", pa.int64()),
        ("segment", pa.string()),
        ("listed", pa.list_(pa.int64())),
        ("first_listed", pa.list_(pa.int64())),
    ]
)
_OF_PRODUCTS = pa.schema(
    [
        ("products", pa.list_(pa.int64())),
        ("scores", pa.list_(pa.float32())),
        ("bought", pa.list_(pa.bool_())),
        ("gains", pa.list_(pa.float32())),
    ]
)
_BEFORE = pa.schema([("old_segment", pa.string()), PROFILES.field("first_listed")])
FIGURES = pa.field("figures", pa.binary())
# one row for each user of the batch, and one without a user that carries the bucket's figures
LEARNED = pa.schema([*USER_SUMS, *_OF_PRODUCTS, *_BEFORE, FIGURES])
_PAIR = ("user_id", "product_id")


@dataclass(frozen=True)
class InForce:
    """What is recommended to users without a list: products popular now, and when the models were trained."""

    popular: tuple[int, ...]
    first_popular: tuple[int, ...]
    top: int


def learn(fresh: pa.Table, past: pa.Table, profiles: pa.Table, scores: EventScores, in_force: InForce) -> pa.Table:
    """Works out what the users of one bucket are like after a batch.

    Args:
        fresh: the batch's events of the bucket, columns of FRESH, at least one row.
        past: all former events of its users, columns of NEEDED.
        profiles: what was known of its users, columns of PROFILES, a user at most once.
        scores: points per event type.
        in_force: for users without a list.

    Returns:
        The columns of LEARNED.
    """
    events = pa.concat_tables([past, fresh.select(NEEDED.names)])
    users = sum_users(events).sort_by("user_id")
    before, pairs = (scored_pairs(part, scores) for part in (past, events))
    told = {
        "types": _types(fresh),
        "windows": _windows(fresh),
        "products": _products(fresh, before),
        "activity": _activity(fresh, past),
        "relevance": _relevance(fresh, before, profiles, in_force),
    }
    columns = [*users.columns, *_side_by_side(users, pairs, before), *_known(users, profiles)]
    rows = pa.table([*columns, pa.nulls(len(users), FIGURES.type)], LEARNED)
    return pa.concat_tables([rows, carrying(LEARNED, pack(told))])


def carrying(schema: pa.Schema, packed: bytes) -> pa.Table:
    """Returns a row that holds figures only."""
    columns = [pa.array([packed if field == FIGURES else None], field.type) for field in schema]
    return pa.table(columns, schema)


def scored_pairs(events: pa.Table, scores: EventScores) -> pa.Table:
    """Returns what each user touched.

    Args:
        events: columns of NEEDED.
        scores: points per event type.

    Returns:
        The columns of features.pairs.PAIR_SUMS and score.
    """
    pairs = sum_pairs(events)
    return pairs.append_column("score", pa.array(implicit_scores(pairs, scores)))


def _side_by_side(users: pa.Table, pairs: pa.Table, before: pa.Table) -> list[pa.Array]:
    """Each user's products in a row: ids, scores, whether bought, and how much the score rose."""
    old = before.select([*_PAIR, "score"]).rename_columns([*_PAIR, "old_score"])
    ordered = pairs.join(old, list(_PAIR), join_type="left outer", use_threads=False)
    ordered = ordered.sort_by([(name, "ascending") for name in _PAIR]).combine_chunks()
    ids, lengths = np.unique(ordered["user_id"].to_numpy(), return_counts=True)
    assert np.array_equal(ids, users["user_id"].to_numpy()), "every user has a product"
    offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]), pa.int32())
    gains = pc.subtract(ordered["score"], pc.fill_null(ordered["old_score"], 0.0))
    columns = (ordered["product_id"], ordered["score"], pc.greater(ordered["purchases"], 0), gains)
    return [
        pa.ListArray.from_arrays(offsets, column.combine_chunks().cast(field.type.value_type))
        for column, field in zip(columns, _OF_PRODUCTS, strict=True)
    ]


def _known(users: pa.Table, profiles: pa.Table) -> list[pa.ChunkedArray]:
    """What was known of each user, null of a new one."""
    places = pc.index_in(users["user_id"], value_set=profiles["user_id"].combine_chunks())
    return [profiles[name].combine_chunks().take(places) for name in ("segment", "first_listed")]


def _types(fresh: pa.Table) -> pa.Table:
    return grouped(
        fresh,
        ["event_type"],
        {
            "events": ("user_id", "count", None),
            "users": ("user_id", "count_distinct", None),
            "priced": ("price", "count", None),
            "value": summed("price")["price"],
        },
    )


def _windows(fresh: pa.Table) -> pa.Table:
    """Events of windows still open, added up."""
    on_time = fresh.filter(pc.invert(fresh["late"]))
    width = int(WINDOW.total_seconds())
    starts = pc.multiply(pc.divide(seconds_of(on_time), width), width * 1_000_000)
    table = _flagged(on_time).append_column("window_start", starts.cast(pa.timestamp("us", "UTC")))
    counted = summed(*COUNTED_TYPES.values()) | {"events": ("user_id", "count", None)}
    return grouped(table, ["window_start"], counted | {"revenue": summed("spent")["spent"]})


def _products(fresh: pa.Table, before: pa.Table) -> pa.Table:
    """The batch's sums of each product by description, as `features.products.product_sums` has them; and revenue."""
    pairs = sum_pairs(fresh)
    known = before.select(_PAIR).append_column("known", pa.array(np.ones(len(before), np.int64)))
    pairs = pairs.join(known, list(_PAIR), join_type="left outer", use_threads=False)
    pairs = pairs.append_column("first_meeting", pc.is_null(pairs["known"]).cast(pa.int64()))
    revenue = grouped(_flagged(fresh), _PAIR, {"revenue": summed("spent")["spent"]})
    pairs = pairs.join(revenue, list(_PAIR), join_type="left outer", use_threads=False)
    sums = summed("events", *COUNTED_TYPES.values(), "priced", "price_sum", "revenue")
    new = {"unique_users": ("first_meeting", "sum", None), "last_time": ("last_time", "max", None)}
    return grouped(pairs, ["product_id", "category_code", "brand"], sums | new)


def _flagged(events: pa.Table) -> pa.Table:
    columns = {name: events[name] for name in _PAIR} | type_flags(events) | {"spent": spent(events)}
    return pa.table(columns)


def _activity(fresh: pa.Table, past: pa.Table) -> dict[str, float]:
    """Sums over users and sessions, which stand in one bucket each."""
    users = Groups.by(fresh["user_id"])
    known = pc.is_in(users.keys, value_set=pc.unique(past["user_id"]))
    seconds = session_lengths(users, fresh, micros_of(fresh)).seconds
    return {
        "users": len(users),
        "new_users": len(users) - (pc.sum(known).as_py() or 0),
        "sessions": len(seconds),
        "session_events": len(fresh) - fresh["user_session"].null_count,
        "session_seconds": int(seconds.sum()),
    }


def _relevance(fresh: pa.Table, before: pa.Table, profiles: pa.Table, in_force: InForce) -> dict[str, Relevances]:
    """How well the lists in force guess what users put in the cart or bought, and had not bought before."""
    bought = before.filter(pc.greater(before["purchases"], 0))
    bought_by = _products_by_user(bought)
    wanted = _products_by_user(fresh.filter(pc.is_in(fresh["event_type"], value_set=pa.array(["cart", "purchase"]))))
    targets = {user: sorted(products - bought_by.get(user, set())) for user, products in wanted.items()}
    listed = {name: _lists(profiles, name) for name in ("listed", "first_listed")}
    found = {name: Relevances() for name in ("updated", "static", "popularity")}
    for user, products in targets.items():
        popular = _without(in_force.popular, bought_by.get(user, set()), in_force.top)
        first = _without(in_force.first_popular, bought_by.get(user, set()), in_force.top)
        found["updated"].judge(listed["listed"].get(user, popular), products)
        found["static"].judge(listed["first_listed"].get(user, first), products)
        found["popularity"].judge(popular, products)
    return found


def _products_by_user(rows: pa.Table) -> dict[int, set[int]]:
    found: dict[int, set[int]] = {}
    for user, product in zip(rows["user_id"].to_pylist(), rows["product_id"].to_pylist(), strict=True):
        found.setdefault(user, set()).add(product)
    return found


def _lists(profiles: pa.Table, name: str) -> dict[int, list[int]]:
    there = profiles.filter(pc.is_valid(profiles[name]))
    return dict(zip(there["user_id"].to_pylist(), there[name].to_pylist(), strict=True))


def _without(products: Iterable[int], left_out: set[int], top: int) -> list[int]:
    return [product for product in products if product not in left_out][:top]


def newest_profiles(parts: list[pa.Table]) -> pa.Table:
    """Keeps each user's row of the last part that has one.

    Args:
        parts: columns of PROFILES, oldest first; a user at most once in each.
    """
    whole = pa.concat_tables([PROFILES.empty_table(), *(part.select(PROFILES.names).cast(PROFILES) for part in parts)])
    users: NDArray[np.int64] = whole["user_id"].to_numpy()
    last = len(users) - 1 - np.unique(users[::-1], return_index=True)[1]
    return whole.take(pa.array(last))
