"""Spark ML's folders: a real Spark uses what is written here and saves it again, and what it wrote is read here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.clustering import KMeans
from pyspark.ml.feature import StandardScaler, VectorAssembler
from pyspark.ml.linalg import SparseVector, VectorUDT
from pyspark.ml.recommendation import ALS, ALSModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructField, StructType

from spark_apps.registry.spark_ml import (
    AlsFactors,
    KMeansPipeline,
    read_als,
    read_pipeline,
    write_als,
    write_pipeline,
)
from spark_apps.storage import HdfsPath, StoragePath

RANK = 7
NAMES = ("recency", "monetary", "avg_price")
RANDOM = np.random.default_rng(3)
PIPELINE = KMeansPipeline(
    NAMES,
    np.array([3.5, -1e-300, 1 / 3]),
    np.array([2.0, 0.0, 1e9]),
    np.append(RANDOM.normal(size=(4, 3)), [[0] * 3], 0),
)
FACTORS = AlsFactors(
    np.array([-(2**31), 5, 2**31 - 1], np.int32),
    RANDOM.normal(size=(3, RANK)).astype(np.float32),
    np.array([1, 4], np.int32),
    RANDOM.normal(size=(2, RANK)).astype(np.float32),
)


def assert_same(one: KMeansPipeline | AlsFactors, other: KMeansPipeline | AlsFactors) -> None:
    for name, values in vars(one).items():
        np.testing.assert_array_equal(getattr(other, name), values, strict=not isinstance(values, tuple))


@pytest.fixture
def users(spark: SparkSession) -> DataFrame:
    rows = [(user, *map(float, RANDOM.normal(3, 2, 3) * (1, 1, 1e9))) for user in range(200)]
    return spark.createDataFrame(rows, "user_id bigint, recency double, monetary double, avg_price double")


def test_spark_s_pipeline_places_users_by_the_centres_that_were_written(users: DataFrame, tmp_path: Path) -> None:
    write_pipeline(tmp_path / "model", PIPELINE, seed=42)
    model = PipelineModel.load(str(tmp_path / "model"))
    placed = model.transform(users).toArrow().sort_by("user_id")
    points = np.column_stack([placed[name].to_numpy() for name in NAMES])
    varies = PIPELINE.deviation > 0
    scaled = np.where(varies, (points - PIPELINE.mean) / np.where(varies, PIPELINE.deviation, 1), 0)
    distances = ((scaled[:, None] - PIPELINE.centres) ** 2).sum(axis=2)
    np.testing.assert_array_equal(placed["cluster"].to_numpy(), distances.argmin(axis=1))
    np.testing.assert_array_equal(model.stages[2].clusterCenters(), PIPELINE.centres)
    assert model.stages[2].getK() == 5 and model.stages[2].getSeed() == 42

    model.write().overwrite().save(str(tmp_path / "again"))
    assert_same(PIPELINE, read_pipeline(tmp_path / "again"))


def test_a_pipeline_of_one_centre_is_loaded(users: DataFrame, tmp_path: Path) -> None:
    alone = KMeansPipeline(NAMES, PIPELINE.mean, PIPELINE.deviation, PIPELINE.centres[:1])
    write_pipeline(tmp_path / "model", alone, seed=1)
    placed = PipelineModel.load(str(tmp_path / "model")).transform(users)
    assert {row["cluster"] for row in placed.collect()} == {0}
    assert_same(alone, read_pipeline(tmp_path / "model"))


@pytest.mark.parametrize("codec", ["snappy", "zstd", "none"])
def test_a_pipeline_that_spark_fitted_is_read(
    spark: SparkSession, users: DataFrame, tmp_path: Path, codec: str
) -> None:
    assembler = VectorAssembler(inputCols=list(NAMES), outputCol="features")
    scaler = StandardScaler(inputCol="features", outputCol="scaled_features", withMean=True)
    kmeans = KMeans(featuresCol="scaled_features", predictionCol="cluster", k=12, seed=1)
    model = Pipeline(stages=[assembler, scaler, kmeans]).fit(users)
    before = spark.conf.get("spark.sql.parquet.compression.codec")
    spark.conf.set("spark.sql.parquet.compression.codec", codec)
    try:
        model.save(str(tmp_path / "model"))
    finally:
        spark.conf.set("spark.sql.parquet.compression.codec", before)
    found = read_pipeline(tmp_path / "model")
    _, scaled, clusters = model.stages
    fitted = KMeansPipeline(NAMES, scaled.mean.toArray(), scaled.std.toArray(), np.array(clusters.clusterCenters()))
    assert_same(fitted, found)
    assert (tmp_path / "model" / "stages").is_dir() and found.centres.shape == (12, 3)


def test_centres_in_several_files_and_as_sparse_vectors_are_read(spark: SparkSession, tmp_path: Path) -> None:
    write_pipeline(tmp_path / "model", PIPELINE, seed=1)
    (data,) = (tmp_path / "model" / "stages").glob("*KMeans*/data")
    for file in data.iterdir():
        file.unlink()
    schema = StructType().add("clusterIdx", "integer", False).add(StructField("clusterCenter", VectorUDT()))
    sparse = [(number, SparseVector(3, {1: float(number)} if number else {})) for number in range(5)]
    spark.createDataFrame(sparse[::-1], schema).repartition(4).write.mode("append").parquet(str(data))
    assert len(list(data.glob("*.parquet"))) > 1
    np.testing.assert_array_equal(
        read_pipeline(tmp_path / "model").centres, [[0.0, number, 0.0] for number in range(5)]
    )


def test_spark_s_als_predicts_and_recommends_by_the_factors_that_were_written(
    spark: SparkSession, tmp_path: Path
) -> None:
    write_als(tmp_path / "als", FACTORS)
    model = ALSModel.load(str(tmp_path / "als"))
    assert model.rank == RANK
    expected = {
        (int(user), int(item)): pytest.approx(float(one @ other), abs=1e-5)
        for user, one in zip(FACTORS.users, FACTORS.user_factors, strict=True)
        for item, other in zip(FACTORS.items, FACTORS.item_factors, strict=True)
    }
    asked = spark.createDataFrame([*expected, (5, 99), (6, 4)], "user int, item int")  # two are unknown, and dropped
    found = {(row["user"], row["item"]): row["prediction"] for row in model.transform(asked).collect()}
    assert found == expected
    (row,) = model.recommendForUserSubset(asked.where("user = 5"), 5).collect()
    best = sorted(FACTORS.items, key=lambda item: -expected[5, int(item)].expected)
    assert [one["item"] for one in row["recommendations"]] == best

    model.write().overwrite().save(str(tmp_path / "again"))
    assert_same(FACTORS, read_als(tmp_path / "again"))


def test_als_that_spark_fitted_is_read_whatever_the_order_of_its_files(spark: SparkSession, tmp_path: Path) -> None:
    pairs = [(user, item, 1.0 + user % 3) for user in range(60) for item in range(user % 7, 40, 7)]
    ratings = spark.createDataFrame(pairs, "user int, item int, score double")
    fitted = ALS(userCol="user", itemCol="item", ratingCol="score", rank=RANK, maxIter=1, implicitPrefs=True)
    model = fitted.fit(ratings)
    model.save(str(tmp_path / "als"))
    assert len(list((tmp_path / "als" / "userFactors").glob("*.parquet"))) > 1
    found = read_als(tmp_path / "als")
    for frame, ids, factors in (
        (model.userFactors, found.users, found.user_factors),
        (model.itemFactors, found.items, found.item_factors),
    ):
        expected = {row["id"]: row["features"] for row in frame.collect()}
        np.testing.assert_array_equal(ids, sorted(expected))
        np.testing.assert_array_equal(factors, np.array([expected[one] for one in sorted(expected)], np.float32))


def check_round_trips(folder: StoragePath) -> None:
    write_pipeline(folder / "pipeline", PIPELINE, seed=1)
    assert_same(PIPELINE, read_pipeline(folder / "pipeline"))
    write_als(folder / "als", FACTORS)
    assert_same(FACTORS, read_als(folder / "als"))


def test_what_is_written_is_read_without_spark(tmp_path: Path) -> None:
    check_round_trips(tmp_path / "models [1]*{a}")


def test_on_hdfs_what_is_written_is_read_and_has_spark_s_schema(on_hdfs: HdfsPath, tmp_path: Path) -> None:
    check_round_trips(on_hdfs)
    (data,) = (on_hdfs / "pipeline" / "stages").glob("*KMeans*")
    (file,) = (data / "data").glob("*.parquet")
    footer = pq.read_metadata(pa.BufferReader(file.read_bytes())).metadata
    assert b"VectorUDT" in footer[b"org.apache.spark.sql.parquet.row.metadata"]


def test_nobody_s_factors_are_written_and_read(tmp_path: Path) -> None:
    none = AlsFactors(*(np.empty(shape, kind) for shape, kind in ((0, "i4"), ((0, 3), "f4")) * 2))
    write_als(tmp_path / "als", none)
    assert_same(none, read_als(tmp_path / "als"))


def test_ids_that_spark_s_als_cannot_take_are_refused(tmp_path: Path) -> None:
    long = AlsFactors(np.array([2**31]), FACTORS.user_factors[:1], FACTORS.items, FACTORS.item_factors)  # type: ignore[arg-type]
    with pytest.raises(pa.ArrowInvalid, match="2147483648"):
        write_als(tmp_path / "als", long)


def test_one_user_is_found_without_reading_all(tmp_path: Path) -> None:
    many = 70_000
    factors = AlsFactors(
        np.arange(many, dtype="i4"), np.zeros((many, 2), "f4"), FACTORS.items, FACTORS.item_factors[:, :2]
    )
    write_als(tmp_path / "als", factors)
    (file,) = (tmp_path / "als" / "userFactors").glob("*.parquet")
    groups = pq.read_metadata(str(file))
    assert groups.num_row_groups == 2 and groups.row_group(1).column(0).statistics.min == 65_536
