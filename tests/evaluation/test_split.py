"""The split in time: its moment, what is held out, and leaks that are planted."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spark_apps.engine.base import Engine, Relation
from spark_apps.errors import NothingToDoError
from spark_apps.evaluation import split
from spark_apps.evaluation.held_back import HELD
from spark_apps.evaluation.split import LeakError, day_of_cutoff
from spark_apps.jobs import evaluate
from spark_apps.jobs.evaluate import Cut, cut_events, training_tables
from spark_apps.jobs.features import FeatureTables
from spark_apps.settings import EventScores, Settings
from spark_apps.storage.transaction import Transaction
from spark_apps.tables import EVENTS
from tests.engines import local_engine
from tests.factory import rows_of_files, write_events_table
from tests.recommendation.tables import ENGINES, engine_named

CUTOFF = datetime(2019, 10, 2, 12, 0, 0, tzinfo=timezone.utc)


def one(user: int, product: int, time: str, kind: str = "view") -> dict[str, Any]:
    return {"user_id": user, "product_id": product, "event_time": f"2019-10-{time}", "event_type": kind}


LOG = [
    one(1, 10, "01 08:00:00"),
    one(1, 11, "02 11:59:59", "cart"),  # the last second of training
    one(1, 12, "02 12:00:00"),  # at the cutoff: held out
    one(1, 10, "02 13:00:00", "purchase"),  # known: neither training nor held out
    one(1, 13, "03 09:00:00"),
    one(1, 13, "04 10:00:00", "cart"),
    one(1, 14, "03 09:30:00"),
    one(2, 10, "01 09:00:00"),
    one(2, 10, "03 09:00:00"),  # nothing new
    one(3, 15, "03 09:00:00"),  # no history
    one(4, 10, "01 10:00:00", "purchase"),
    one(4, 15, "05 00:00:00"),
    one(4, 14, "05 00:00:00"),
]


def cut_of(folder: Path, engine: Engine, log: list[dict[str, Any]], share: float) -> Cut:
    write_events_table(folder / "root" / EVENTS.path, log)
    with Transaction(folder / "root", []) as transaction:
        events = evaluate.Events.of(folder / "root", transaction)
    return cut_events(engine, events, share, folder / "cut")


def at_cutoff(folder: Path, engine: Engine) -> Cut:
    """LOG, cut at CUTOFF: 5 of its 13 events happen up to the end of that second."""
    cut = cut_of(folder, engine, LOG, 5 / len(LOG))
    assert cut.cutoff == CUTOFF
    return cut


def tables_of(folder: Path, engine: Engine, cut: Cut, settings: Settings) -> FeatureTables:
    return training_tables(engine, settings, cut, folder / "tables")


@pytest.mark.parametrize("name", ENGINES)
def test_held_out_is_what_users_with_a_history_touch_first_after_the_cutoff(
    name: str, request: pytest.FixtureRequest, settings: Settings, tmp_path: Path
) -> None:
    engine = engine_named(name, request, tmp_path)
    cut = at_cutoff(tmp_path, engine)
    pairs = tables_of(tmp_path, engine, cut, settings).interactions.select("user_id", "product_id")
    inputs = {"events": cut.after.select(*split.LATER), "interactions": pairs}
    options, outputs = split.HoldOut(EventScores(), 1, 42), {"held": tmp_path / "held"}
    done = engine.run(split.hold_out, inputs, "user_id", outputs, options)
    found = rows_of_files(Relation.of(tmp_path / "held", HELD), "user_id", "first_time", "product_id")
    assert [(row["user_id"], row["product_id"], row["first_time"], row["score"]) for row in found] == [
        (1, 12, "2019-10-02 12:00:00", 1.0),
        (1, 13, "2019-10-03 09:00:00", 4.0),
        (1, 14, "2019-10-03 09:30:00", 1.0),
        (4, 14, "2019-10-05 00:00:00", 1.0),
        (4, 15, "2019-10-05 00:00:00", 1.0),
    ]
    assert sum(done.result("numbers", split.NUMBERS)["users"].to_pylist()) == 2
    assert len(split.lowest(done.result("drawn", split.DRAWN), 1)) == 1


def test_training_ends_before_the_cutoff(settings: Settings, tmp_path: Path) -> None:
    engine = local_engine()
    tables = tables_of(tmp_path, engine, at_cutoff(tmp_path, engine), settings)
    pairs = rows_of_files(tables.interactions.select("user_id", "product_id", "score"), "user_id", "product_id")
    assert [tuple(row.values()) for row in pairs] == [(1, 10, 1.0), (1, 11, 3.0), (2, 10, 1.0), (4, 10, 5.0)]
    assert {row["product_id"] for row in rows_of_files(tables.products, "product_id")} == {10, 11}
    assert {row["user_id"]: row["recency"] for row in rows_of_files(tables.users, "user_id")} == {1: 0, 2: 1, 4: 1}
    evaluate._refuse_leaks(engine, tables, CUTOFF)


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("interactions", r"^\d rows of the interactions know of events at 2019-10-02 12:00:00"),
        ("users", r"^\d rows of the user features know"),
        ("products", r"^product features count 13 events, the interactions before .* 4$"),
    ],
)
def test_a_table_made_from_all_events_is_caught(settings: Settings, tmp_path: Path, table: str, told: str) -> None:
    engine = local_engine()
    cut = at_cutoff(tmp_path, engine)
    everything = replace(cut, before=Relation((*cut.before.files, *cut.after.files), cut.before.schema))
    leaking = tables_of(tmp_path / "leaking", engine, everything, settings)
    planted = replace(tables_of(tmp_path, engine, cut, settings), **{table: getattr(leaking, table)})
    with pytest.raises(LeakError, match=told):
        evaluate._refuse_leaks(engine, planted, CUTOFF)


def test_one_event_at_the_cutoff_is_a_leak(settings: Settings, tmp_path: Path) -> None:
    engine = local_engine()
    late = [one for one in LOG[:3] if one["user_id"] == 1]
    cut = cut_of(tmp_path, engine, [*late, one(9, 9, "09 00:00:00")], 0.99)
    with pytest.raises(LeakError):
        evaluate._refuse_leaks(engine, tables_of(tmp_path, engine, cut, settings), CUTOFF)


@pytest.mark.usefixtures("in_new_york")
@pytest.mark.parametrize("share", [0.25, 0.5, 0.8, 0.99])
def test_the_cutoff_is_the_exact_quantile_of_the_times(share: float, tmp_path: Path) -> None:
    times = np.array([event["event_time"] for event in LOG], "datetime64[s]")
    wanted = np.quantile(times.astype(np.int64), share, method="inverted_cdf")
    cut = cut_of(tmp_path, local_engine(), LOG, share)
    assert cut.cutoff == datetime.fromtimestamp(int(wanted), timezone.utc)
    days = {row["event_time"][:10] for row in rows_of_files(cut.before, "event_time")}
    assert days == {day.isoformat() for day in cut.days}
    assert len(rows_of_files(cut.before, "event_time")) + len(rows_of_files(cut.after, "event_time")) == len(LOG)


def test_the_first_second_has_nothing_before_it(tmp_path: Path) -> None:
    with pytest.raises(NothingToDoError, match="same second"):
        cut_of(tmp_path, local_engine(), LOG, 0.01)


def test_without_events_there_is_no_cutoff() -> None:
    assert day_of_cutoff({}, 0.8) is None
