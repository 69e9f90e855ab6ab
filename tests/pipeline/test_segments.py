"""Segments of whole logs: placing the training users again, profiles and affinities against SQL on the tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb
import pytest

from spark_apps.engine.published import table_relation
from spark_apps.jobs import segment
from spark_apps.registry.versions import SEGMENTS, newest
from spark_apps.segmentation.inputs import FEATURES, PLACED
from spark_apps.segmentation.model import place_users
from spark_apps.storage import read_parquet
from spark_apps.tables import INTERACTIONS, PRODUCT_FEATURES, USER_FEATURES, USER_SEGMENTS
from tests.comparing import assert_rows
from tests.factory import rows_of_files
from tests.pipeline.conftest import Trained


def asked(root: Path, query: str) -> list[dict[str, Any]]:
    """Rows of a query over the tables, under their names."""
    database = duckdb.connect()
    for table in (USER_FEATURES, PRODUCT_FEATURES, INTERACTIONS, USER_SEGMENTS):
        database.execute(f"CREATE VIEW {table.name} AS FROM '{root / table.path}/*.parquet'")
    return database.sql(query).to_arrow_table().to_pylist()


def metrics(trained: Trained) -> dict[str, Any]:
    return newest(trained.root, SEGMENTS)[1].metrics


def test_placing_the_training_users_gives_the_training_table(trained: Trained) -> None:
    model = segment.load_model(*newest(trained.root, SEGMENTS))
    placed = place_users(model, read_parquet(trained.root / USER_FEATURES.path, PLACED.names))
    expected = rows_of_files(table_relation(trained.root, USER_SEGMENTS), "user_id")
    assert placed.sort_by("user_id").to_pylist() == expected


def test_profiles_are_those_of_sql(trained: Trained) -> None:
    figures = ", ".join(
        f"avg({value}) AS mean_{name}, quantile_disc({value}, 0.5) AS median_{name}"
        for name, value in ((name, f"coalesce({name}, 0)::DOUBLE") for name in FEATURES)
    )
    query = f"""SELECT segment, count(*) AS users, count(*) / sum(count(*)) OVER () AS share,
                sum(monetary) AS revenue, sum(monetary) / sum(sum(monetary)) OVER () AS revenue_share, {figures}
                FROM user_features JOIN user_segments USING (user_id) GROUP BY segment"""
    expected = {row["segment"]: row for row in asked(trained.root, query)}
    found = metrics(trained)["profiles"]
    assert {one["segment"] for one in found} == set(expected)
    for one in found:
        its = expected[one["segment"]]
        assert one["users"] == its["users"]
        for name in ("share", "revenue", "revenue_share"):
            assert one[name] == pytest.approx(its[name], rel=1e-9)
        for name, figures in one["features"].items():
            assert figures["mean"] == pytest.approx(its[f"mean_{name}"], rel=1e-9)
            assert figures["median"] == pytest.approx(its[f"median_{name}"], rel=1e-3)


@pytest.mark.parametrize(("dimension", "column"), [("categories", "category_code"), ("brands", "brand")])
def test_affinities_are_those_of_sql(trained: Trained, dimension: str, column: str) -> None:
    query = f"""WITH interest AS (
                    SELECT segment, {column} AS value, sum(score) AS score, count(DISTINCT user_id) AS users
                    FROM interactions JOIN product_features USING (product_id) JOIN user_segments USING (user_id)
                    WHERE score > 0 AND {column} <> 'unknown' GROUP BY ALL),
                shares AS (
                    SELECT *, score / sum(score) OVER (PARTITION BY segment) AS share,
                        sum(score) OVER (PARTITION BY value) / sum(score) OVER () AS everybody FROM interest)
                SELECT segment, value, share, share / everybody AS lift, users FROM shares
                JOIN (SELECT segment, count(*) AS size FROM user_segments GROUP BY segment) USING (segment)
                WHERE users >= greatest(20, 0.01 * size) AND share / everybody > 1 + 1e-9
                ORDER BY segment, round(lift, 9) DESC, value"""
    expected: dict[str, list[dict[str, Any]]] = {name: [] for name in trained.training.segments.segments}
    for row in asked(trained.root, query):
        expected[row.pop("segment")].append(row)
    for one in metrics(trained)["affinities"]:
        assert_rows(one[dimension], expected[one["segment"]][:10], rel=1e-9)


def test_there_are_affinities(trained_root: Trained) -> None:
    assert any(one["categories"] for one in metrics(trained_root)["affinities"])
