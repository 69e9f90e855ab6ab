"""Real rows, loaded and cleaned, beside what DuckDB reads in the same file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from spark_apps.engine.base import Task
from spark_apps.engine.published import table_relation
from spark_apps.jobs import clean, load
from spark_apps.schemas import UNKNOWN
from spark_apps.tables import EVENTS, QUARANTINE, DateRange
from tests.engines import local_engine
from tests.factory import read_published

FIGURES = """
    count(*) AS events,
    count(*) FILTER (category_code IS NULL) AS no_category_code,
    count(*) FILTER (brand IS NULL) AS no_brand,
    count(*) FILTER (user_session IS NULL) AS no_session,
    count(*) FILTER (price > 0) AS priced,
    CAST(sum(CAST(price AS DECIMAL(18, 2))) AS DOUBLE) AS price_sum,
    count(DISTINCT user_id) AS users,
    count(DISTINCT product_id) AS products,
    count(DISTINCT user_session) AS sessions,
    sum(CAST(user_id AS HUGEINT)) AS user_sum,
    sum(CAST(category_id AS HUGEINT)) AS category_sum,
    max(event_time) AS last_time
"""
# the same of clean events, where a word stands for what is missing
CLEAN_FIGURES = FIGURES.replace("category_code IS NULL", f"category_code = '{UNKNOWN}'").replace(
    "brand IS NULL", f"brand = '{UNKNOWN}'"
)


def by_duckdb(path: Path) -> dict[Any, dict[str, Any]]:
    rows = duckdb.sql(f"""
        WITH events AS (
            SELECT * REPLACE (strptime(event_time, '%Y-%m-%d %H:%M:%S UTC') AS event_time)
            FROM read_csv('{path}', header = true, types = {{'event_time': 'VARCHAR'}})
        )
        SELECT CAST(event_time AS DATE) AS date, event_type, {FIGURES} FROM events GROUP BY ALL
    """)
    found = [dict(zip(rows.columns, row, strict=True)) for row in rows.fetchall()]
    return {(row.pop("date"), row.pop("event_type")): row | {"last_time": str(row["last_time"])} for row in found}


def by_unit(task: Task) -> None:
    """Gives `found`, the figures of events by date and type."""
    text = f"select event_time::date as date, event_type, {CLEAN_FIGURES} from events group by all"
    task.give("found", task.database.rows(text))


def as_cleaned(root: Path) -> dict[Any, dict[str, Any]]:
    found = local_engine().run(by_unit, {"events": table_relation(root, EVENTS)}).results["found"].to_pylist()
    return {(row.pop("date"), row.pop("event_type")): row | {"last_time": str(row["last_time"])} for row in found}


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_real_rows_are_read_as_duckdb_reads_them(newline: bytes, sample_path: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_bytes(sample_path.read_bytes().replace(b"\n", newline))
    rows = len(sample_path.read_bytes().splitlines()) - 1
    [(manifest, _)] = load.run(tmp_path / "root", [log])
    balance = clean.run(local_engine(), tmp_path / "root", DateRange())
    assert manifest.rows == rows == sum(day.clean for day in balance.values())
    assert read_published(tmp_path / "root", QUARANTINE).num_rows == 0
    assert as_cleaned(tmp_path / "root") == by_duckdb(sample_path)
