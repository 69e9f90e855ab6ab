"""From what the batch log says of a batch to its points: the same record always gives the same bytes (SPEC I1, I2)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import NamedTuple, TypeVar, Union

from influxdb_client.client.write.point import Point
from influxdb_client.domain.write_precision import WritePrecision

from spark_apps.streaming.records import BatchRecord, RankedCategory, RankedProduct, SegmentCount, TypeCount
from spark_apps.telemetry.measurements import (
    CATEGORY_POPULARITY,
    EVENT_TYPE_VALUES,
    MAX_REASONS,
    MAX_SEGMENTS,
    MAX_STEPS,
    OTHER,
    PIPELINE_HEALTH,
    PIPELINE_QUARANTINE,
    PIPELINE_STEPS,
    PRODUCT_POPULARITY,
    RECOMMENDATION_LISTS,
    RECOMMENDATION_METRICS,
    RECOMMENDATION_SOURCES,
    RECOMMENDER_VALUES,
    SEGMENT_EVOLUTION,
    SEGMENT_MOVES,
    SEGMENT_RFM,
    SEGMENT_SHIFT,
    SOURCE_VALUES,
    USER_ACTIVITY,
    USER_BEHAVIOR,
    Kind,
    Measurement,
)

Figure = TypeVar("Figure")
Value = Union[int, float, str, None]  # noqa: UP007 (an alias that is used as a value)

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND = timedelta(microseconds=1)
# fields that have another name than in the record
_RENAMED = {"points": "score"}
_VIEW, _CART, _PURCHASE, _ = EVENT_TYPE_VALUES
_NO_EVENTS = TypeCount(events=0, users=0, priced=0, value=0.0)
_KINDS: dict[Kind, type[int] | type[float] | type[str]] = {"integer": int, "float": float, "string": str}


def points_of(record: BatchRecord) -> list[Point]:
    """Returns the points of one batch, all with the time at which its file was dropped.

    A file that was applied before, or refused, has its pipeline_health only.

    Args:
        record: what the batch log says of the batch.

    Raises:
        ValueError: when the record names an event type, recommender or source that measurements.py does not know.
    """
    if record.outcome != "applied":
        return [_health(record)]
    return [*_behavior(record), *_segments(record), *_recommendations(record), *_popularity(record), *_pipeline(record)]


def lines_of(points: Iterable[Point]) -> bytes:
    """Returns points in InfluxDB's line protocol, one line each, times in nanoseconds."""
    return "".join(f"{point.to_line_protocol()}\n" for point in points).encode()


