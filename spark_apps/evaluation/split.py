"""The split in time: models see what happened before a moment, and are judged by what users touched first after it.

Nothing that a model learns from may know what came later: features, popularity, segments and factors are made
from the training events alone, and `check_no_leak` looks at the tables before anything is fitted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timezone

import pyarrow as pa
import pyarrow.compute as pc

from spark_apps.engine.base import Task
from spark_apps.engine.database import sql
from spark_apps.evaluation.held_back import HELD
from spark_apps.schemas import EVENTS
from spark_apps.settings import EventScores

_ROOM = "spark_apps.evaluation"
_ROUNDING = 1e-9
EVENTS_OF_DAY = pa.schema([one for one in EVENTS if one.name != "date"])
# What is read of an event after the cutoff, and of tables that are looked at for leaks.
LATER = ("user_id", "product_id", "event_type", "event_time")
LEAKING_USERS, LEAKING_PAIRS = ("user_id", "last_seen"), ("user_id", "last_time", "interaction_count")
_SECONDS = pa.schema([("second", pa.int64()), ("events", pa.int64())])
DRAWN = pa.schema([("draw", pa.string()), ("user_id", pa.int64())])
NUMBERS = pa.schema([("users", pa.int64())])
LEAKS = pa.schema([("users", pa.int64()), ("interactions", pa.int64()), ("events", pa.int64())])
COUNTED = pa.schema([("events", pa.int64())])


class LeakError(RuntimeError):
    """Something that a model is about to learn from knows of events after the cutoff: a fault of the program."""


def day_of_cutoff(rows: Mapping[date, int], share: float) -> tuple[date, int] | None:
    """Returns the date by whose end a share of all events has happened, and its event that makes it so, from 1.

    Args:
        rows: events of each date.
        share: of the events, above 0 and below 1.
    """
    left = max(1, math.ceil(share * sum(rows.values()) - _ROUNDING))
    for day in sorted(rows):
        if left <= rows[day]:
            return day, left
        left -= rows[day]
    return None


def count_seconds(task: Task) -> None:
    """Counts the events of a date by second. Inputs: events. Gives `seconds`: at most 86,400 rows a task."""
    text = "select epoch_us(event_time) // 1000000 as second, count(*) as events from events group by second"
    task.give("seconds", task.database.rows(text, _SECONDS))


def cutoff_second(seconds: pa.Table, wanted: int) -> datetime:
    """Returns the second in which a date's event number `wanted` happened, from what tasks counted."""
    counted = seconds.group_by("second").aggregate([("events", "sum")]).sort_by("second")
    reached = counted["events_sum"].to_numpy().cumsum().searchsorted(wanted)
    return datetime.fromtimestamp(counted["second"][int(reached)].as_py(), timezone.utc)


def cut_day(task: Task) -> None:
    """Cuts the events of a date. Inputs: events. Shared: the cutoff. Outputs: before, after, EVENTS_OF_DAY."""
    task.database.set(cutoff=_naive(task.shared))
    for name, condition in (("before", "<"), ("after", ">=")):
        text = f"select * from events where event_time {condition} getvariable('cutoff')"
        task.output(name, EVENTS_OF_DAY, task.database.batches(text, EVENTS_OF_DAY))


@dataclass(frozen=True)
class HoldOut:
    """Points of events, how many users are drawn to be evaluated, and the seed of the draw."""

    scores: EventScores
    users: int
    seed: int


def hold_out(task: Task) -> None:
    """Finds what users with a history touched for the first time after the cutoff, and draws some of them.

    Inputs: events after the cutoff, LATER; interactions before it, user_id and product_id: all of whole users. Shared:
    HoldOut. Output: held, held_back.HELD; a pair at most once. Gives `drawn`, DRAWN: as many users as are wanted, those
    with the lowest hashes; and `numbers`, a row: how many there were.
    """
    options: HoldOut = task.shared
    task.database.set(
        view_score=options.scores.view,
        cart_score=options.scores.cart,
        purchase_score=options.scores.purchase,
        removal_score=options.scores.remove_from_cart,
        score_cap=options.scores.cap,
        seed=options.seed,
        users=options.users,
    )
    task.database.table("held", sql(_ROOM, "held_out"))
    task.output("held", HELD, task.database.batches("select * from held order by user_id, product_id", HELD))
    drawn = "select distinct md5(concat(user_id, ' ', getvariable('seed'))) as draw, user_id from held"
    task.give("drawn", task.database.rows(f"{drawn} order by draw, user_id limit getvariable('users')", DRAWN))
    task.give("numbers", task.database.rows("select count(distinct user_id) as users from held", NUMBERS))


def lowest(drawn: pa.Table, users: int) -> pa.Array:
    """Returns the users with the lowest hashes of all that tasks drew, rising."""
    best = drawn.sort_by([("draw", "ascending"), ("user_id", "ascending")]).slice(0, users)
    return best["user_id"].combine_chunks().sort()


def look_for_leaks(task: Task) -> None:
    """Looks at tables of whole users. Inputs: users, interactions. Shared: the cutoff. Gives `leaks`, a row."""
    task.database.set(cutoff=_naive(task.shared))
    task.give("leaks", task.database.rows(sql(_ROOM, "leaks"), LEAKS))


def count_events(task: Task) -> None:
    """Adds up the events of products. Inputs: products, with events. Gives `counted`, a row."""
    task.give("counted", task.database.rows("select coalesce(sum(events), 0) as events from products", COUNTED))


def check_no_leak(leaks: pa.Table, counted: pa.Table, cutoff: datetime) -> None:
    """Refuses tables that hold anything from the cutoff on.

    Users and interactions carry the time of their last event. Products carry none, so their events must be
    exactly those of the interactions.

    Args:
        leaks: from `look_for_leaks`.
        counted: from `count_events`.
        cutoff: the first moment that is not training.

    Raises:
        LeakError: naming the table.
    """
    for name, column in (("interactions", "interactions"), ("user features", "users")):
        late = pc.sum(leaks[column]).as_py() or 0
        if late:
            raise LeakError(f"{late} rows of the {name} know of events at {cutoff} or later")
    events, scored = (pc.sum(column).as_py() or 0 for column in (counted["events"], leaks["events"]))
    if events != scored:
        raise LeakError(f"product features count {events} events, the interactions before {cutoff} {scored}")


def _naive(moment: datetime) -> datetime:
    """A moment as databases of units have it."""
    return moment.astimezone(timezone.utc).replace(tzinfo=None)
