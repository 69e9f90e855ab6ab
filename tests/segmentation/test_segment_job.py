"""`shopstream segment` on small roots: --k auto, few users, what is published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession

from spark_apps.errors import MissingTableError, UserError
from spark_apps.jobs import segment
from spark_apps.registry.versions import SEGMENTS, newest, versions
from spark_apps.segmentation.clusters import K_TRIED, place_users
from spark_apps.segmentation.rfm import NAMES, rfm_columns
from spark_apps.settings import Settings
from spark_apps.tables import (
    INTERACTIONS,
    PRODUCT_FEATURES,
    USER_FEATURES,
    USER_SEGMENTS,
    read_table,
    write_files,
)
from tests.segmentation.conftest import CENTRES, Planted, features_frame, user_row


def root_with(spark: SparkSession, root: Path, users: DataFrame) -> Path:
    write_files(users, root / USER_FEATURES.path, USER_FEATURES)
    for table in (PRODUCT_FEATURES, INTERACTIONS):
        write_files(spark.createDataFrame([], table.schema).coalesce(1), root / table.path, table)
    return root


@pytest.fixture(scope="module")
def planted(plant: Callable[[int], Planted]) -> Planted:
    return plant(30)


@pytest.fixture(scope="module")
def root(spark: SparkSession, settings: Settings, planted: Planted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = root_with(spark, tmp_path_factory.mktemp("planted"), planted[0])
    segment.run(spark, settings, made, segment.AUTO)
    return made


def test_auto_takes_the_planted_number_of_groups_and_keeps_the_curve(root: Path) -> None:
    metadata = newest(root, SEGMENTS)[1]
    curve = metadata.metrics["curve"]
    assert [point["k"] for point in curve] == list(K_TRIED)
    assert metadata.metrics["k"] == max(curve, key=lambda point: point["silhouette"])["k"] == len(CENTRES)
    assert metadata.parameters["k"] == "auto"
    assert metadata.metrics["iterations"] >= 1 and metadata.metrics["cost"] > 0


def test_segments_are_named_by_the_means_of_their_clusters(root: Path, spark: SparkSession, planted: Planted) -> None:
    named = {row["user_id"]: row["segment"] for row in read_table(spark, root, USER_SEGMENTS).collect()}
    of_group = {group: {named[user] for user, its in planted[1].items() if its == group} for group in range(4)}
    assert of_group == {
        0: {"VIP_Customers"},
        1: {"Loyal_Customers"},
        2: {"Dormant_Users"},
        3: {"Active_Buyers"},
    }


def test_the_metadata_agrees_with_the_table(root: Path, spark: SparkSession) -> None:
    metadata = newest(root, SEGMENTS)[1]
    rows = read_table(spark, root, USER_SEGMENTS).collect()
    assert Counter(row["segment"] for row in rows) == {c["name"]: c["users"] for c in metadata.metrics["clusters"]}
    assert Counter(row["rfm_segment"] for row in rows) == metadata.metrics["rfm"]
    assert set(metadata.metrics["rfm"]) <= set(NAMES)
    assert {row["cluster"]: row["segment"] for row in rows} == {
        c["cluster"]: c["name"] for c in metadata.metrics["clusters"]
    }
    assert len(rows) == metadata.users == 120


def test_the_saved_model_and_cuts_place_the_same_users_the_same(
    root: Path, spark: SparkSession, planted: Planted
) -> None:
    folder, metadata = newest(root, SEGMENTS)
    model = PipelineModel.load(str(folder))
    again = place_users(model, planted[0]).join(
        planted[0].select("user_id", *rfm_columns(metadata.metrics["rfm_cuts"])), on="user_id"
    )
    columns = ["user_id", "cluster", "rfm_recency", "rfm_frequency", "rfm_monetary", "rfm_segment"]
    table = read_table(spark, root, USER_SEGMENTS).select(*columns)
    assert again.select(*columns).exceptAll(table).isEmpty()
    assert again.count() == table.count()


@pytest.mark.parametrize(("users", "k"), [(5, "5"), (3, "5"), (2, segment.AUTO), (1, "2")])
def test_fewer_users_than_clusters_need_are_refused(
    spark: SparkSession, settings: Settings, tmp_path: Path, users: int, k: str
) -> None:
    few = root_with(spark, tmp_path, features_frame(spark, [user_row(user, recency=user) for user in range(users)]))
    with pytest.raises(UserError, match=rf"^{users} users cannot make \d clusters: choose a smaller --k or load more"):
        segment.run(spark, settings, few, k)
    assert not (few / USER_SEGMENTS.path).exists()
    assert versions(few, SEGMENTS) == []


def test_six_users_can_make_five_clusters(spark: SparkSession, settings: Settings, tmp_path: Path) -> None:
    users = [user_row(user, recency=5 * user, monetary=100.0 * user) for user in range(6)]
    few = root_with(spark, tmp_path, features_frame(spark, users))
    metadata = segment.run(spark, settings, few, "5")
    rows = read_table(spark, few, USER_SEGMENTS).collect()
    assert len(rows) == 6
    assert len(set(metadata.segments)) == len(metadata.segments) == len({row["cluster"] for row in rows})


def test_users_who_are_all_alike_make_one_segment(spark: SparkSession, settings: Settings, tmp_path: Path) -> None:
    alike = root_with(spark, tmp_path, features_frame(spark, [user_row(user) for user in range(9)]))
    metadata = segment.run(spark, settings, alike, segment.AUTO)
    assert metadata.metrics["curve"] == []
    assert [cluster["users"] for cluster in metadata.metrics["clusters"]] == [9]
    assert metadata.metrics["silhouette"] is None


def test_without_features_the_command_that_makes_them_is_named(
    spark: SparkSession, settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(MissingTableError, match="shopstream features"):
        segment.run(spark, settings, tmp_path, "5")