class PointKey(NamedTuple):
    """What a point is known by: another with the same replaces it.

    Attributes:
        measurement: its name.
        nanoseconds: its time, since 1970.
        tags: names and values, in the order of the measurement.
    """

    measurement: str
    nanoseconds: int
    tags: tuple[tuple[str, str], ...]

    @property
    def moment(self) -> datetime:
        """Its time, UTC, to the microsecond."""
        return _EPOCH + timedelta(microseconds=self.nanoseconds // 1000)


def key_and_values(point: Point) -> tuple[PointKey, dict[str, int | float | str]]:
    """Returns what a point of ours is known by, and its fields."""
    # the library writes points and has no way to ask one
    assert isinstance(point._time, int)
    return PointKey(point._name, point._time, tuple(point._tags.items())), dict(point._fields)


def ranked_points(
    measurement: Measurement, at: datetime, ranked: Iterable[RankedProduct | RankedCategory]
) -> Iterator[Point]:
    """Gives a point for each of what is ranked, as many as the measurement has ranks.

    Args:
        measurement: with a tag `rank` alone.
        at: time of the points.
        ranked: the first first.
    """
    (rank,) = measurement.tags
    for place, one in zip(rank.values, ranked, strict=False):  # the ranks are the bound
        yield _point(measurement, at, {_RENAMED.get(name, name): value for name, value in one}, place)


def _behavior(record: BatchRecord) -> Iterator[Point]:
    for event_type, count in _in_order(record.events, EVENT_TYPE_VALUES):
        values: dict[str, Value] = {
            "events": count.events,
            "users": count.users,
            "price_mean": _ratio(count.value, count.priced),
            "value": count.value,
        }
        yield _point(USER_BEHAVIOR, record.dropped_at, values, event_type)
    if record.activity is not None and record.last_event is not None:
        yield _activity(record)


def _activity(record: BatchRecord) -> Point:
    assert record.activity is not None and record.last_event is not None
    views, carts, purchases = (record.events.get(name, _NO_EVENTS) for name in (_VIEW, _CART, _PURCHASE))
    values: dict[str, Value] = {
        **record.activity.model_dump(),
        "events": sum(count.events for count in record.events.values()),
        "conversion": _ratio(purchases.events, views.events),
        "cart_rate": _ratio(carts.events, views.events),
        "revenue": purchases.value,
        "event_clock": (record.last_event - _EPOCH) // timedelta(seconds=1),
        "hour": record.last_event.astimezone(timezone.utc).hour,
    }
    return _point(USER_ACTIVITY, record.dropped_at, values)


def _segments(record: BatchRecord) -> Iterator[Point]:
    if not record.segments:
        return
    moved = {move.source for move in record.moves} | {move.target for move in record.moves}
    crossed = {crossing.segment for crossing in record.crossings}
    tags = _few({*record.segments, *moved, *crossed}, MAX_SEGMENTS)
    moves = _moves(record, tags)
    total = sum(count.users for count in record.segments.values())
    for segment, count in _merged(record.segments, tags).items():
        values: dict[str, Value] = {
            "users": count.users,
            "share": _ratio(count.users, total) or 0.0,
            "value": count.monetary_mean if count.seen else None,
            "in": sum(users for (_, target), users in moves.items() if target == segment),
            "out": sum(users for (source, _), users in moves.items() if source == segment),
        }
        yield _point(SEGMENT_EVOLUTION, record.dropped_at, values, segment)
    yield _shift(record)
    for (source, target), users in moves.items():
        yield _point(SEGMENT_MOVES, record.dropped_at, {"users": users}, source, target)
    for (rfm, segment), users in _crossings(record, tags).items():
        yield _point(SEGMENT_RFM, record.dropped_at, {"users": users}, rfm, segment)


def _shift(record: BatchRecord) -> Point:
    values: dict[str, Value] = {
        "change_rate": record.change_rate,
        "shift": record.shift,
        "moved": sum(move.users for move in record.moves),
        "known_users": record.known_users,
        "new_users": record.activity.new_users if record.activity is not None else 0,
    }
    return _point(SEGMENT_SHIFT, record.dropped_at, values)


def _moves(record: BatchRecord, tags: Mapping[str, str]) -> dict[tuple[str, str], int]:
    """Users by the tags of the segments they left and entered."""
    users: Counter[tuple[str, str]] = Counter()
    for move in record.moves:
        users[tags[move.source], tags[move.target]] += move.users
    return users


def _crossings(record: BatchRecord, tags: Mapping[str, str]) -> dict[tuple[str, str], int]:
    """Users by RFM group and the tag of their segment."""
    users: Counter[tuple[str, str]] = Counter()
    for crossing in record.crossings:
        users[crossing.rfm, tags[crossing.segment]] += crossing.users
    return users


def _merged(segments: Mapping[str, SegmentCount], tags: Mapping[str, str]) -> dict[str, SegmentCount]:
    """The segments by their tags, those that share one added up; a segment that was only left has no users."""
    merged = dict.fromkeys(tags.values(), SegmentCount(users=0, seen=0, monetary_mean=0.0))
    for name, count in sorted(segments.items()):
        before = merged[tags[name]]
        seen = before.seen + count.seen
        spend = before.monetary_mean * before.seen + count.monetary_mean * count.seen
        mean = count.monetary_mean if not before.seen else spend / seen
        merged[tags[name]] = SegmentCount(users=before.users + count.users, seen=seen, monetary_mean=mean)
    return merged


def _recommendations(record: BatchRecord) -> Iterator[Point]:
    for recommender, found in _in_order(record.relevance, RECOMMENDER_VALUES):
        relevance: dict[str, Value] = {
            "trials": found.trials,
            "hits": found.hits,
            "hit_rate": _ratio(found.hits, found.trials),
            "mrr": _ratio(found.reciprocal_ranks, found.trials),
        }
        yield _point(RECOMMENDATION_METRICS, record.dropped_at, relevance, recommender)
    if record.lists is not None:
        lists = record.lists.model_dump()
        renamed: dict[str, Value] = {"lists": lists.pop("users"), "coverage": lists.pop("products")}
        yield _point(RECOMMENDATION_LISTS, record.dropped_at, {**renamed, **lists, "model": _models(record.models)})
    total = sum(record.sources.values())
    for source, places in _in_order(record.sources, SOURCE_VALUES):
        values: dict[str, Value] = {"places": places, "share": _ratio(places, total) or 0.0}
        yield _point(RECOMMENDATION_SOURCES, record.dropped_at, values, source)


def _models(versions: Mapping[str, str]) -> str | None:
    """The version in force; where the models are of several trainings, each with its own."""
    if len(set(versions.values())) <= 1:
        return next(iter(versions.values()), None)
    return ", ".join(f"{model} {version}" for model, version in sorted(versions.items()))


def _popularity(record: BatchRecord) -> Iterator[Point]:
    yield from ranked_points(PRODUCT_POPULARITY, record.dropped_at, record.top_products)
    yield from ranked_points(CATEGORY_POPULARITY, record.dropped_at, record.top_categories)


def _pipeline(record: BatchRecord) -> Iterator[Point]:
    yield _health(record)
    for step, seconds in _summed(record.seconds, MAX_STEPS).items():
        yield _point(PIPELINE_STEPS, record.dropped_at, {"seconds": seconds}, step)
    for reason, rows in _summed(record.quarantined, MAX_REASONS).items():
        yield _point(PIPELINE_QUARANTINE, record.dropped_at, {"rows": rows}, reason)


def _health(record: BatchRecord) -> Point:
    values: dict[str, Value] = {
        "batch": record.batch,
        "rows": record.rows,
        "clean": record.clean,
        "quarantined": sum(record.quarantined.values()),
        "late": record.late,
        "bytes": record.bytes,
        "seconds": record.duration,
        "latency": record.latency,
        "events_per_second": _ratio(record.rows, record.duration),
        "lag_files": record.lag_files,
        "new_products": record.new_products,
    }
    return _point(PIPELINE_HEALTH, record.dropped_at, values)


def _point(measurement: Measurement, at: datetime, values: Mapping[str, Value], *tags: str) -> Point:
    """Makes a point; its values are just the measurement's fields, None for one that is absent."""
    point = Point(measurement.name)
    # as a whole number, which the library leaves as it is
    point.time((at - _EPOCH) // _MICROSECOND * 1000, WritePrecision.NS)
    for tag, tag_value in zip(measurement.tags, tags, strict=True):
        point.tag(tag.name, tag_value)
    if values.keys() != {field.name for field in measurement.fields}:
        raise ValueError(f"{sorted(values)} are not the fields of {measurement.name}")
    for field in measurement.fields:
        value = values[field.name]
        if value is not None:
            # a field keeps its first type for ever: a whole number must not make an integer of a float
            point.field(field.name, _KINDS[field.kind](value))
    return point


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _few(names: Iterable[str], most: int) -> dict[str, str]:
    """Gives every name its tag's value: itself, or for the last in order of more than `most` names, `other`."""
    ordered = sorted(set(names))
    own = ordered if len(ordered) <= most else ordered[: most - 1]
    return {name: name if name in own else OTHER for name in ordered}


def _summed(figures: Mapping[str, float], most: int) -> dict[str, float]:
    """The figures by their tags' values, those that share one added up."""
    summed: dict[str, float] = {}
    for name, value in _few(figures, most).items():
        summed[value] = summed.get(value, 0) + figures[name]
    return summed


def _in_order(figures: Mapping[str, Figure], known: tuple[str, ...]) -> list[tuple[str, Figure]]:
    """The figures in the order of the known names.

    Raises:
        ValueError: when another name is among them.
    """
    strange = sorted(set(figures) - set(known))
    if strange:
        raise ValueError(f"no point can be made of {', '.join(strange)}: measurements.py knows {', '.join(known)}")
    return [(name, figures[name]) for name in known if name in figures]
