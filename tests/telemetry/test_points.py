"""A record's points: they fit the schema whatever the record says, and are always the same."""

from __future__ import annotations

from collections import Counter
from datetime import timezone
from typing import Any

import pytest
from hypothesis import given, settings
from influxdb_client.client.write.point import Point

from spark_apps.streaming.records import BatchRecord, Crossing, Move, SegmentCount, TypeCount
from spark_apps.telemetry.measurements import MEASUREMENTS, OTHER, TOP
from spark_apps.telemetry.points import lines_of, points_of
from tests.telemetry.records import DROPPED, any_record, record

SCHEMA = {one.name: one for one in MEASUREMENTS}
KINDS = {"integer": int, "float": float, "string": str}
EXAMPLES = settings(max_examples=150, deadline=None)


def only(found: list[Point], measurement: str, **tags: str) -> dict[str, Any]:
    """The fields of the one point with these tags."""
    (one,) = [point for point in found if point._name == measurement and point._tags == tags]
    fields: dict[str, Any] = one._fields
    return fields


@EXAMPLES
@given(any_record())
def test_points_fit_the_schema(one: BatchRecord) -> None:
    found = points_of(one)
    for point in found:
        schema = SCHEMA[point._name]
        assert set(point._tags) == {tag.name for tag in schema.tags}
        assert all(point._tags[tag.name] in tag.values for tag in schema.tags if tag.values)
        known = {field.name: field for field in schema.fields}
        assert {name for name, field in known.items() if not field.absent} <= set(point._fields) <= set(known)
        assert all(type(value) is KINDS[known[name].kind] for name, value in point._fields.items())
    for name, number in Counter(point._name for point in found).items():
        assert number <= SCHEMA[name].max_series
    for schema in MEASUREMENTS:
        for tag in schema.tags:
            assert len({point._tags[tag.name] for point in found if point._name == schema.name}) <= tag.max_values


@EXAMPLES
@given(any_record())
def test_all_points_have_the_time_of_the_drop_and_none_replaces_another(one: BatchRecord) -> None:
    found = points_of(one)
    moment = one.dropped_at.astimezone(timezone.utc)
    expected = round(moment.replace(microsecond=0).timestamp()) * 10**9 + moment.microsecond * 1000
    assert {point._time for point in found} == {expected}
    assert len({(point._name, *sorted(point._tags.items())) for point in found}) == len(found)


@EXAMPLES
@given(any_record())
def test_the_same_record_gives_the_same_bytes(one: BatchRecord) -> None:
    turned = {name: _turned(value) for name, value in one}
    again = BatchRecord.model_validate_json(BatchRecord(**turned).model_dump_json())
    assert lines_of(points_of(again)) == lines_of(points_of(one))


def _turned(value: Any) -> Any:
    """A dictionary in another order, which means the same."""
    return dict(reversed(value.items())) if isinstance(value, dict) else value


@pytest.mark.parametrize("outcome", ["duplicate", "refused"])
def test_a_file_that_was_not_applied_has_its_health_only(outcome: str) -> None:
    assert [point._name for point in points_of(record(outcome=outcome))] == ["pipeline_health"]


def test_the_figures_are_those_of_the_record() -> None:
    found = points_of(record())
    assert only(found, "user_behavior", event_type="view") == {
        "events": 80,
        "users": 30,
        "price_mean": 100.0,
        "value": 7900.0,
    }
    activity = only(found, "user_activity")
    assert (activity["conversion"], activity["cart_rate"], activity["revenue"]) == (5 / 80, 12 / 80, 300.5)
    assert (activity["event_clock"], activity["hour"]) == (1572607801, 11)
    assert only(found, "segment_evolution", segment="Casual_Browsers") == {
        "users": 75,
        "share": 0.75,
        "value": 12.5,
        "in": 0,
        "out": 3,
    }
    assert only(found, "segment_shift")["moved"] == 3
    assert only(found, "segment_rfm", rfm="Champions", segment="Loyal_Customers") == {"users": 5}
    assert only(found, "recommendation_metrics", recommender="updated")["mrr"] == 0.25
    assert only(found, "recommendation_lists")["model"] == "20191101T000000Z"
    assert only(found, "product_popularity", rank="1")["product_id"] == 1000
    health = only(found, "pipeline_health")
    assert (health["latency"], health["seconds"], health["quarantined"]) == (3.0, 2.75, 3)
    assert health["events_per_second"] == 100 / 2.75


def test_what_cannot_be_computed_is_absent() -> None:
    nothing = TypeCount(events=0, users=0, priced=0, value=0.0)
    unseen = {"Lost": SegmentCount(users=3, seen=0, monetary_mean=0.0)}
    found = points_of(record(events={"view": nothing}, segments=unseen, moves=(), seconds={}, models={}))
    assert "price_mean" not in only(found, "user_behavior", event_type="view")
    assert not {"conversion", "cart_rate"} & set(only(found, "user_activity"))
    assert "value" not in only(found, "segment_evolution", segment="Lost")
    assert set(only(found, "recommendation_metrics", recommender="popularity")) == {"trials", "hits"}
    assert "events_per_second" not in only(found, "pipeline_health")
    assert "model" not in only(found, "recommendation_lists")


def test_a_segment_that_everybody_left_is_still_told() -> None:
    found = points_of(record(moves=(Move(source="Lost", target="Casual_Browsers", users=2),)))
    left = only(found, "segment_evolution", segment="Lost")
    assert left == {"users": 0, "share": 0.0, "in": 0, "out": 2}


def test_models_of_several_trainings_are_named_each() -> None:
    found = points_of(record(models={"hybrid": "2", "als": "1"}))
    assert only(found, "recommendation_lists")["model"] == "als 1, hybrid 2"


def test_segments_beyond_the_bound_are_added_up() -> None:
    names = [f"Casual_Browsers_{number:02d}" for number in range(30)]
    segments = {name: SegmentCount(users=2, seen=1, monetary_mean=float(n)) for n, name in enumerate(names)}
    moves = (Move(source=names[25], target=names[0], users=1), Move(source=names[26], target=names[0], users=1))
    crossings = tuple(Crossing(rfm="Lost", segment=name, users=1) for name in names)
    found = points_of(record(segments=segments, moves=moves, crossings=crossings))
    rest = only(found, "segment_evolution", segment=OTHER)
    assert (rest["users"], rest["out"], rest["value"]) == (22, 2, pytest.approx(24.0))
    assert only(found, "segment_moves", source=OTHER, target=names[0]) == {"users": 2}
    assert only(found, "segment_rfm", rfm="Lost", segment=OTHER) == {"users": 11}
    evolution = [point for point in found if point._name == "segment_evolution"]
    assert sum(point._fields["share"] for point in evolution) == pytest.approx(1.0)


def test_only_the_first_ranks_are_told() -> None:
    product = record().top_products[0]
    found = points_of(record(top_products=(product,) * 15))
    assert sum(point._name == "product_popularity" for point in found) == TOP


@pytest.mark.parametrize("part", ["events", "relevance", "sources"])
def test_a_name_that_the_schema_does_not_know_is_refused(part: str) -> None:
    known = getattr(record(), part)
    with pytest.raises(ValueError, match="wishlist"):
        points_of(record(**{part: {**known, "wishlist": next(iter(known.values()))}}))


def test_a_point_in_line_protocol() -> None:
    line = lines_of(points_of(record(outcome="refused"))).decode()
    assert line.startswith("pipeline_health batch=0i,bytes=123456i,clean=97i,")
    assert line.endswith(f" {int(DROPPED.replace(microsecond=0).timestamp())}890123000\n")
