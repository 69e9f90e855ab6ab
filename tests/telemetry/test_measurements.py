"""The schema of what InfluxDB is told: complete, bounded, and in step with the rest of the code."""

from __future__ import annotations

from datetime import timedelta

import pytest

from spark_apps.ingestion.lines import REASONS
from spark_apps.recommendation.hybrid import SOURCES
from spark_apps.schemas import EVENT_TYPES
from spark_apps.segmentation import rfm
from spark_apps.telemetry import measurements
from spark_apps.telemetry.hours import HourSums
from spark_apps.telemetry.measurements import HOURLY_MEASUREMENTS, MEASUREMENTS, Measurement
from spark_apps.telemetry.points import points_of
from tests.telemetry.records import DROPPED, record

# What dashboards, alerts and other programs ask for. Whoever changes a name here changes it for all of them.
NAMES = {
    "user_behavior": (["event_type"], "events users price_mean value"),
    "user_activity": (
        [],
        "events users new_users sessions session_events_mean session_minutes_mean conversion cart_rate revenue "
        "event_clock hour",
    ),
    "segment_evolution": (["segment"], "users share value in out"),
    "segment_shift": ([], "change_rate shift moved known_users new_users"),
    "segment_moves": (["source", "target"], "users"),
    "segment_rfm": (["rfm", "segment"], "users"),
    "recommendation_metrics": (["recommender"], "trials hits hit_rate mrr"),
    "recommendation_lists": ([], "lists coverage diversity score_mean score_p10 score_p50 score_p90 model"),
    "recommendation_sources": (["source"], "places share"),
    "product_popularity": (["rank"], "product_id category brand score events"),
    "category_popularity": (["rank"], "category events purchases revenue"),
    "pipeline_health": (
        [],
        "batch rows clean quarantined late bytes seconds latency events_per_second lag_files new_products",
    ),
    "pipeline_steps": (["step"], "seconds"),
    "pipeline_quarantine": (["reason"], "rows"),
    "product_popularity_hourly": (["rank"], "product_id category brand score events"),
    "category_popularity_hourly": (["rank"], "category events purchases revenue"),
}
ALL = (*MEASUREMENTS, *HOURLY_MEASUREMENTS)
MAX_SERIES = 1_000


def test_the_measurements_are_those_that_others_ask_for() -> None:
    found = {one.name: ([tag.name for tag in one.tags], [field.name for field in one.fields]) for one in ALL}
    assert found == {name: (tags, fields.split()) for name, (tags, fields) in NAMES.items()}


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
def test_every_name_is_explained_and_used_once(one: Measurement) -> None:
    parts = [*one.tags, *one.fields]
    names = [part.name for part in parts]
    assert len(set(names)) == len(names)
    assert not {"time", "_time", "_measurement", "_field"} & set(names)
    assert one.about and all(part.about for part in parts)
    assert all(field.unit for field in one.fields if field.kind == "float")


@pytest.mark.parametrize("one", ALL, ids=lambda one: one.name)
def test_tags_have_few_values(one: Measurement) -> None:
    assert not {"user_id", "product_id", "user_session"} & {tag.name for tag in one.tags}
    assert all(not tag.values or len(tag.values) == tag.max_values for tag in one.tags)
    assert one.max_series <= MAX_SERIES


def test_the_values_of_tags_are_the_rest_of_the_code_s() -> None:
    assert measurements.EVENT_TYPE_VALUES == EVENT_TYPES
    assert measurements.SOURCE_VALUES == SOURCES
    assert measurements.RFM_VALUES == rfm.NAMES
    assert len(REASONS) < measurements.MAX_REASONS


def test_a_whole_record_has_points_of_every_measurement_and_every_field() -> None:
    fields: dict[str, set[str]] = {}
    hour = HourSums()
    hour.add(record())
    for point in (*points_of(record()), *hour.ended_by(record(1, DROPPED + timedelta(hours=1)))):
        fields.setdefault(point._name, set()).update(point._fields)
    assert fields == {one.name: {field.name for field in one.fields} for one in ALL}
