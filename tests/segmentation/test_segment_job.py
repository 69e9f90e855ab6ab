"""`shopstream segment` on small roots: --k auto, few users, what is published."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyspark.ml import PipelineModel
from pyspark.sql import SparkSession

from spark_apps.engine.base import Engine
from spark_apps.engine.published import stored_schema, table_relation
from spark_apps.errors import MissingTableError, UserError
from spark_apps.jobs import segment
from spark_apps.registry.versions import SEGMENTS, newest, versions
from spark_apps.segmentation.behaviour import LABELS
from spark_apps.segmentation.curve import K_TRIED
from spark_apps.segmentation.model import place_users
from spark_apps.segmentation.rfm import NAMES
from spark_apps.settings import Settings
from spark_apps.tables import INTERACTIONS, PRODUCT_FEATURES, USER_FEATURES, USER_SEGMENTS
from tests.factory import clean_event, rows_of_files
from tests.segmentation.conftest import CENTRES, Planted, features_table, member, stored, user_row

# of one day in UTC, of the day before in New York
FIRST_TIME, LAST_TIME = "2019-10-01 00:30:00 UTC", "2019-10-31 03:00:00 UTC"


def root_with(root: Path, users: pa.Table) -> Path:
    for table, rows in ((USER_FEATURES, users), (PRODUCT_FEATURES, None), (INTERACTIONS, None)):
        stored(stored_schema(table).empty_table() if rows is None else rows, root / table.path)
    return root


def rows_of(root: Path) -> list[dict[str, Any]]:
    return rows_of_files(table_relation(root, USER_SEGMENTS), "user_id")


@pytest.fixture(scope="module")
def planted(plant: Callable[[int], Planted]) -> Planted:
    return plant(30)


@pytest.fixture(scope="module")
def root(here: Engine, settings: Settings, planted: Planted, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = root_with(tmp_path_factory.mktemp("planted"), planted[0])
    segment.run(here, settings, made, segment.AUTO)
    return made


def test_every_engine_gives_the_same_table_and_figures(
    root: Path, engine: Engine, settings: Settings, planted: Planted, tmp_path: Path
) -> None:
    again = root_with(tmp_path, planted[0].sort_by("avg_price"))
    found = segment.run(engine, settings, again, segment.AUTO)
    assert found.metrics == newest(root, SEGMENTS)[1].metrics
    assert rows_of(again) == rows_of(root)


def test_spark_s_own_pipeline_puts_users_where_the_table_says(root: Path, spark: SparkSession) -> None:
    model = PipelineModel.load(str(newest(root, SEGMENTS)[0]))
    users = spark.read.parquet(str(root / USER_FEATURES.path)).fillna({"avg_price": 0.0})
    placed = {row["user_id"]: row["cluster"] for row in model.transform(users).collect()}
    assert placed == {row["user_id"]: row["cluster"] for row in rows_of(root)}


def test_auto_takes_the_planted_number_of_groups_and_keeps_the_curve(root: Path) -> None:
    metadata = newest(root, SEGMENTS)[1]
    curve = metadata.metrics["curve"]
    assert [point["k"] for point in curve] == list(K_TRIED)
    assert metadata.metrics["k"] == max(curve, key=lambda point: point["silhouette"])["k"] == len(CENTRES)
    assert metadata.parameters["k"] == "auto"
    assert metadata.metrics["iterations"] >= 1 and metadata.metrics["cost"] > 0


def test_first_and_last_date_are_those_of_utc_on_any_machine(
    in_new_york: None, here: Engine, settings: Settings, tmp_path: Path
) -> None:
    early, late = (clean_event(event_time=time)["event_time"] for time in (FIRST_TIME, LAST_TIME))
    rows = [user_row(user, recency=user, first_seen=early, last_seen=late) for user in range(8)]
    metadata = segment.run(here, settings, root_with(tmp_path, features_table(rows)), "2")
    assert (metadata.first_date, metadata.last_date) == ("2019-10-01", "2019-10-31")


def test_segments_are_named_by_the_means_of_their_clusters(root: Path, planted: Planted) -> None:
    named = {row["user_id"]: row["segment"] for row in rows_of(root)}
    of_group = {group: {named[user] for user, its in planted[1].items() if its == group} for group in range(4)}
    assert of_group == {
        0: {"VIP_Customers"},
        1: {"Loyal_Customers"},
        2: {"Dormant_Users"},
        3: {"Active_Buyers"},
    }


def test_the_metadata_agrees_with_the_table(root: Path) -> None:
    metadata = newest(root, SEGMENTS)[1]
    metrics, rows = metadata.metrics, rows_of(root)
    assert Counter(row["segment"] for row in rows) == {c["name"]: c["users"] for c in metrics["clusters"]}
    assert Counter(row["rfm_segment"] for row in rows) == metrics["rfm"]
    assert Counter(row["behaviour"] for row in rows) == metrics["behaviours"]
    assert set(metrics["rfm"]) <= set(NAMES) == set(metrics["cross_table"])
    assert Counter((row["rfm_segment"], row["segment"]) for row in rows) == Counter(
        {(name, segment): n for name, row in metrics["cross_table"].items() for segment, n in row.items() if n}
    )
    assert {row["cluster"]: row["segment"] for row in rows} == {c["cluster"]: c["name"] for c in metrics["clusters"]}
    assert {one["segment"]: one["users"] for one in metrics["profiles"]} == Counter(row["segment"] for row in rows)
    assert [one["segment"] for one in metrics["affinities"]] == metadata.segments
    assert len(rows) == metadata.users == 120


def test_convergence_and_stability_are_reported(root: Path) -> None:
    metrics = newest(root, SEGMENTS)[1].metrics
    assert metrics["converged"] is True
    assert metrics["stability"]["users"] == 120
    assert metrics["stability"]["other_seed"] == metrics["stability"]["bootstrap"] == {"mean": 1.0, "lowest": 1.0}


def test_placing_the_training_users_with_the_loaded_model_gives_the_training_table(
    root: Path, planted: Planted
) -> None:
    placed = place_users(segment.load_model(*newest(root, SEGMENTS)), planted[0])
    assert placed.schema.equals(stored_schema(USER_SEGMENTS))
    assert placed.sort_by("user_id").to_pylist() == rows_of(root)


def test_new_users_are_placed_with_those_who_are_like_them(root: Path, planted: Planted) -> None:
    model = segment.load_model(*newest(root, SEGMENTS))
    newcomers = [member(1000 + group, group, 0.07) for group in range(len(CENTRES))]
    nobody_yet = user_row(2000, avg_price=None)
    found = place_users(model, features_table([*newcomers, nobody_yet])).to_pylist()
    placed = {row["user_id"]: row for row in found}
    named = {row["user_id"]: row["segment"] for row in rows_of(root)}
    for group in range(len(CENTRES)):
        (like_them,) = {named[user] for user, its in planted[1].items() if its == group}
        assert placed[1000 + group]["segment"] == like_them
    assert placed[2000]["segment"] in model.names.values() and placed[2000]["behaviour"] in LABELS
    assert not [row for row in placed.values() if None in row.values()]


@pytest.mark.parametrize(("users", "k"), [(5, "5"), (3, "5"), (2, segment.AUTO), (1, "2")])
def test_fewer_users_than_clusters_need_are_refused(
    here: Engine, settings: Settings, tmp_path: Path, users: int, k: str
) -> None:
    few = root_with(tmp_path, features_table([user_row(user, recency=user) for user in range(users)]))
    with pytest.raises(UserError, match=rf"^{users} users cannot make \d clusters: choose a smaller --k or load more"):
        segment.run(here, settings, few, k)
    assert not (few / USER_SEGMENTS.path).exists()
    assert versions(few, SEGMENTS) == []


def test_six_users_can_make_five_clusters(here: Engine, settings: Settings, tmp_path: Path) -> None:
    users = [user_row(user, recency=5 * user, monetary=100.0 * user) for user in range(6)]
    few = root_with(tmp_path, features_table(users))
    metadata = segment.run(here, settings, few, "5")
    rows = rows_of(few)
    assert len(rows) == 6
    assert len(set(metadata.segments)) == len(metadata.segments) == len({row["cluster"] for row in rows})


def test_users_who_are_all_alike_make_one_segment(here: Engine, settings: Settings, tmp_path: Path) -> None:
    alike = root_with(tmp_path, features_table([user_row(user) for user in range(9)]))
    metadata = segment.run(here, settings, alike, segment.AUTO)
    assert metadata.metrics["curve"] == []
    assert [cluster["users"] for cluster in metadata.metrics["clusters"]] == [9]
    assert metadata.metrics["silhouette"] is None and metadata.metrics["stability"] is None
    assert metadata.metrics["rfm"] == {"New Customers": 9}


def test_without_a_purchase_there_is_no_revenue_and_everybody_is_a_visitor(
    here: Engine, settings: Settings, tmp_path: Path
) -> None:
    users = [user_row(user, recency=user % 20, frequency=user % 9 + 1, unique_products=user) for user in range(200)]
    metadata = segment.run(here, settings, root_with(tmp_path, features_table(users)), "4")
    rows = rows_of(tmp_path)
    assert {row["rfm_monetary"] for row in rows} == {1}
    assert {row["rfm_recency"] for row in rows} == {row["rfm_frequency"] for row in rows} == {1, 2, 3, 4, 5}
    assert {one["revenue_share"] for one in metadata.metrics["profiles"]} == {0.0}
    assert all(row["behaviour"].endswith(("Visitor", "Shopper")) for row in rows)


def test_without_sessions_and_prices_users_have_segments(here: Engine, settings: Settings, tmp_path: Path) -> None:
    users = [
        user_row(user, recency=user % 7, sessions=0, mean_session_minutes=None, avg_price=None) for user in range(50)
    ]
    metadata = segment.run(here, settings, root_with(tmp_path, features_table(users)), "3")
    assert sum(one["users"] for one in metadata.metrics["profiles"]) == 50
    assert all(one["features"]["avg_price"]["mean"] == 0.0 for one in metadata.metrics["profiles"])


def test_one_enormous_user_leaves_the_others_their_scores(here: Engine, settings: Settings, tmp_path: Path) -> None:
    users = [user_row(user, monetary=max(0.0, user - 2985.0), purchases=int(user > 2985)) for user in range(3000)]
    users.append(user_row(3000, monetary=1e12, frequency=31, unique_products=10**6, purchases=10**5))
    metadata = segment.run(here, settings, root_with(tmp_path, features_table(users)), segment.AUTO)
    rows = {row["user_id"]: row for row in rows_of(tmp_path)}
    assert {row["rfm_monetary"] for row in rows.values()} == {1, 2, 3, 4, 5}
    alone = rows[3000]["segment"]
    assert [user for user, row in rows.items() if row["segment"] == alone] == [3000]
    assert metadata.metrics["converged"]


def test_without_features_the_command_that_makes_them_is_named(
    here: Engine, settings: Settings, tmp_path: Path
) -> None:
    with pytest.raises(MissingTableError, match="shopstream features"):
        segment.run(here, settings, tmp_path, "5")
