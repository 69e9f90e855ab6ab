"""Spark's Python workers fork from our daemon: without Spark's archives on the path, with the libraries loaded."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator

import pyarrow as pa
from pyspark.sql import SparkSession

from spark_apps.python_daemon import without_archives


def test_only_the_archives_of_spark_leave_the_path() -> None:
    path = [
        "",
        "/venv/site-packages",
        "/s/python/lib/pyspark.zip",
        "/s/jars/spark-core_2.13-4.1.4.jar",
        "/mine/jobs.zip",
    ]
    assert without_archives([*path, "/s/python/lib/py4j-0.10.9.9-src.zip"]) == [
        "",
        "/venv/site-packages",
        "/mine/jobs.zip",
    ]


def test_tasks_find_no_archive_on_the_path_and_arrow_loaded(spark: SparkSession) -> None:
    def look(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in batches:
            archives = [entry for entry in sys.path if "spark" in entry and entry.endswith((".zip", ".jar"))]
            loaded = "pyarrow.parquet" in sys.modules
            yield pa.RecordBatch.from_pydict({"archives": [len(archives)], "loaded": [loaded]})

    found = spark.range(1).coalesce(1).mapInArrow(look, "archives bigint, loaded boolean").collect()
    assert [row.asDict() for row in found] == [{"archives": 0, "loaded": True}]
