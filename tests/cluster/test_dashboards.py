"""Dashboards and alert rules on a real Grafana, which asks a real InfluxDB that holds made-up batches.

They empty the bucket of the cluster they are given. While dashboards are being written, SHOPSTREAM_TEST_GRAFANA names
other servers in place of a cluster: Grafana's URL, InfluxDB's URL, and a folder with grafana_admin_password and
influxdb_writer_token, with spaces between.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from spark_apps.platform.influxdb import Influx
from spark_apps.streaming.records import BatchRecord, Relevance
from spark_apps.telemetry.platform_report import Report, send
from spark_apps.telemetry.points import points_of
from spark_apps.telemetry.provision import BUCKET, ORG
from tests.cluster.conftest import PORT_OFFSET, RunningCluster, eventually
from tests.grafana.asking import Grafana, Question, questions
from tests.grafana.batch_records import INTERVAL, batch_record, batches, platform_report
from tests.short_form import long_but
from tests.telemetry.http_api import HttpApi

# tests/conftest.py takes SHOPSTREAM_ variables away before tests run
_GIVEN = os.environ.get("SHOPSTREAM_TEST_GRAFANA", "")
TARGET = {"org": ORG, "bucket": BUCKET}
HALF_HOUR = 180
DASHBOARDS = 5
# rules are looked at every 10 s and hold their breath for 20 s
FIRING_SECONDS = 60.0
NORMAL_SECONDS = 45.0


@dataclass
class Servers:
    """Grafana and InfluxDB."""

    grafana: Grafana
    writer: Influx
    cluster: RunningCluster | None = None

    def write(self, records: Sequence[BatchRecord]) -> None:
        lines = [f"{point.to_line_protocol()}\n" for record in records for point in points_of(record)]
        self.writer.write(ORG, BUCKET, "".join(lines).encode())

    def report(self, reports: Sequence[Report]) -> None:
        for report in reports:
            send(self.writer, report)

    def safe_mode(self, wanted: str) -> None:
        """Sends the cluster's HDFS into safe mode or out of it; without a cluster, says that it is so."""
        if self.cluster is None:
            self.report([platform_report(now(), safe_mode=int(wanted == "enter"))])
        else:
            self.cluster.run_in("namenode", "hdfs", "dfsadmin", "-safemode", wanted)

    def empty(self) -> None:
        everything = {"start": "1970-01-01T00:00:00Z", "stop": "2200-01-01T00:00:00Z"}
        HttpApi(self.writer.url, self.writer.client.token).call(
            "POST", "/api/v2/delete", params=TARGET, json=everything
        )


@pytest.fixture(scope="module")
def servers(request: pytest.FixtureRequest) -> Iterator[Servers]:
    found = _given() if _GIVEN else _of_cluster(request.getfixturevalue("cluster"))
    yield found
    found.safe_mode("leave")
    found.empty()


def _given() -> Servers:
    grafana, influx, folder = _GIVEN.split()
    return Servers(
        Grafana(grafana, _secret(Path(folder), "grafana_admin_password")),
        Influx(influx, _secret(Path(folder), "influxdb_writer_token")),
    )


def _of_cluster(cluster: RunningCluster) -> Servers:
    token = cluster.run_in("client", "cat", "/run/shopstream/writer/influxdb_writer_token").strip()
    return Servers(
        Grafana(f"http://127.0.0.1:{3000 + PORT_OFFSET}", _secret(cluster.secrets, "grafana_admin_password")),
        Influx(f"http://127.0.0.1:{8086 + PORT_OFFSET}", token),
        cluster,
    )


def _secret(folder: Path, name: str) -> str:
    return (folder / name).read_text(encoding="utf-8").strip()


def now() -> datetime:
    return datetime.now(timezone.utc)


@pytest.fixture(scope="module")
def filled(servers: Servers) -> Servers:
    """Half an hour of batches that end now."""
    servers.empty()
    servers.write(batches(HALF_HOUR, now()))
    servers.report([platform_report(now() - number * INTERVAL) for number in range(HALF_HOUR)])
    return servers


