"""Ids for ALS: numbered only where they do not fit 32 bits."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyspark.sql import SparkSession

from spark_apps.engine.base import Relation
from spark_apps.engine.mllib import to_model_ids as to_ids_of_frame
from spark_apps.engine.mllib import to_original_ids
from spark_apps.recommendation.ids import INDEX, fits_int, number_ids, to_model_ids
from tests.recommendation.tables import ENGINES, engine_named, files, local_engine, read

IDS = pa.schema([("user_id", pa.int64())])


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


@pytest.mark.parametrize("name", ENGINES)
def test_ids_that_do_not_fit_are_numbered_in_their_order(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    ids = [2**40, 5, -(2**50), 2**40 + 1]
    given = files(tmp_path / "ids", IDS, ((one,) for one in ids))
    engine = engine_named(name, request, tmp_path)
    done = engine.run(number_ids, {"ids": given}, outputs={"index": tmp_path / "index"})
    assert done.rows == {"index": 4}
    index = read(Relation.of(tmp_path / "index", INDEX), "id")
    assert [tuple(row.values()) for row in index.to_pylist()] == list(enumerate(sorted(ids)))
    numbers = to_model_ids(np.array([5, 2**40 + 1]), index["original"].to_numpy())
    assert numbers.dtype == np.int32 and numbers.tolist() == [1, 3]


@pytest.mark.parametrize("ids", [[7, 3], []])
def test_ids_that_fit_stay_as_they_are(ids: list[int], tmp_path: Path) -> None:
    given = files(tmp_path / "ids", IDS, ((one,) for one in ids))
    done = local_engine(tmp_path).run(number_ids, {"ids": given}, outputs={"index": tmp_path / "index"})
    assert done.rows == {"index": 0} and not list((tmp_path / "index").iterdir())
    assert to_model_ids(np.array(ids, np.int64), np.empty(0, np.int64)).tolist() == ids


@pytest.mark.parametrize("numbered", [True, False])
def test_mllib_s_ids_are_found_again(numbered: bool, spark: SparkSession) -> None:
    ids = [2**40, 2**40 + 1] if numbered else [3, 7]
    index = spark.createDataFrame(list(enumerate(ids)), "id int, original bigint") if numbered else None
    frame = spark.createDataFrame([(one, position) for position, one in enumerate(ids)], "user_id bigint, n int")
    found = to_ids_of_frame(frame, "user_id", "user", index)
    assert dict(found.dtypes) == {"n": "int", "user": "int"}
    back = to_original_ids(found, "user", "user_id", index)
    assert {row["user_id"]: row["n"] for row in back.collect()} == {one: n for n, one in enumerate(ids)}
