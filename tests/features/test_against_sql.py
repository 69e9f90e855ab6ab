"""All three feature tables against DuckDB's SQL: on real rows, on generated ones and on whatever comes to mind."""

from __future__ import annotations

from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame, SparkSession

from spark_apps.features.gathering import gather
from spark_apps.features.interactions import interactions
from spark_apps.features.pairs import pair_sums
from spark_apps.features.products import product_features
from spark_apps.features.users import user_features
from spark_apps.generator import GeneratorSpec, write_events
from spark_apps.schemas import EVENT_TYPES, EVENTS, INTERACTIONS, PRODUCT_FEATURES, USER_FEATURES
from spark_apps.settings import EventScores
from tests import oracle
from tests.comparing import assert_rows
from tests.factory import events_frame, rows_of

Tables = tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]
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


def tables_of(events: DataFrame, last_date: date) -> Tables:
    together = gather(events).persist()
    frames = (
        (user_features(together, last_date), ["user_id"]),
        (product_features(together), ["product_id"]),
        (interactions(pair_sums(together), EventScores()), ["user_id", "product_id"]),
    )
    users, products, met = (rows_of(frame, *order) for frame, order in frames)
    together.unpersist()
    return users, products, met


def assert_as_in_sql(tables: Tables, database: oracle.Database) -> None:
    queries = (oracle.USER_FEATURES, oracle.PRODUCT_FEATURES, oracle.INTERACTIONS)
    for found, query, schema in zip(tables, queries, (USER_FEATURES, PRODUCT_FEATURES, INTERACTIONS), strict=True):
        expected = oracle.rows(database, query)
        assert set(expected[0]) == set(schema.fieldNames())
        assert_rows(found, expected, rel=1e-9)


def assert_balanced(tables: Tables, events: int) -> None:
    users, products, met = tables
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
def test_the_tables_of_a_log_are_those_of_sql(spark: SparkSession, request: pytest.FixtureRequest, log: str) -> None:
    path = request.getfixturevalue(log)
    database = oracle.of_log(path)
    events, last = database.execute("select count(*), max(event_time)::date from events").fetchone()
    tables = tables_of(oracle.cleaned(spark, path), last)
    assert_as_in_sql(tables, database)
    assert_balanced(tables, events)


# each example is a few Spark jobs: few of them, and none to make a failing one smaller
@settings(
    max_examples=3,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(rows=some_events)
def test_the_tables_of_any_events_are_those_of_sql(spark: SparkSession, rows: list[dict[str, Any]]) -> None:
    frame = events_frame(spark, rows)
    last = max(datetime.fromisoformat(row["event_time"]) for row in rows).date()
    tables = tables_of(frame, last)
    assert_as_in_sql(tables, oracle.of_events(frame.toArrow()))
    assert_balanced(tables, len(rows))
    for user in tables[0]:
        assert 0 <= user["cart_abandonment"] <= 1 and user["recency"] >= 0
        assert user["frequency"] <= user["total_events"]
        assert user["first_seen"] <= user["last_seen"]


def test_a_micro_batch_has_the_same_tables_as_a_month(spark: SparkSession, tmp_path: Path) -> None:
    rows = [
        {"user_id": user, "product_id": user * step % 5, "event_type": EVENT_TYPES[step % 4], "price": float(step)}
        | {"event_time": datetime(2019, 11, 1, user, step, tzinfo=timezone.utc), "user_session": f"{user}-{step // 3}"}
        for user in range(6)
        for step in range(8)
    ]
    events, last = events_frame(spark, rows), date(2019, 11, 1)
    events.coalesce(1).write.parquet(str(tmp_path / "dropped"))
    found: list[Tables] = []
    stream = spark.readStream.schema(EVENTS).parquet(str(tmp_path / "dropped")).writeStream
    query = stream.foreachBatch(lambda batch, _: found.append(tables_of(batch, last)))
    query.trigger(availableNow=True).option(
        "checkpointLocation", str(tmp_path / "checkpoint")
    ).start().awaitTermination()
    assert len(found) == 1
    for batch, month in zip(found[0], tables_of(events, last), strict=True):
        assert_rows(batch, month)
