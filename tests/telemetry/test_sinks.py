"""Points in a real InfluxDB: what is written is what is read."""

from __future__ import annotations

import shutil
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from spark_apps.platform.influxdb import InfluxAwayError, InfluxRefusedError
from spark_apps.settings import Settings
from spark_apps.streaming.records import BatchRecord, Crossing, RankedProduct, SegmentCount
from spark_apps.telemetry.points import lines_of, points_of
from spark_apps.telemetry.sinks import FileSink, InfluxSink, sink_of
from spark_apps.telemetry.token_files import SecretFileError
from tests.telemetry.batch_logs import expected, outlive_an_outage, records, rows_of, stored
from tests.telemetry.conftest import Store
from tests.telemetry.records import NASTY, record
from tests.waiting import serving

IN_TAGS = "sun, \"moon\" = 'stars' ümläut 🛒"


def now() -> datetime:
    return datetime.now(timezone.utc)


def lines(one: BatchRecord) -> bytes:
    return lines_of(points_of(one))


def test_names_survive_the_way_there_and_back(store: Store) -> None:
    product = RankedProduct(product_id=2**63 - 1, category=NASTY, brand='"', points=1.0, events=1)
    count = SegmentCount(users=1, seen=1, monetary_mean=1.0)
    crossing = Crossing(rfm="Lost", segment=IN_TAGS, users=1)
    named = {"segments": {IN_TAGS: count}, "crossings": (crossing,), "seconds": {IN_TAGS: 2.0}}
    one = record(dropped_at=now(), top_products=(product,), moves=(), **named)
    assert store.sink().write(0, lines(one)) == 0
    (row,) = rows_of(store.url, store.reader, "product_popularity")
    assert (row["category"], row["brand"], row["product_id"]) == (NASTY, '"', str(2**63 - 1))
    assert [row["segment"] for row in rows_of(store.url, store.reader, "segment_evolution")] == [IN_TAGS]
    assert [row["segment"] for row in rows_of(store.url, store.reader, "segment_rfm")] == [IN_TAGS]
    assert [row["step"] for row in rows_of(store.url, store.reader, "pipeline_steps")] == [IN_TAGS]
    assert datetime.fromisoformat(row["_time"].replace("Z", "+00:00")) == one.dropped_at


def test_the_same_batch_written_again_changes_nothing(store: Store) -> None:
    batches = records(4)
    for one in [*batches, *batches]:
        store.sink().write(one.batch, lines(one))
    assert stored(store.url, store.reader) == expected(batches)


def test_points_older_than_the_bucket_keeps_are_counted(store: Store) -> None:
    old, young = records(2, age=timedelta(days=40))[0], records(1)[0]
    sink = store.sink()
    assert sink.write(0, lines(old)) == len(points_of(old))
    assert sink.write(1, lines(old) + lines(young)) == len(points_of(old))
    assert stored(store.url, store.reader) == expected([young])


@pytest.mark.parametrize("wrong", ["reader", "nonsense"])
def test_a_token_that_may_not_write_is_told_and_not_shown(store: Store, wrong: str) -> None:
    token = store.reader if wrong == "reader" else wrong
    store.writer_file.chmod(0o600)
    right = store.writer_file.read_text()
    store.writer_file.write_text(token)
    sink = store.sink()
    with pytest.raises(InfluxRefusedError, match=r"does not let the token in .* write") as told:
        sink.write(0, lines(records(1)[0]))
    assert token == "nonsense" or token not in str(told.value)
    store.writer_file.write_text(right)  # the next write reads the file anew
    assert sink.write(0, lines(records(1)[0])) == 0


def test_a_field_of_another_type_is_refused_whole(store: Store) -> None:
    sink = store.sink()
    sink.write(0, lines(record(dropped_at=now())))
    with pytest.raises(InfluxRefusedError, match="field type conflict"):
        sink.write(1, b"pipeline_health batch=1.5\n")


def test_one_that_is_away_and_comes_back(store: Store) -> None:
    sink = store.sink()
    sink.write(0, lines(record(dropped_at=now())))
    store.server.kill()
    for _ in range(2):
        with pytest.raises(InfluxAwayError, match=f"InfluxDB does not answer at {store.url} "):
            sink.write(0, lines(record(dropped_at=now())))
    store.server.start()
    assert sink.write(0, lines(record(dropped_at=now()))) == 0


class _Busy(BaseHTTPRequestHandler):
    """A server that is too busy to write as often as it was told to be."""

    def do_GET(self) -> None:
        self._say(200, b'{"name": "influxdb", "status": "pass"}')

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.refusals -= 1  # type: ignore[attr-defined]
        self._say(204 if self.server.refusals < 0 else 503, b"")  # type: ignore[attr-defined]

    def _say(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Retry-After", "3600")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        """Keeps the test's output clean."""


@pytest.mark.parametrize(("refusals", "ends_well"), [(0, True), (3, True), (4, False)])
def test_a_busy_server_is_asked_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], refusals: int, ends_well: bool
) -> None:
    (tmp_path / "token").write_text("a-token")
    with serving(_Busy) as server:
        server.refusals = refusals  # type: ignore[attr-defined]
        sink = InfluxSink(f"http://127.0.0.1:{server.server_port}", tmp_path / "token")
        try:
            if ends_well:
                assert sink.write(0, lines(record())) == 0
            else:
                with pytest.raises(InfluxAwayError, match=r"cannot take points now \(HTTP 503"):
                    sink.write(0, lines(record()))
        finally:
            sink.close()
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("content", [None, "", "ключ", "two\nlines"])
def test_a_file_without_a_token_is_told(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "token").write_text(content, encoding="utf-8")
    with pytest.raises(SecretFileError, match=r"There is no token in .*--token-file"):
        InfluxSink("http://127.0.0.1:1", tmp_path / "token").write(0, b"")


def test_the_settings_name_the_sink(tmp_path: Path) -> None:
    given = Settings(influxdb_url="http://127.0.0.1:8086/", influxdb_token_file=tmp_path / "token")
    assert sink_of(given, tmp_path).name == "http://127.0.0.1:8086/shopstream/ecommerce_analytics"
    assert sink_of(Settings(), tmp_path).name == FileSink(tmp_path).name == str(tmp_path / "reports" / "metrics")


def test_a_sender_outlives_an_outage(store: Store, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    outlive_an_outage(store.server, root, store.sink(), store.reader)
    shutil.rmtree(root)
