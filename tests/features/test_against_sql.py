"""All three feature tables against DuckDB's SQL: on real rows, on generated ones and on whatever comes to mind."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import SparkSession

from spark_apps.engine.spark import engine_of
from spark_apps.generator import GeneratorSpec, write_events
from spark_apps.schemas import EVENT_TYPES
from spark_apps.tables import INTERACTIONS, PRODUCT_FEATURES, USER_FEATURES, Table
from tests import oracle
from tests.comparing import assert_rows
from tests.factory import write_events_table
from tests.features.tables import make_tables

Tables = dict[Table, list[dict[str, Any]]]
# few of everything, so that ties, repeats and strange mixtures are the rule
some_events = st.lists(
    st.fixed_dictionaries(
        {
            "event_time": st.builds(
                "2019-10-{:02}T{:02}:{:02}:{:02}".format,
                st.integers(1, 3),
                st.sampled_from([0, 1, 9, 23]),
                st.integers(0, 1),
                st.integers(0, 2),
            ),
            "event_type": st.sampled_from(EVENT_TYPES),
            "product_id": st.integers(1, 6),
            "category_code": st.sampled_from([None, "a", "a.b", "b.c.d"]),
            "brand": st.sampled_from([None, "x", "y"]),
            "price": st.sampled_from([None, 0.0, -1.0, 0.01, 5.0, 999.99]),
            "user_id": st.integers(1, 12),
            "user_session": st.sampled_from([None, "s", "t", "u"]),
        }
    ),
    min_size=60,
    max_size=300,
)


QUERIES = {
    USER_FEATURES: oracle.USER_FEATURES,
    PRODUCT_FEATURES: oracle.PRODUCT_FEATURES,
    INTERACTIONS: oracle.INTERACTIONS,
}


def assert_as_in_sql(tables: Tables, database: oracle.Connection) -> None:
    for table, query in QUERIES.items():
        expected = oracle.rows(database, query)
        assert set(expected[0]) == set(table.schema.names)
        assert_rows(tables[table], expected, rel=1e-9)


def assert_balanced(tables: Tables, events: int) -> None:
    users, products, met = (tables[table] for table in QUERIES)
    assert sum(row["total_events"] for row in users) == events
    assert sum(row["events"] for row in products) == events
    assert sum(row["interaction_count"] for row in met) == events
    assert sum(row["purchases"] for row in users) == sum(row["purchases"] for row in met)


@pytest.fixture(scope="module")
def generated_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("generated") / "events.csv"
    write_events(GeneratorSpec(20_000, "2019-10", 11, removals=0.4), path)
    return path


@pytest.mark.parametrize("log", ["sample_path", "generated_path"])
def test_the_tables_of_a_log_are_those_of_sql_on_both_engines(
    spark: SparkSession, tmp_path: Path, request: pytest.FixtureRequest, log: str
) -> None:
    path = request.getfixturevalue(log)
    database = oracle.of_log(path)
    count, last = database.execute("select count(*), max(event_time)::date from events").fetchone()
    events = oracle.cleaned_files(path, tmp_path / "events")
    tables = make_tables(tmp_path / "local", events, last)
    assert_as_in_sql(tables, database)
    assert_balanced(tables, count)
    in_tasks = make_tables(tmp_path / "spark", events, last, engine=engine_of(spark))
    for table in QUERIES:
        assert_rows(in_tasks[table], tables[table], rel=0)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=some_events)
def test_the_tables_of_any_events_are_those_of_sql(
    tmp_path_factory: pytest.TempPathFactory, rows: list[dict[str, Any]]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    last = max(datetime.fromisoformat(row["event_time"]) for row in rows).date()
    files = write_events_table(folder / "events", rows)
    tables = make_tables(folder, files, last)
    assert_as_in_sql(
        tables, oracle.of_events(pa.concat_tables(pq.read_table(str(file), partitioning=None) for file in files.files))
    )
    assert_balanced(tables, len(rows))
    for user in tables[USER_FEATURES]:
        assert 0 <= user["cart_abandonment"] <= 1 and user["recency"] >= 0
        assert user["frequency"] <= user["total_events"]
        assert user["first_seen"] <= user["last_seen"]


def test_prices_of_any_size_add_up_to_the_same_in_any_order(tmp_path: Path) -> None:
    prices = [0.1, 1e15, 0.2, 99_999_999.99, 1e29, 3e31, 0.0001]
    orders = [prices, prices[::-1], [*prices[3:], *prices[:3]]]
    made = [
        make_tables(tmp_path / str(number), [{"price": price, "event_type": "purchase"} for price in order])
        for number, order in enumerate(orders)
    ]
    assert made[0] == made[1] == made[2]
    (user,) = made[0][USER_FEATURES]
    assert user["monetary"] == pytest.approx(1e29 + 1e15, rel=1e-12)