def all_questions(servers: Servers) -> list[Question]:
    return [question for dashboard in servers.grafana.dashboards() for question in questions(dashboard)]


def test_all_dashboards_are_there(filled: Servers) -> None:
    found = filled.grafana.dashboards()
    assert len(found) == DASHBOARDS and len({one["uid"] for one in found}) == DASHBOARDS
    assert all(one["refresh"] == "5s" and one["timezone"] == "utc" for one in found)


def test_every_query_gives_rows(filled: Servers) -> None:
    asked = all_questions(filled)
    found = {str(question): filled.grafana.ask(question, "now-30m", "now") for question in asked}
    empty = {name: fault or "no rows" for name, (rows, fault) in found.items() if not rows}
    assert not empty
    print(f"{len(asked)} queries of {DASHBOARDS} dashboards give rows")


def test_every_query_gives_rows_over_a_month(filled: Servers) -> None:
    start = now() - timedelta(days=30)
    found = {str(one): filled.grafana.ask(one, start, now()) for one in all_questions(filled)}
    # windows of an hour, of which the running one is left out, may hold no whole one
    whole = {str(one) for one in all_questions(filled) if "date.truncate" in one.target["query"]}
    assert not {name: fault for name, (rows, fault) in found.items() if fault or (not rows and name not in whole)}


def test_a_misspelt_field_gives_no_rows(filled: Servers) -> None:
    right = next(one for one in all_questions(filled) if one.name == "Shop clock")
    wrong = replace(right, target={**right.target, "query": right.target["query"].replace("event_clock", "event_clok")})
    assert filled.grafana.ask(right, "now-30m", "now")[0] > 0
    assert filled.grafana.ask(wrong, "now-30m", "now")[0] == 0


def test_a_choice_narrows_a_panel(filled: Servers) -> None:
    users = next(one for one in all_questions(filled) if one.name == "Users per segment")
    one = replace(users, target={**users.target, "query": users.target["query"].replace("${segment:regex}", "VIP.*")})
    (all_rows, _), (rows, fault) = (filled.grafana.ask(question, "now-30m", "now") for question in (users, one))
    assert not fault and all_rows == 5 * rows > 0


def test_queries_of_an_empty_bucket_are_no_errors(servers: Servers) -> None:
    servers.empty()
    faults = {str(one): servers.grafana.ask(one, "now-30m", "now") for one in all_questions(servers)}
    # a cluster goes on reporting its own state
    assert not {name: answer for name, answer in faults.items() if answer != (0, "") and "platform" not in name}
    assert not any(fault for _, fault in faults.values())


def test_a_cluster_reports_its_own_state(servers: Servers) -> None:
    if servers.cluster is None:
        pytest.skip("servers without a cluster below them")
    servers.empty()
    asked = [one for one in all_questions(servers) if "platform_" in one.target["query"]]
    assert len(asked) > 10

    def told() -> bool:
        return all(servers.grafana.ask(question, "now-1m", "now")[0] for question in asked)

    eventually(told, "rows of the service platform-metrics", NORMAL_SECONDS)


def test_nobody_looks_without_a_password(servers: Servers) -> None:
    stranger = Grafana(servers.grafana.url, "not-the-password")
    assert stranger.session.get(f"{stranger.url}/api/search", timeout=30).status_code == 401
    stranger.session.auth = None
    assert stranger.session.get(f"{stranger.url}/api/search", timeout=30).status_code == 401


# Each of these makes one rule's condition true, and no other's.


def stop(servers: Servers) -> None:
    """The last file was dropped 95 s ago."""
    servers.write(batches(30, now() - timedelta(seconds=95)))


def slow_down(servers: Servers) -> None:
    """All batches take 7 s."""
    servers.write(batches(30, now(), seconds={"recommend": 7.0}))


