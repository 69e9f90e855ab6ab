"""One pass over the events: users, pairs and products in one frame, or pairs kept elsewhere."""

from __future__ import annotations

import uuid
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql import DataFrame, SparkSession

from spark_apps.features.gathering import gather
from spark_apps.features.pairs import PAIR_SUMS, pair_sums
from spark_apps.features.products import product_sums
from spark_apps.features.users import USER_SUMS
from tests.comparing import assert_rows
from tests.factory import events_frame, rows_of

EVENTS = [{"user_id": user, "product_id": user * step % 7} for user in range(20) for step in range(5)]


def write(folder: Path, pairs: pa.Table) -> None:
    pq.write_table(pairs, folder / f"{uuid.uuid4().hex}.parquet")


def users_of(gathered: DataFrame) -> DataFrame:
    return gathered.where("first_seen is not null").select(*USER_SUMS.names)


def test_pairs_kept_elsewhere_are_those_that_would_stand_in_the_frame(spark: SparkSession, tmp_path: Path) -> None:
    events = events_frame(spark, EVENTS)
    whole = gather(events).persist()
    kept = gather(events, partial(write, tmp_path)).persist()
    assert kept.count() < whole.count()
    assert pair_sums(kept).isEmpty()
    assert_rows(
        rows_of(spark.read.parquet(str(tmp_path)).select(*PAIR_SUMS.names), "user_id", "product_id"),
        rows_of(pair_sums(whole), "user_id", "product_id"),
    )
    assert_rows(rows_of(users_of(kept), "user_id"), rows_of(users_of(whole), "user_id"))
    assert_rows(rows_of(product_sums(kept)), rows_of(product_sums(whole)))


def test_a_row_is_of_one_kind(spark: SparkSession) -> None:
    gathered = gather(events_frame(spark, EVENTS)).persist()
    kinds = [users_of(gathered), pair_sums(gathered), product_sums(gathered)]
    assert sum(kind.count() for kind in kinds) == gathered.count()
