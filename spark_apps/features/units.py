"""The units that make the feature tables: SQL over events of whole users, and over sums of products (SPEC F1-F3)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from spark_apps.engine.base import Task
from spark_apps.engine.database import Database, sql
from spark_apps.features.products import PRIOR_USERS
from spark_apps.schemas import EVENTS, INTERACTIONS, PRODUCT_FEATURES, USER_FEATURES
from spark_apps.settings import EventScores

_ROOM = "spark_apps.features"
# Memory for an event, of six groupings at a time: 48 were enough for 42 million events in 2 GB.
BYTES_PER_EVENT = 72
_READ = ("user_id", "product_id", "category_code", "brand", "event_type", "price", "event_time", "user_session")
# What is read of an event.
EVENT_COLUMNS = pa.schema([EVENTS.field(name) for name in _READ])
MONEY = pa.decimal128(38, 4)
PRODUCT_SUMS = pa.schema(
    [
        ("product_id", pa.int64()),
        *((name, pa.int64()) for name in ("events", "views", "carts", "purchases", "removals", "priced")),
        ("price_sum", MONEY),
        ("unique_users", pa.int64()),
        ("last_time", pa.timestamp("us", "UTC")),
        ("category_code", pa.string()),
        ("brand", pa.string()),
    ]
)
# at most a row for each date in a task
LAST_DATES = pa.schema([("date", pa.date32()), ("users", pa.int64())])
POINTS = pa.schema([("points", pa.int64()), ("pairs", pa.int64())])


@dataclass(frozen=True)
class FeatureOptions:
    """What features depend on beside the events: the dates that recency counts from and to, and points per event."""

    last_date: date
    scores: EventScores
    first_date: date | None = None


def user_tables(task: Task) -> None:
    """Makes user_features, interactions and product_sums of the events of whole users.

    Inputs: events, EVENT_COLUMNS. Shared: FeatureOptions. Gives `points`, a row of POINTS for each share of the users
    that memory has room for: 3 for a purchase, 2 for a cart, 1 for a view, and how many users and products met.
    """
    set_options(task.database, task.shared)
    for _ in task.database.in_shares("events", "user_id", BYTES_PER_EVENT):
        sum_pairs(task.database)
        for name, schema in _USER_TABLES.items():
            rows = task.database.batches(sql(_ROOM, name), schema)
            task.output(name, schema, rows, [one.name for one in schema if pa.types.is_timestamp(one.type)])
        points = "select coalesce(sum(3 * purchases + 2 * carts + views), 0) as points, count(*) as pairs from pairs"
        task.give("points", task.database.rows(points, POINTS))


def product_sums(task: Task) -> None:
    """Makes product_sums alone of the events of whole users: see `user_tables`."""
    sum_pairs(task.database)
    task.output("product_sums", PRODUCT_SUMS, task.database.batches(sql(_ROOM, "product_sums"), PRODUCT_SUMS))


def set_options(database: Database, options: FeatureOptions) -> None:
    """Sets what the texts of features depend on."""
    database.set(last_date=options.last_date, first_date=options.first_date)
    set_scores(database, options.scores)


def set_scores(database: Database, scores: EventScores) -> None:
    """Sets what the text of interactions depends on."""
    database.set(
        view_score=scores.view,
        cart_score=scores.cart,
        purchase_score=scores.purchase,
        removal_score=scores.remove_from_cart,
        score_cap=scores.cap,
    )


def sum_pairs(database: Database) -> None:
    """Makes the table `pairs` and the view `priced_events` of `events`, which the texts of features read."""
    database.view("priced_events", sql(_ROOM, "priced_events"))
    database.table("pairs", sql(_ROOM, "pairs"))


def feature_text(name: str) -> str:
    """Returns the text that makes a table of features from `events`, `priced_events` and `pairs`."""
    return sql(_ROOM, name)


_USER_TABLES = {
    "user_features": USER_FEATURES,
    "interactions": INTERACTIONS,
    "product_sums": PRODUCT_SUMS,
}


def last_dates(task: Task) -> None:
    """Counts users by the date of their last event. Inputs: events of whole users, user_id and event_time.

    Gives `last_dates`, at most one row of LAST_DATES for each date.
    """
    task.give("last_dates", task.database.rows(sql(_ROOM, "last_dates"), LAST_DATES))


def users_by_date(counted: pa.Table) -> dict[date, int]:
    """Adds up what the tasks of `last_dates` gave."""
    users: Counter[date] = Counter()
    for day, number in zip(*(counted[name].to_pylist() for name in LAST_DATES.names), strict=True):
        users[day] += number
    return users


def product_table(task: Task) -> None:
    """Makes product_features. Inputs: product_sums, PRODUCT_SUMS. Shared: the mean points of those who met."""
    task.database.set(prior_users=float(PRIOR_USERS), mean_points=task.shared)
    schema = PRODUCT_FEATURES
    task.output("product_features", schema, task.database.batches(sql(_ROOM, "product_features"), schema))


def mean_points(points: pa.Table) -> float:
    """Returns the mean points of all users and products that met, from what `user_tables` gave."""
    total, pairs = (sum(points[name].to_pylist()) for name in POINTS.names)
    return total / pairs if pairs else 0.0