def guess_badly(servers: Servers) -> None:
    """An hour with one hit in ten trials, then ten minutes with one in thirty."""
    servers.write([guessing(batch, hits=400) for batch in batches(360, now() - timedelta(minutes=10))])
    servers.write([guessing(batch, hits=133) for batch in batches(60, now())])


def guessing(batch: BatchRecord, hits: int) -> BatchRecord:
    relevance = batch.relevance | {"updated": Relevance(trials=4_000, hits=hits, reciprocal_ranks=hits / 2)}
    return batch.model_copy(update={"relevance": relevance})


def shift(servers: Servers) -> None:
    """Every fifth known user changes segment."""
    servers.write(batches(30, now(), change_rate=0.2))


def spoil(servers: Servers) -> None:
    """Two rows in a hundred cannot be used."""
    servers.write(batches(30, now(), clean=9_800, quarantined={"bad_price": 200}))


def close(servers: Servers) -> None:
    """HDFS goes into safe mode."""
    servers.write(batches(30, now()))
    servers.safe_mode("enter")


CONDITIONS: dict[str, Callable[[Servers], None]] = {
    "Stream stalled": stop,
    "Batch over 5 s": slow_down,
    "Hit rate fallen": guess_badly,
    "Segment shift over 15 %": shift,
    "Bad rows over 1 %": spoil,
    "HDFS short of nodes or in safe mode": close,
}


# The short form waits for two of them: one that follows from points, and one that follows from the cluster's state.
SHORT = ("Stream stalled", "HDFS short of nodes or in safe mode")


def make_normal(servers: Servers) -> None:
    """Puts good batches in place of all that is there, and waits until each rule has seen them."""
    servers.safe_mode("leave")
    servers.empty()
    servers.write(batches(60, now()))

    def normal() -> bool:
        states, health = servers.grafana.rules(), servers.grafana.health()
        return set(states.values()) == {"inactive"} and set(health.values()) <= {"ok", "nodata"}

    eventually(normal, "all rules normal", NORMAL_SECONDS)


def test_there_is_a_condition_for_each_rule(servers: Servers) -> None:
    assert servers.grafana.rules().keys() == CONDITIONS.keys()


@pytest.fixture
def waited_for(request: pytest.FixtureRequest) -> None:
    """An alert takes half a minute of doing nothing: meanwhile this machine does what later files compare with."""
    if not _GIVEN:
        request.getfixturevalue("reference_run")


@pytest.mark.usefixtures("waited_for")
@pytest.mark.parametrize("rule", long_but(CONDITIONS, SHORT))
def test_a_rule_fires_when_its_condition_holds_and_no_other_does(servers: Servers, rule: str) -> None:
    make_normal(servers)
    servers.empty()
    CONDITIONS[rule](servers)
    started, seen = time.monotonic(), ["inactive"]

    def fires() -> bool:
        states = servers.grafana.rules()
        assert {name for name, state in states.items() if state != "inactive"} <= {rule}
        if states[rule] != seen[-1]:
            seen.append(states[rule])
        return states[rule] == "firing"

    eventually(fires, f"{rule} fires", FIRING_SECONDS)
    assert seen == ["inactive", "pending", "firing"]
    print(f"{rule}: fires {time.monotonic() - started:.0f} s after its points")
    eventually(lambda: rule in told(servers), f"{rule} is handed to whom it concerns", NORMAL_SECONDS)


def test_rules_that_fired_are_normal_again(servers: Servers) -> None:
    make_normal(servers)


def told(servers: Servers) -> set[str]:
    """The rules of which Grafana's alert manager knows that they fire."""
    alerts: list[dict[str, Any]] = servers.grafana.get("/api/alertmanager/grafana/api/v2/alerts")
    return {alert["labels"]["alertname"] for alert in alerts}


def test_a_stream_that_never_ran_is_no_alarm(servers: Servers) -> None:
    servers.empty()
    servers.write([batch_record(0, now() - timedelta(hours=2) - INTERVAL)])
    eventually(lambda: set(servers.grafana.rules().values()) == {"inactive"}, "all rules normal", NORMAL_SECONDS)
