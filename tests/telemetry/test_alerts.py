"""`shopstream alerts check` asks a real InfluxDB what Grafana's rules ask."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from spark_apps.cli import main
from spark_apps.platform.influxdb import Influx
from spark_apps.streaming.records import BatchRecord, Relevance
from spark_apps.telemetry.alerts import AlertRule, Verdict, read_rules
from spark_apps.telemetry.points import lines_of, points_of
from spark_apps.telemetry.provision import BUCKET, ORG
from tests.telemetry.conftest import Store
from tests.telemetry.records import record

GOOD: dict[str, Any] = {"quarantined": {}, "rows": 97, "change_rate": 0.05, "seconds": {"parse": 2.0}}
Check = Callable[..., Result]


@pytest.fixture
def check(store: Store) -> Check:
    """Runs `shopstream alerts check` against the test's InfluxDB."""

    def run(*options: str) -> Result:
        target = ["--url", store.url, "--token-file", str(store.reader_file)]
        return CliRunner().invoke(main, ["alerts", "check", *target, *options], env={"COLUMNS": "100"})

    return run


def write(store: Store, *records: BatchRecord) -> None:
    writer = Influx(store.url, store.writer_file.read_text().strip())
    writer.write(ORG, BUCKET, lines_of([point for one in records for point in points_of(one)]))


def ago(seconds: float) -> datetime:
    return datetime.now(timezone.utc) - timedelta(seconds=seconds)


def firing(result: Result) -> set[str]:
    return {one["title"] for one in json.loads(result.stdout) if one["fires"]}


def test_without_a_point_nothing_fires(check: Check) -> None:
    done = check("--json")
    assert done.exit_code == 0, done.stderr
    assert {one["value"] for one in json.loads(done.stdout)} == {None}


def test_a_good_batch_fires_nothing(store: Store, check: Check) -> None:
    write(store, record(0, ago(10), **GOOD))
    done = check()
    assert done.exit_code == 0, done.output
    assert "Stream stalled" in done.stdout and "fine" in done.stdout
    assert all(len(line) <= 80 for line in done.stdout.splitlines())


@pytest.mark.parametrize(
    ("title", "dropped", "overrides"),
    [
        ("Stream stalled", 300, {}),
        ("Batch over 5 s", 10, {"seconds": {"parse": 6.0}}),
        ("Segment shift over 15 %", 10, {"change_rate": 0.2}),
        ("Bad rows over 1 %", 10, {"quarantined": {"bad_time": 3}, "rows": 100}),
    ],
)
def test_a_condition_that_holds_ends_with_1_and_says_what_to_do(
    store: Store, check: Check, title: str, dropped: float, overrides: dict[str, Any]
) -> None:
    write(store, record(0, ago(dropped), **{**GOOD, **overrides}))
    done = check("--json")
    assert done.exit_code == 1 and firing(done) == {title}
    told = check().stdout
    assert f"{title}: " in told and "To do: " in told


def test_a_hit_rate_below_the_day_s_fires(store: Store, check: Check) -> None:
    rates = {6_000: 900, 3_000: 900, 30: 300}  # seconds ago -> hits of 3,000
    write(
        store,
        *(
            record(
                batch,
                ago(seconds),
                **GOOD,
                relevance={"updated": Relevance(trials=3_000, hits=hits, reciprocal_ranks=1.0)},
            )
            for batch, (seconds, hits) in enumerate(rates.items())
        ),
    )
    assert firing(check("--json")) == {"Hit rate fallen"}


def test_every_rule_of_grafana_is_asked(check: Check) -> None:
    titles = [one["title"] for one in json.loads(check("--json").stdout)]
    assert titles == [rule.title for rule in read_rules()] and len(titles) == len(set(titles)) >= 6


@pytest.mark.parametrize(("above", "value", "fires"), [(True, 5.1, True), (True, 5.0, False), (False, 4.9, True)])
def test_a_rule_fires_beyond_its_limit(above: bool, value: float, fires: bool) -> None:
    rule = AlertRule("t", "q", 60, 5.0, above, "warning", "s", "a")
    assert Verdict(rule, value).fires == fires


def test_a_token_that_may_not_read_is_told_in_one_sentence(store: Store) -> None:
    wrong = ["--url", store.url, "--token-file", str(store.writer_file)]
    done = CliRunner().invoke(main, ["alerts", "check", *wrong])
    assert done.exit_code == 2 and "refuses a query" in done.stderr


@pytest.mark.parametrize("text", [None, "groups: 7", "{"])
def test_a_file_without_rules_is_told_in_one_sentence(check: Check, tmp_path: Path, text: str | None) -> None:
    path = tmp_path / "rules.yaml"
    if text is not None:
        path.write_text(text)
    done = check("--rules", str(path))
    assert done.exit_code == 2 and "holds no alert rules" in done.stderr


def test_a_url_wants_its_token(store: Store) -> None:
    done = CliRunner().invoke(main, ["alerts", "check", "--url", store.url])
    assert done.exit_code == 2 and "go together" in done.stderr
