"""Sums over any range, read from whole hours and from batches at its ends: as if every batch had been read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from spark_apps.platform.influxdb import Influx
from spark_apps.streaming.records import BatchRecord, RankedCategory, RankedProduct
from spark_apps.telemetry.hours import HourSums
from spark_apps.telemetry.measurements import HOUR_TOP
from spark_apps.telemetry.points import lines_of, points_of
from spark_apps.telemetry.provision import BUCKET, ORG, READER_TOKEN, WRITER_TOKEN, Role, provision
from tests.telemetry.conftest import running, write_admin_secrets
from tests.telemetry.http_api import HttpApi
from tests.telemetry.records import record

pytest.importorskip("grafana_foundation_sdk", reason="grafana-foundation-sdk needs Python 3.11 or newer")

from grafana.panels import behaviour
from grafana.panels.flux import Flux
from tests.grafana.asking import with_variables

TARGET = {"org": ORG, "bucket": BUCKET}
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
# the last whole hour that is over
NOON = datetime.now(timezone.utc).replace(minute=0, second=0, microsecond=0) - HOUR
# from the first range's length on there is a whole hour in it
ENDS = {"on the hour": NOON, "within an hour": NOON + 17 * MINUTE, "long ago": NOON - 20 * HOUR - 7 * MINUTE}
LENGTHS = {"5 min": 5 * MINUTE, "30 min": 30 * MINUTE, "100 min": 100 * MINUTE, "5 h": 5 * HOUR, "3 days": 72 * HOUR}


def batch(number: int) -> BatchRecord:
    """A batch of every tenth minute back from the end of the hour after noon, whose products come and go."""
    products = tuple(
        RankedProduct(
            product_id=100 + (number * place) % 23, category="a.b", brand="c", points=7.0 - place, events=place
        )
        for place in range(1, 4)
    )
    category = RankedCategory(
        category=f"category{number % 5}", events=number % 11, purchases=1, revenue=0.5 * (number % 7)
    )
    dropped = NOON + HOUR - 1 * MINUTE - number * 10 * MINUTE
    return record(number, dropped, top_products=products, top_categories=(category,))


# one hour in seven has none
BATCHES = [one for one in (batch(number) for number in reversed(range(6 * 48))) if one.batch // 6 % 7 != 3]


class Store:
    """An InfluxDB with the batches, with and without the sums of hours."""

    def __init__(self, url: str, secrets: Path) -> None:
        self.url, self.secrets = url, secrets

    def write(self, batches: Sequence[BatchRecord], with_hours: bool) -> None:
        hour, token = HourSums(), self._token(WRITER_TOKEN)
        everything = {"start": "1970-01-01T00:00:00Z", "stop": "2200-01-01T00:00:00Z"}
        HttpApi(self.url, token).call("POST", "/api/v2/delete", params=TARGET, json=everything)
        writer = Influx(self.url, token)
        for one in batches:
            points = [*(hour.ended_by(one) if with_hours else []), *points_of(one)]
            writer.write(ORG, BUCKET, lines_of(points))
            hour.add(one)

    def ask(self, query: Flux, start: datetime, stop: datetime, window: str = "10s") -> list[dict[str, str]]:
        options = (
            f'option v = {{defaultBucket: "{BUCKET}", windowPeriod: {window}, '
            f"timeRangeStart: {start:%Y-%m-%dT%H:%M:%SZ}, timeRangeStop: {stop:%Y-%m-%dT%H:%M:%SZ}}}\n"
        )
        text = str(query)
        imports = "".join(line + "\n" for line in text.splitlines() if line.startswith("import "))
        flux = imports + options + with_variables(text.removeprefix(imports))
        return Influx(self.url, self._token(READER_TOKEN)).query(ORG, flux)

    def _token(self, name: str) -> str:
        return (self.secrets / name).read_text().strip()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder, secrets = tmp_path_factory.mktemp("influx"), tmp_path_factory.mktemp("secrets")
    write_admin_secrets(secrets)
    with running(folder) as server:
        list(
            provision(
                server.url, secrets, [Role("write", secrets / WRITER_TOKEN), Role("read", secrets / READER_TOKEN)]
            )
        )
        yield Store(server.url, secrets)


@pytest.fixture(scope="module", params=[True, False], ids=["with sums of hours", "batches only"])
def filled(request: pytest.FixtureRequest, store: Store) -> Store:
    store.write(BATCHES, request.param)
    return store


def within(start: datetime, stop: datetime) -> list[BatchRecord]:
    return [one for one in BATCHES if start <= one.dropped_at < stop]


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("length", LENGTHS.values(), ids=LENGTHS)
def test_top_products_are_those_of_all_batches(filled: Store, end: datetime, length: timedelta) -> None:
    wanted: Counter[int] = Counter()
    for one in within(end - length, end):
        for product in one.top_products:
            wanted[product.product_id] += round(product.points)
    found = filled.ask(behaviour.products_query(), end - length, end)
    assert sorted((float(row["score"]) for row in found), reverse=True) == [float(row["score"]) for row in found]
    best = {int(row["product_id"]): round(float(row["score"])) for row in found}
    assert sorted(best.values()) == sorted(sorted(wanted.values())[-10:])
    assert best.items() <= wanted.items()


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("length", LENGTHS.values(), ids=LENGTHS)
def test_top_categories_are_those_of_all_batches(filled: Store, end: datetime, length: timedelta) -> None:
    wanted: Counter[str] = Counter()
    for one in within(end - length, end):
        for category in one.top_categories:
            wanted[category.category] += category.events
    found = filled.ask(behaviour.categories_query(), end - length, end)
    assert {row["category"]: int(row["_value"]) for row in found} == wanted


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize(
    ("length", "window", "width"),
    [(30 * MINUTE, "1m", MINUTE), (5 * HOUR, "30m", 30 * MINUTE), (40 * HOUR, "2m", HOUR), (72 * HOUR, "2h", 2 * HOUR)],
    ids=str,
)
def test_revenue_stands_in_whole_windows(
    filled: Store, end: datetime, length: timedelta, window: str, width: timedelta
) -> None:
    stop, start = _cut(end, width), _cut(end - length, width)
    wanted: Counter[tuple[datetime, str]] = Counter()
    for one in within(start, stop):
        for category in one.top_categories:
            per_minute = category.revenue * MINUTE / width
            wanted[_cut(one.dropped_at, width) + width, category.category] += per_minute  # type: ignore[assignment]
    found = filled.ask(behaviour.revenue_query(), end - length, end, window)
    told = {(_moment(row["_time"]), row["category"]): float(row["_value"]) for row in found}
    assert told.keys() == wanted.keys()
    assert all(told[key] == pytest.approx(value) for key, value in wanted.items())


def test_ranges_hold_fewer_products_than_an_hour_has_ranks() -> None:
    assert len({product.product_id for one in BATCHES for product in one.top_products}) < HOUR_TOP


def _cut(moment: datetime, width: timedelta) -> datetime:
    since = datetime(1970, 1, 1, tzinfo=timezone.utc)
    return since + (moment - since) // width * width


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
