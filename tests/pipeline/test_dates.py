"""Jobs on a range of dates, and on a root where there is nothing to do."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pyarrow.compute as pc
import pytest

from spark_apps.engine.published import table_relation
from spark_apps.errors import MissingTableError, NothingToDoError
from spark_apps.jobs import analyze, features
from spark_apps.tables import (
    EVENTS,
    INTERACTIONS,
    PRODUCT_FEATURES,
    QUARANTINE,
    RAW_MANIFESTS,
    USER_FEATURES,
    DateRange,
)
from tests import oracle
from tests.comparing import assert_rows
from tests.engines import local_engine
from tests.factory import read_published, rows_of_files
from tests.pipeline.conftest import Trained

RANGE = DateRange(date(2019, 10, 7), date(2019, 10, 11))


@pytest.fixture(scope="module")
def cleaned_root(trained_root: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root as `shopstream clean` leaves it."""
    root = tmp_path_factory.mktemp("cleaned")
    for path in (EVENTS.path, QUARANTINE.path, RAW_MANIFESTS):
        shutil.copytree(trained_root.root / path, root / path)
    return root


def test_a_range_of_dates_is_explored_by_itself(cleaned_root: Path, trained_root: Trained) -> None:
    figures = analyze.run(local_engine(), cleaned_root, RANGE).figures()
    days = {day: its for day, its in trained_root.balance.items() if day in RANGE}
    assert figures["events_by_day"] == {str(day): its.clean for day, its in days.items()}
    assert figures["balance"] == [
        {"date": str(day), "raw": its.raw, "clean": its.clean, "quarantined": dict(sorted(its.quarantined.items()))}
        for day, its in days.items()
    ]
    assert sum(sum(row["quarantined"].values()) for row in figures["balance"]) == 6


def test_features_of_a_range_count_from_its_last_date(cleaned_root: Path, trained_root: Trained) -> None:
    features.run(local_engine(), trained_root.settings, cleaned_root, RANGE)
    events = read_published(cleaned_root, EVENTS)
    database = oracle.of_events(events.filter((pc.field("date") >= RANGE.first) & (pc.field("date") <= RANGE.last)))
    for table, query, order in (
        (USER_FEATURES, oracle.USER_FEATURES, ["user_id"]),
        (PRODUCT_FEATURES, oracle.PRODUCT_FEATURES, ["product_id"]),
        (INTERACTIONS, oracle.INTERACTIONS, ["user_id", "product_id"]),
    ):
        found = rows_of_files(table_relation(cleaned_root, table), *order)
        assert_rows(found, oracle.rows(database, query), rel=1e-9)


def test_dates_that_are_not_there_are_refused(cleaned_root: Path, trained_root: Trained) -> None:
    november = DateRange(date(2019, 11, 1), None)
    with pytest.raises(NothingToDoError, match=r"holds no date in 2019-11-01 to the last date: choose another"):
        analyze.run(local_engine(), cleaned_root, november)
    with pytest.raises(NothingToDoError):
        features.run(local_engine(), trained_root.settings, cleaned_root, november)


def test_where_everything_was_taken_out_it_says_to_load(tmp_path: Path) -> None:
    for table in (EVENTS, QUARANTINE):
        (tmp_path / table.path).mkdir(parents=True)
    with pytest.raises(NothingToDoError, match=r"There is no event under .* `shopstream load FILE`, then `shopstream"):
        analyze.run(local_engine(), tmp_path, DateRange())


def test_before_cleaning_the_command_that_cleans_is_named(trained_root: Trained, tmp_path: Path) -> None:
    with pytest.raises(MissingTableError, match="shopstream clean"):
        analyze.run(local_engine(), tmp_path, DateRange())
    with pytest.raises(MissingTableError, match="shopstream clean"):
        features.run(local_engine(), trained_root.settings, tmp_path, DateRange())
