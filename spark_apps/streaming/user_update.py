"""What a batch's events change about its users: the first of two steps in each task (SPEC T3, T4).

A task holds one bucket of users: their new events, all their former ones and the lists they were given. What is known
of a user is worked out anew from all of the user's events by the texts that batch jobs use, so it equals theirs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from spark_apps.engine.database import Database, sql
from spark_apps.engine.relations import register
from spark_apps.features.grouping import COUNTED_TYPES
from spark_apps.features.units import (
    EVENT_COLUMNS,
    MONEY,
    PRODUCT_SUMS,
    FeatureOptions,
    feature_text,
    set_options,
    set_scores,
    sum_pairs,
)
from spark_apps.schemas import INTERACTIONS, USER_FEATURES
from spark_apps.settings import EventScores
from spark_apps.streaming.figures import RELEVANCE, Relevances
from spark_apps.streaming.watermark import WINDOW_MICROS

_ROOM = "spark_apps.streaming"
FRESH = EVENT_COLUMNS.append(pa.field("late", pa.bool_()))
PROFILES = pa.schema(
    [
        ("user_id", pa.int64()),
        ("segment", pa.string()),
        ("listed", pa.list_(pa.int64())),
        ("first_listed", pa.list_(pa.int64())),
    ]
)
_TOUCHED = pa.schema(
    [
        ("user_id", pa.int64()),
        ("products", pa.list_(pa.int64())),
        ("scores", pa.list_(pa.float32())),
        ("bought", pa.list_(pa.bool_())),
        ("gains", pa.list_(pa.float32())),
    ]
)
_USERS, _PAIRS = USER_FEATURES, INTERACTIONS
# a row a user of the batch
LEARNED = pa.schema(
    [*_USERS, *list(_TOUCHED)[1:], pa.field("old_segment", pa.string()), PROFILES.field("first_listed")]
)
_BY_TYPE = [(name, pa.int64()) for name in ("events", *COUNTED_TYPES.values())]
# What is counted of a bucket's batch; money as exact decimals, so that no order of adding up changes a sum.
COUNTED = {
    "event_types": pa.schema(
        [("event_type", pa.string()), *((name, pa.int64()) for name in ("events", "users", "priced")), ("value", MONEY)]
    ),
    "windows": pa.schema([("window_start", pa.timestamp("us", "UTC")), *_BY_TYPE, ("revenue", MONEY)]),
    "batch_products": PRODUCT_SUMS.append(pa.field("revenue", MONEY)),
    "activity": pa.schema(
        [(name, pa.int64()) for name in ("users", "new_users", "sessions", "session_events", "session_seconds")]
    ),
}


@dataclass(frozen=True)
class InForce:
    """What is recommended to users without a list: products popular now, and when the models were trained."""

    popular: tuple[int, ...]
    first_popular: tuple[int, ...]
    top: int


@dataclass(frozen=True)
class Learned:
    """What became of a bucket's users.

    Attributes:
        users: columns of LEARNED, a row a user of the batch, in the order of their ids.
        counted: by the names of COUNTED.
        relevance: columns of RELEVANCE: how well the lists of each recommender guessed.
    """

    users: pa.Table
    counted: dict[str, pa.Table]
    relevance: pa.Table


def learn(
    database: Database,
    fresh: pa.Table,
    past: pa.Table,
    profiles: pa.Table,
    options: FeatureOptions,
    in_force: InForce,
) -> Learned:
    """Works out what the users of one bucket are like after a batch.

    Args:
        database: an empty one.
        fresh: the batch's events of the bucket, columns of FRESH, at least one row.
        past: all former events of its users, columns of EVENT_COLUMNS.
        profiles: what was known of its users, columns of PROFILES, a user at most once.
        options: the dates of recency, and points per event type.
        in_force: for users without a list.
    """
    set_options(database, options)
    database.set(window_micros=WINDOW_MICROS)
    for name, rows in (("fresh", fresh), ("past", past)):
        register(database, name, rows)
    _table_touched(database, "select * from past", "touched_before")
    _sum_pairs_of(database, "select * from fresh")
    database.table("product_sums", feature_text("product_sums"))
    counted = {name: database.rows(sql(_ROOM, name), schema) for name, schema in COUNTED.items()}
    both = " union all ".join(f"select {', '.join(EVENT_COLUMNS.names)} from {name}" for name in ("past", "fresh"))
    _table_touched(database, both, "touched")
    users = database.rows(feature_text("user_features"), _USERS)
    side_by_side = database.rows(sql(_ROOM, "touched"), _TOUCHED)
    assert users["user_id"].equals(side_by_side["user_id"]), "every user has a product, and both are in their order"
    columns = [*users.columns, *side_by_side.columns[1:], *_known(users, profiles)]
    bought = database.rows("select user_id, product_id from touched_before where purchases > 0")
    relevance = _relevance(fresh, bought, profiles, in_force)
    return Learned(pa.table(columns, LEARNED), counted, relevance)


def touched_by(database: Database, events: pa.Table, scores: EventScores) -> pa.Table:
    """Returns what each user touched: the columns of schemas.INTERACTIONS.

    Args:
        database: an empty one.
        events: of whole users, columns of EVENT_COLUMNS.
        scores: points per event type.
    """
    set_scores(database, scores)
    register(database, "events_given", events)
    _table_touched(database, "select * from events_given", "touched")
    return database.rows("select * from touched", _PAIRS)


def _sum_pairs_of(database: Database, events: str) -> None:
    """Makes a query's rows the events that the texts of features read."""
    database.view("events", events)
    sum_pairs(database)


def _table_touched(database: Database, events: str, name: str) -> None:
    """Makes a table of what the users of a query's events touched."""
    _sum_pairs_of(database, events)
    database.table(name, feature_text("interactions"))


def _known(users: pa.Table, profiles: pa.Table) -> list[pa.ChunkedArray]:
    """What was known of each user, null of a new one."""
    places = pc.index_in(users["user_id"], value_set=profiles["user_id"].combine_chunks())
    return [profiles[name].combine_chunks().take(places) for name in ("segment", "first_listed")]


def _relevance(fresh: pa.Table, bought: pa.Table, profiles: pa.Table, in_force: InForce) -> pa.Table:
    """How well the lists in force guess what users put in the cart or bought, and had not bought before."""
    wanting = fresh.filter(pc.is_in(fresh["event_type"], value_set=pa.array(["cart", "purchase"])))
    users = pc.unique(wanting["user_id"])
    bought, profiles = (rows.filter(pc.is_in(rows["user_id"], value_set=users)) for rows in (bought, profiles))
    bought_by, wanted = _products_by_user(bought), _products_by_user(wanting)
    targets = {user: sorted(products - bought_by.get(user, set())) for user, products in wanted.items()}
    listed = {name: _lists(profiles, name) for name in ("listed", "first_listed")}
    found = {name: Relevances() for name in ("updated", "static", "popularity")}
    for user, products in targets.items():
        popular = _without(in_force.popular, bought_by.get(user, set()), in_force.top)
        first = _without(in_force.first_popular, bought_by.get(user, set()), in_force.top)
        found["updated"].judge(listed["listed"].get(user, popular), products)
        found["static"].judge(listed["first_listed"].get(user, first), products)
        found["popularity"].judge(popular, products)
    return pa.Table.from_pylist([{"recommender": name, **vars(one)} for name, one in found.items()], RELEVANCE)


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
