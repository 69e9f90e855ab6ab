"""What a batch's events change about the users of one bucket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_apps.engine.base import Relation
from spark_apps.engine.database import Database, Limits
from spark_apps.features.units import EVENT_COLUMNS, FeatureOptions, user_tables
from spark_apps.schemas import USER_FEATURES
from spark_apps.settings import EventScores
from spark_apps.storage import read_parquet, write_parquet
from spark_apps.streaming.figures import Learned, learned_of
from spark_apps.streaming.user_update import FRESH, PROFILES, InForce, learn, newest_profiles
from tests.features.tables import local_engine

START = datetime(2019, 11, 1, tzinfo=timezone.utc).timestamp()
OPTIONS = FeatureOptions(date(2019, 11, 1), EventScores(), date(2019, 10, 1))
IN_FORCE = InForce(popular=(7, 8, 9), first_popular=(1, 2, 3), top=2)


def moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(START + seconds, timezone.utc)


def event(user: int, product: int, kind: str = "view", seconds: float = 0, **more: Any) -> dict[str, Any]:
    return {
        "user_id": user,
        "product_id": product,
        "category_code": "electronics.phone",
        "brand": "acme",
        "event_type": kind,
        "price": 10.0,
        "event_time": moment(seconds),
        "user_session": f"s{user}",
        "late": False,
        **more,
    }


def table(events: list[dict[str, Any]], schema: pa.Schema = FRESH) -> pa.Table:
    return pa.Table.from_pylist([{name: one[name] for name in schema.names} for one in events], schema)


def told(
    fresh: list[dict[str, Any]], past: list[dict[str, Any]], profiles: list[dict[str, Any]] | None = None
) -> tuple[list[dict[str, Any]], Learned]:
    """A bucket's users after a batch, and what was counted."""
    known = pa.Table.from_pylist(profiles or [], PROFILES)
    with a_database() as database:
        found = learn(database, table(fresh), table(past, EVENT_COLUMNS), known, OPTIONS, IN_FORCE)
    return found.users.to_pylist(), learned_of(found.counted, found.relevance)


@contextmanager
def a_database() -> Iterator[Database]:
    with TemporaryDirectory() as folder, Database(Limits(1, 256 << 20, Path(folder) / "spill")) as database:
        yield database


def features_of(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What `shopstream features` knows of users."""
    with TemporaryDirectory() as folder:
        outputs = {name: Path(folder) / name for name in ("user_features", "interactions", "product_sums")}
        write_parquet(Path(folder) / "events" / "events.parquet", table(events, EVENT_COLUMNS))
        inputs = {"events": Relation.of(Path(folder) / "events", EVENT_COLUMNS)}
        local_engine(Path(folder)).run(user_tables, inputs, "user_id", outputs, OPTIONS)
        return read_parquet(outputs["user_features"], USER_FEATURES.names).sort_by("user_id").to_pylist()


EVENTS = st.builds(
    event,
    st.integers(1, 4),
    st.integers(1, 5),
    st.sampled_from(["view", "cart", "purchase", "remove_from_cart"]),
    st.integers(0, 3000),
)


@settings(max_examples=30)
@given(st.lists(EVENTS, min_size=1, max_size=30), st.lists(EVENTS, max_size=30))
def test_features_equal_those_of_a_batch_job_over_all_events(
    fresh: list[dict[str, Any]], past: list[dict[str, Any]]
) -> None:
    users = {one["user_id"] for one in fresh}
    theirs = [one for one in past if one["user_id"] in users]
    rows, learned = told(fresh, theirs)
    expected = features_of(theirs + fresh)
    assert [{name: row[name] for name in USER_FEATURES.names} for row in rows] == expected
    assert balanced(learned, fresh, theirs)


def balanced(learned: Learned, fresh: list[dict[str, Any]], past: list[dict[str, Any]]) -> bool:
    assert sum(one.events for one in learned.types.values()) == len(fresh)
    assert sum(row["events"] for row in learned.windows.to_pylist()) == len(fresh)
    assert sum(row["events"] for row in learned.products.to_pylist()) == len(fresh)
    met = {(one["user_id"], one["product_id"]) for one in past}
    new = {(one["user_id"], one["product_id"]) for one in fresh} - met
    assert sum(row["unique_users"] for row in learned.products.to_pylist()) == len(new)
    assert learned.activity.new_users == len({one["user_id"] for one in fresh} - {one["user_id"] for one in past})
    return True


def test_scores_and_gains_stand_beside_the_products() -> None:
    past = [event(1, 5), event(1, 6, "purchase")]
    rows, _ = told([event(1, 5, "cart", 60), event(1, 4, seconds=61)], past)
    (row,) = rows
    assert (row["products"], row["scores"]) == ([4, 5, 6], [1.0, 4.0, 5.0])
    assert (row["bought"], row["gains"]) == ([False, False, True], [1.0, 3.0, 0.0])


def test_lists_in_force_are_judged_before_anything_is_learned() -> None:
    profile = {"user_id": 1, "segment": "A", "listed": [4, 5], "first_listed": [5, 4]}
    past = [event(1, 8, "purchase")]
    _, learned = told([event(1, 5, "cart"), event(1, 8, "purchase", 5), event(2, 8, "purchase", 6)], past, [profile])
    found = learned.relevance
    # of user 1 product 5 counts, 8 was bought before; user 2 has no list: popular products stand for it
    assert {name: (one.trials, one.hits) for name, one in found.items()} == {
        "updated": (2, 2),
        "static": (2, 1),
        "popularity": (2, 1),
    }
    assert found["updated"].reciprocal_ranks == pytest.approx(1 / 2 + 1 / 2)
    assert found["static"].reciprocal_ranks == pytest.approx(1)


def test_late_events_count_in_no_window() -> None:
    _, learned = told([event(1, 5, seconds=10), event(1, 5, seconds=20, late=True)], [])
    assert [row["events"] for row in learned.windows.to_pylist()] == [1]
    assert learned.types["view"].events == 2


def test_events_fall_into_the_window_that_begins_at_or_before_them() -> None:
    _, learned = told([event(1, 5, seconds=299), event(1, 5, "purchase", seconds=300)], [])
    found = {
        row["window_start"]: (row["views"], row["purchases"], row["revenue"]) for row in learned.windows.to_pylist()
    }
    assert found == {moment(0): (1, 0, 0.0), moment(300): (0, 1, 10.0)}


def test_the_newest_profile_of_each_user_is_kept() -> None:
    def part(*rows: tuple[int, str]) -> pa.Table:
        known = [{"user_id": user, "segment": segment} for user, segment in rows]
        return pa.Table.from_pylist(known, PROFILES)

    kept = newest_profiles([part((1, "a"), (2, "a")), part((2, "b")), part((3, "c"))])
    assert {row["user_id"]: row["segment"] for row in kept.to_pylist()} == {1: "a", 2: "b", 3: "c"}
