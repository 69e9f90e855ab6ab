"""Real rows, loaded and cleaned, beside what DuckDB reads in the same file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.engine.frames import read_table
from spark_apps.jobs import clean, load
from spark_apps.schemas import UNKNOWN
from spark_apps.tables import EVENTS, QUARANTINE, DateRange
from tests.engines import local_engine

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


def by_spark(events: DataFrame) -> dict[Any, dict[str, Any]]:
    figures = events.groupBy("date", "event_type").agg(
        F.count("*").alias("events"),
        F.count_if(F.col("category_code") == UNKNOWN).alias("no_category_code"),
        F.count_if(F.col("brand") == UNKNOWN).alias("no_brand"),
        F.count_if(F.col("user_session").isNull()).alias("no_session"),
        F.count("price").alias("priced"),
        F.sum(F.col("price").cast("decimal(18, 2)")).cast("double").alias("price_sum"),
        F.countDistinct("user_id").alias("users"),
        F.countDistinct("product_id").alias("products"),
        F.countDistinct("user_session").alias("sessions"),
        F.sum(F.col("user_id").cast("decimal(38, 0)")).alias("user_sum"),
        F.sum(F.col("category_id").cast("decimal(38, 0)")).alias("category_sum"),
        F.max("event_time").cast("string").alias("last_time"),
    )
    rows = [row.asDict() for row in figures.collect()]
    return {(row.pop("date"), row.pop("event_type")): row for row in rows}


@pytest.mark.parametrize("newline", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
def test_real_rows_are_read_as_duckdb_reads_them(
    newline: bytes, spark: SparkSession, sample_path: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log.csv"
    log.write_bytes(sample_path.read_bytes().replace(b"\n", newline))
    rows = len(sample_path.read_bytes().splitlines()) - 1
    [(manifest, _)] = load.run(tmp_path / "root", [log])
    balance = clean.run(local_engine(), tmp_path / "root", DateRange())
    assert manifest.rows == rows == sum(day.clean for day in balance.values())
    assert read_table(spark, tmp_path / "root", QUARANTINE).count() == 0
    assert by_spark(read_table(spark, tmp_path / "root", EVENTS)) == by_duckdb(sample_path)
