"""Ids for ALS: numbered only where they do not fit 32 bits."""

from __future__ import annotations

import pytest
from pyspark.sql import SparkSession

from spark_apps.recommendation.ids import INDEX_SCHEMA, fits_int, number_ids, to_model_ids, to_original_ids


@pytest.mark.parametrize(
    ("smallest", "largest", "fits"),
    [
        (None, None, True),
        (1, 2**31 - 1, True),
        (1, 2**31, False),
        (-(2**31), 0, True),
        (-(2**31) - 1, 0, False),
        (2**33, 2**40, False),
    ],
)
def test_ids_fit_up_to_thirty_one_bits_and_a_sign(smallest: int | None, largest: int | None, fits: bool) -> None:
    assert fits_int(smallest, largest) is fits


def test_ids_that_do_not_fit_are_numbered_in_their_order_and_found_again(spark: SparkSession) -> None:
    ids = [2**40, 5, -(2**50), 2**40 + 1]
    index = number_ids(spark, spark.createDataFrame([(one,) for one in ids], "user_id bigint").repartition(3))
    assert dict(index.dtypes) == {"id": "int", "original": "bigint"} and INDEX_SCHEMA == "id int, original bigint"
    assert [tuple(row) for row in index.orderBy("id").collect()] == list(enumerate(sorted(ids)))

    frame = spark.createDataFrame([(one, position) for position, one in enumerate(ids)], "user_id bigint, n int")
    numbered = to_model_ids(frame, "user_id", "user", index)
    assert dict(numbered.dtypes) == {"n": "int", "user": "int"}
    back = to_original_ids(numbered, "user", "user_id", index)
    assert {row["user_id"]: row["n"] for row in back.collect()} == {one: n for n, one in enumerate(ids)}


def test_ids_that_fit_stay_as_they_are(spark: SparkSession) -> None:
    frame = spark.createDataFrame([(7, 1.5)], "user_id bigint, score double")
    numbered = to_model_ids(frame, "user_id", "user", None)
    assert dict(numbered.dtypes) == {"score": "double", "user": "int"}
    assert to_original_ids(numbered, "user", "user_id", None).collect()[0].asDict() == {"user_id": 7, "score": 1.5}
