"""October end to end: load, clean, analyze, train, recommend, report, on real rows and on generated ones."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections import Counter
from datetime import datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyspark.ml import PipelineModel
from pyspark.ml.recommendation import ALSModel
from pyspark.sql import SparkSession
from pyspark.sql.pandas.types import from_arrow_schema

from spark_apps import __version__
from spark_apps.engine.published import stored_schema, table_relation
from spark_apps.jobs import recommend, report, train
from spark_apps.jobs.train import hybrid
from spark_apps.registry.serving import stale_tables
from spark_apps.registry.versions import ALS, NAMES, POPULARITY, SEGMENTS, newest, versions
from spark_apps.schemas import POPULAR_PRODUCTS
from spark_apps.tables import (
    ANALYSIS,
    BATCH_TABLES,
    EVENTS,
    INTERACTIONS,
    PRODUCT_FEATURES,
    QUARANTINE,
    RECOMMENDATIONS,
    USER_FEATURES,
    USER_SEGMENTS,
)
from tests import oracle
from tests.comparing import assert_rows
from tests.engines import local_engine
from tests.factory import rows_of_files
from tests.pipeline.conftest import (
    BAD_ROWS,
    DISAPPOINTED,
    GENERATED,
    PECULIAR_ROWS,
    UNDECIDED,
    Trained,
    assert_same_lists,
    planted_reasons,
)

NOBODY = 999_999_999


def raw_rows(trained: Trained) -> int:
    return trained.log.read_bytes().count(b"\n") - 1


def test_every_raw_row_is_clean_or_in_quarantine(trained: Trained) -> None:
    assert all(day.raw == day.clean + day.quarantined.total() for day in trained.balance.values())
    assert sum(day.raw for day in trained.balance.values()) == raw_rows(trained)
    assert Counter(row["date"] for row in trained.rows(EVENTS)) == {
        str(day): its.clean for day, its in trained.balance.items() if its.clean
    }
    quarantined = sum((day.quarantined for day in trained.balance.values()), Counter())
    assert Counter(row["reason"] for row in trained.rows(QUARANTINE)) == quarantined


def test_the_bad_rows_are_those_that_were_planted(trained_root: Trained) -> None:
    rows = trained_root.rows(QUARANTINE)
    assert sorted((row["raw_line"], row["reason"]) for row in rows) == sorted(BAD_ROWS)
    assert sum(day.clean for day in trained_root.balance.values()) == GENERATED + len(PECULIAR_ROWS)
    assert sum((day.quarantined for day in trained_root.balance.values()), Counter()) == planted_reasons()


def test_the_files_have_the_schemas_they_should(trained: Trained) -> None:
    for table in BATCH_TABLES:
        schemas = [pq.read_schema(file) for file in (trained.root / table.path).rglob("*.parquet")]
        assert schemas or table is QUARANTINE, table.name  # the real rows are all usable
        assert all(one.remove_metadata() == stored_schema(table) for one in schemas), table.name
    (lists,) = (newest(trained.root, POPULARITY)[0] / train.LISTS).rglob("*.parquet")
    assert pq.read_schema(lists).remove_metadata() == POPULAR_PRODUCTS


def test_spark_finds_the_schemas_that_they_should_have(trained: Trained, spark: SparkSession) -> None:
    for table in BATCH_TABLES:
        if not any((trained.root / table.path).rglob("*.parquet")):
            continue
        written = spark.read.parquet(str(trained.root / table.path))
        assert written.schema.simpleString() == from_arrow_schema(table.schema).simpleString(), table.name
    lists = spark.read.parquet(str(newest(trained.root, POPULARITY)[0] / train.LISTS))
    assert lists.schema.simpleString() == from_arrow_schema(POPULAR_PRODUCTS).simpleString()


def test_every_event_is_counted_once_in_every_table(trained: Trained) -> None:
    events = sum(day.clean for day in trained.balance.values())
    assert sum(row["total_events"] for row in trained.rows(USER_FEATURES)) == events
    assert sum(row["events"] for row in trained.rows(PRODUCT_FEATURES)) == events
    assert sum(row["interaction_count"] for row in trained.rows(INTERACTIONS)) == events
    assert trained.figures["events"] == sum(trained.figures["event_counts"].values()) == events


def test_the_analysis_is_published_with_the_balance_of_each_date(trained: Trained) -> None:
    assert json.loads((trained.root / ANALYSIS).read_text(encoding="utf-8")) == trained.figures
    assert [(row["date"], row["raw"], row["clean"], row["quarantined"]) for row in trained.figures["balance"]] == [
        (day.isoformat() if day else None, its.raw, its.clean, dict(sorted(its.quarantined.items())))
        for day, its in sorted(trained.balance.items(), key=lambda item: str(item[0]).replace("None", "~"))
    ]


def test_every_user_has_a_segment_and_a_full_list(trained: Trained) -> None:
    users = {row["user_id"] for row in trained.rows(EVENTS)}
    segments = {row["user_id"]: row["segment"] for row in trained.rows(USER_SEGMENTS)}
    lists = trained.lists()
    assert segments.keys() == lists.keys() == users
    assert set(segments.values()) == set(trained.training.segments.segments)
    assert {len(found) for found in lists.values()} == {10}
    assert all(len({one.product_id for one in found}) == 10 for found in lists.values())
    for found in lists.values():
        scores = [one.score for one in found]
        assert scores == sorted(scores, reverse=True)


def test_nobody_is_recommended_what_they_have_bought_but_some_what_they_have_viewed(trained: Trained) -> None:
    pairs = {(row["user_id"], row["product_id"]): row["purchases"] for row in trained.rows(INTERACTIONS)}
    offered = {(user, one.product_id) for user, found in trained.lists().items() for one in found}
    assert not offered & {pair for pair, purchases in pairs.items() if purchases}
    assert offered & pairs.keys()


def test_one_user_s_recommendations_are_those_of_the_table(trained: Trained) -> None:
    lists = trained.lists()
    for user in random.Random(1).sample(sorted(lists), 25):
        assert_same_lists(recommend.run(trained.settings, trained.root, user, 10), lists[user])


def test_users_without_interest_get_what_is_popular_in_their_segment(trained_root: Trained) -> None:
    lists = trained_root.lists()
    assert {one.source for one in lists[UNDECIDED]} == {"popularity"}
    assert_same_lists(recommend.run(trained_root.settings, trained_root.root, UNDECIDED, 10), lists[UNDECIDED])
    metrics = trained_root.training.als.metrics
    assert metrics["users_with_als"] < metrics["users_with_list"]
    assert len(lists[DISAPPOINTED]) == 10


def test_an_unknown_user_gets_what_is_popular_with_everybody(trained: Trained) -> None:
    scores: Counter[int] = Counter()
    for row in trained.rows(INTERACTIONS):
        scores[row["product_id"]] += row["score"]
    best = sorted(scores, key=lambda product: (-scores[product], product))[:10]
    found = recommend.run(trained.settings, trained.root, NOBODY, 10)
    assert [(one.product_id, one.score, one.source) for one in found] == [
        (product, scores[product], "popularity") for product in best
    ]


def test_one_user_s_recommendations_take_well_under_a_second(trained_root: Trained) -> None:
    user, taken = next(iter(trained_root.lists())), []
    for _ in range(3):
        started = time.perf_counter()
        recommend.run(trained_root.settings, trained_root.root, user, 10)
        taken.append(time.perf_counter() - started)
    assert min(taken) < 0.5


def test_ids_that_fit_are_not_numbered(trained: Trained) -> None:
    folder = newest(trained.root, ALS)[0]
    assert not (folder / hybrid.USER_INDEX).exists()
    assert not (folder / hybrid.PRODUCT_INDEX).exists()


@pytest.mark.parametrize("name", NAMES)
def test_a_model_is_complete_and_says_all_that_is_asked_of_it(trained: Trained, name: str) -> None:
    (version,) = versions(trained.root, name)
    metadata = version.metadata
    assert metadata is not None
    assert (metadata.name, metadata.version) == (name, trained.training.als.version)
    assert metadata.files and metadata.code_version == __version__
    assert abs((datetime.now().astimezone() - datetime.fromisoformat(metadata.trained_at)).total_seconds()) < 3600
    dates = sorted(day for day in trained.balance if day and trained.balance[day].clean)
    assert (metadata.first_date, metadata.last_date) == (dates[0].isoformat(), dates[-1].isoformat())
    counts = (len(trained.rows(USER_FEATURES)), len(trained.rows(PRODUCT_FEATURES)), len(trained.rows(INTERACTIONS)))
    assert (metadata.users, metadata.products, metadata.interactions) == counts
    assert set(metadata.segments) == {row["segment"] for row in trained.rows(USER_SEGMENTS)}
    assert metadata.seed == 42 and metadata.parameters


def test_the_metrics_of_the_lists_are_those_of_the_table(trained: Trained) -> None:
    metrics, rows = trained.training.als.metrics, trained.rows(RECOMMENDATIONS)
    assert metrics["recommendations"] == len(rows)
    assert metrics["users_with_list"] == len({row["user_id"] for row in rows})
    assert metrics["products_recommended"] == len({row["product_id"] for row in rows})
    assert metrics["mean_score"] == pytest.approx(sum(row["score"] for row in rows) / len(rows))
    assert 0 < metrics["catalogue_coverage"] <= 1


@pytest.mark.usefixtures("spark")
def test_spark_loads_the_models(trained_root: Trained) -> None:
    model = ALSModel.load(str(newest(trained_root.root, ALS)[0]))
    assert model.rank == trained_root.settings.als.rank
    assert len(PipelineModel.load(str(newest(trained_root.root, SEGMENTS)[0])).stages) == 3


def test_the_report_shows_the_figures(trained: Trained) -> None:
    page = trained.page.read_text(encoding="utf-8")
    assert trained.page == trained.root / "reports" / "report.html"
    shown = [trained.figures["events"], *trained.figures["event_counts"].values(), trained.figures["sessions"]["count"]]
    for figure in shown:
        assert f"{figure:,}" in page
    for name in trained.training.segments.segments:
        assert name in page
    best = Counter(row["product_id"] for row in trained.rows(RECOMMENDATIONS)).most_common(1)[0][0]
    assert str(best) in page


def test_a_report_of_lists_that_do_not_fit_the_model_says_so(
    trained_root: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = shutil.copytree(trained_root.root, tmp_path / "root")
    report.run(local_engine(), root)
    assert capsys.readouterr().err == ""
    (root / RECOMMENDATIONS.path / "_version.json").write_text('{"version": "20191101T000000Z"}')
    report.run(local_engine(), root)
    version = trained_root.training.als.version
    used = f"version {version} of model hybrid is in use"
    told = f"Table recommendations was made with version 20191101T000000Z, while {used}"
    [stale] = stale_tables(root)
    assert capsys.readouterr().err == f"! {told}: run `{stale.command}` to make it anew.\n"
    weights = "--affinity-weight 0.3 --content-weight 0.0 --popularity-weight 0.0 --segment-weight 0.1"
    factors = "--als implicit --rank 16 --iterations 5 --regularization 0.1 --alpha 1.0"
    assert stale.command.endswith(f"--seed 42 --k 5 {factors} {weights} --force")


def test_the_report_of_generated_events_says_so(trained_root: Trained, sample_root: Trained) -> None:
    generated, real = (root.page.read_text(encoding="utf-8") for root in (trained_root, sample_root))
    assert 'class="synthetic"' in generated and trained_root.log.name in generated
    assert 'class="synthetic"' not in real and sample_root.log.name in real


def test_the_feature_tables_are_those_of_sql(sample_root: Trained) -> None:
    database = oracle.of_log(sample_root.log)
    for table, query, order in (
        (USER_FEATURES, oracle.USER_FEATURES, ["user_id"]),
        (PRODUCT_FEATURES, oracle.PRODUCT_FEATURES, ["product_id"]),
        (INTERACTIONS, oracle.INTERACTIONS, ["user_id", "product_id"]),
    ):
        found = rows_of_files(table_relation(sample_root.root, table), *order)
        assert_rows(found, oracle.rows(database, query), rel=1e-9)
