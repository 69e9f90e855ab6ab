"""The October report's figures against DuckDB's SQL over the real rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from spark_apps.analysis.exploration import explore
from spark_apps.schemas import CSV_COLUMNS
from tests import oracle
from tests.analysis.behaviours import counts_of
from tests.comparing import same

SESSIONS = """
with spans as (
    select count(*) as events, date_diff('second', min(event_time), max(event_time)) / 60 as minutes
    from events where user_session is not null group by user_session)
select count(*) as count, avg(events) as events_mean, stddev_samp(events) as events_std,
    min(events)::double as events_min, quantile_cont(events, 0.25) as events_p25,
    quantile_cont(events, 0.5) as events_p50, quantile_cont(events, 0.75) as events_p75,
    max(events)::double as events_max, avg(minutes) as minutes_mean, median(minutes) as minutes_median
from spans
"""
PRICES = """
select event_type, {'mean': avg(price), 'min': min(price), 'max': max(price), 'count': count(price)} as prices
from events group by all
"""


@pytest.fixture(scope="module")
def database(sample_path: Path) -> oracle.Connection:
    return oracle.of_log(sample_path)


@pytest.fixture(scope="module")
def figures(sample_path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("cleaned")
    return explore(counts_of(folder, oracle.cleaned_files(sample_path, folder / "events"))).figures()


def counts(database: oracle.Connection, key: str) -> dict[str, int]:
    query = f"select ({key})::varchar as key, count(*) from events group by all order by min({key})"
    return dict(database.execute(query).fetchall())


def number(database: oracle.Connection, expression: str, view: str = "events") -> Any:
    return database.execute(f"select {expression} from {view}").fetchone()[0]


def test_events_by_type_day_and_hour(figures: dict[str, Any], database: oracle.Connection) -> None:
    assert figures["events"] == number(database, "count(*)") > 4000
    assert figures["event_counts"] == counts(database, "event_type")
    assert figures["events_by_day"] == counts(database, "event_time::date")
    assert figures["events_by_hour"] == counts(database, "hour(event_time)")


def test_missing_values_are_those_of_the_raw_log(figures: dict[str, Any], database: oracle.Connection) -> None:
    missing = {
        name: number(database, f"count(*) filter ({name} is null)", "logged") for name in CSV_COLUMNS if name != "price"
    }
    missing["price"] = number(database, "count(*) filter (price is null or price <= 0)", "logged")
    assert figures["missing_values"] == missing
    assert missing["category_code"] and missing["brand"]


def test_prices_by_type(figures: dict[str, Any], database: oracle.Connection) -> None:
    assert same(figures["price_by_event_type"], dict(database.execute(PRICES).fetchall()), rel=1e-9)


def test_sessions_with_their_quantiles(figures: dict[str, Any], database: oracle.Connection) -> None:
    assert same(figures["sessions"], oracle.rows(database, SESSIONS)[0], rel=1e-9)


def test_users_products_and_duplicates(figures: dict[str, Any], database: oracle.Connection) -> None:
    assert figures["users"] == number(database, "count(distinct user_id)")
    assert figures["products"] == number(database, "count(distinct product_id)")
    distinct = number(database, "count(*)", "(select distinct * from logged)")
    assert figures["duplicates"] == figures["events"] - distinct
