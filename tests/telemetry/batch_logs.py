"""Batch logs for tests, and what InfluxDB holds of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Protocol

from influxdb_client.client.write.point import Point

from spark_apps.platform.influxdb import Influx
from spark_apps.storage import StoragePath
from spark_apps.streaming.records import BatchRecord
from spark_apps.tables import BATCH_LOG
from spark_apps.telemetry.hours import HourSums
from spark_apps.telemetry.points import lines_of, points_of
from spark_apps.telemetry.provision import BUCKET, ORG
from spark_apps.telemetry.sender import Sender, describe_status
from spark_apps.telemetry.sinks import Sink
from tests.telemetry.records import record
from tests.waiting import eventually

# One field that every point of a measurement has; its values are as many as the points.
_COUNTED = {
    "user_behavior": "events",
    "user_activity": "events",
    "segment_evolution": "users",
    "segment_shift": "moved",
    "segment_moves": "users",
    "segment_rfm": "users",
    "recommendation_metrics": "trials",
    "recommendation_lists": "lists",
    "recommendation_sources": "places",
    "product_popularity": "events",
    "category_popularity": "events",
    "product_popularity_hourly": "events",
    "category_popularity_hourly": "events",
    "pipeline_health": "batch",
    "pipeline_steps": "seconds",
    "pipeline_quarantine": "rows",
}


def records(number: int, first: int = 0, age: timedelta = timedelta(hours=1)) -> list[BatchRecord]:
    """Records of batches in a row, dropped ten seconds apart; every seventh was a duplicate."""
    start = datetime.now(timezone.utc) - age
    return [
        record(
            batch,
            start + timedelta(seconds=10 * batch, microseconds=batch),
            outcome="duplicate" if batch % 7 == 6 else "applied",
        )
        for batch in range(first, first + number)
    ]


def write_batch_log(root: StoragePath, batches: Iterable[BatchRecord]) -> None:
    """Puts records into a root's batch log, by rename as the stream does."""
    folder = root / BATCH_LOG
    folder.mkdir(parents=True, exist_ok=True)
    for one in batches:
        draft = folder / f"batch-{one.batch:08d}.draft"
        draft.write_text(one.model_dump_json())
        draft.replace(folder / f"batch-{one.batch:08d}.json")


def sent_points(batches: Iterable[BatchRecord]) -> dict[int, list[Point]]:
    """What is sent with each batch: its own points, and those of the hour before where it is the first after it."""
    sent: dict[int, list[Point]] = {}
    hour = HourSums()
    for one in batches:
        sent[one.batch] = [*hour.ended_by(one), *points_of(one)]
        hour.add(one)
    return sent


def files_of(batches: Iterable[BatchRecord]) -> dict[str, bytes]:
    """The line-protocol files of an undisturbed run."""
    return {f"batch-{batch:08d}.lp": lines_of(points) for batch, points in sent_points(batches).items()}


def expected(batches: Iterable[BatchRecord]) -> Counter[str]:
    """The points per measurement of an undisturbed run."""
    return Counter(point._name for points in sent_points(batches).values() for point in points)


def stored(url: str, reader_token: str) -> Counter[str]:
    """The points per measurement that InfluxDB gives to a reader."""
    counted = " or ".join(f'(r._measurement == "{name}" and r._field == "{field}")' for name, field in _COUNTED.items())
    flux = (
        f'from(bucket: "{BUCKET}") |> range(start: -40d) |> filter(fn: (r) => {counted}) '
        '|> toString() |> group(columns: ["_measurement"]) |> count()'
    )
    rows = Influx(url, reader_token).query(ORG, flux)
    return Counter({row["_measurement"]: int(row["_value"]) for row in rows})


def rows_of(url: str, reader_token: str, measurement: str) -> list[dict[str, str]]:
    """A measurement's points, one row each with tags and fields as columns."""
    flux = (
        f'from(bucket: "{BUCKET}") |> range(start: -40d) |> filter(fn: (r) => r._measurement == "{measurement}") '
        '|> pivot(rowKey: ["_time"], columnKey: ["_field"], valueColumn: "_value")'
    )
    return Influx(url, reader_token).query(ORG, flux)


class Server(Protocol):
    """An InfluxDB that a test may kill and start again, with its data."""

    @property
    def url(self) -> str: ...

    def kill(self) -> None: ...

    def start(self) -> None: ...


def outlive_an_outage(server: Server, root: StoragePath, sink: Sink, reader_token: str) -> None:
    """A sender whose InfluxDB is killed and comes back: the stream goes on, and every point arrives, once."""
    batches = records(40)
    sender = Sender(root, sink)
    sender.start()
    write_batch_log(root, batches[:10])
    sender.wake()
    eventually(lambda: sender.status().last == 9, "the first batches are sent")
    server.kill()
    write_batch_log(root, batches[10:25])
    sender.wake()
    eventually(lambda: sender.status().error is not None, "the outage is told")
    away = sender.status()
    assert (away.last, away.waiting) == (9, 15)
    assert away.error is not None and away.error.startswith(f"InfluxDB does not answer at {server.url}")
    assert describe_status(root)[0].error == away.error
    server.start()
    write_batch_log(root, batches[25:])
    eventually(lambda: sender.status().last == 39, "the rest is sent")
    done = sender.stop(30)
    assert (done.waiting, done.error, done.expired) == (0, None, 0)
    assert stored(server.url, reader_token) == expected(batches)
    (noted,) = describe_status(root)
    assert (noted.last, noted.waiting, noted.error) == (39, 0, None)
