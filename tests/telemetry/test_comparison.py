"""`shopstream metrics check`: the batch log beside a real InfluxDB, point by point."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from spark_apps.cli import main
from spark_apps.streaming.records import BatchRecord, Move, RankedProduct, SegmentCount
from spark_apps.telemetry import comparison
from spark_apps.telemetry.points import lines_of, points_of
from spark_apps.telemetry.provision import BUCKET, ORG
from tests.telemetry.batch_logs import expected, records, sent_points, write_batch_log
from tests.telemetry.conftest import Store
from tests.telemetry.http_api import HttpApi
from tests.telemetry.records import NASTY, record
from tests.telemetry.test_sinks import now

Check = Callable[..., Result]
TARGET = {"org": ORG, "bucket": BUCKET}
BATCHES = 12


@pytest.fixture
def check(store: Store) -> Check:
    """Runs `shopstream metrics check` for a root with the reader's token."""

    def run(root: Path, *options: str) -> Result:
        target = ["--root", str(root), "--url", store.url, "--token-file", str(store.reader_file)]
        return CliRunner().invoke(main, ["metrics", "check", *target, *options], env={"COLUMNS": "120"})

    return run


def told(result: Result) -> tuple[int, dict[str, int]]:
    """The exit code, and the measurements that differ with the first batch that does."""
    outcome = json.loads(result.stdout)
    wrong = {name: one["first"] for name, one in outcome["comparisons"].items() if one["differing"]}
    assert outcome["equal"] == (not wrong)
    return result.exit_code, wrong


@pytest.fixture
def root(store: Store, tmp_path: Path) -> Path:
    """A batch log that was sent; it goes over an hour's end, so that hours have points too."""
    folder = tmp_path / "root"
    batches = over_an_hour()
    write_batch_log(folder, batches)
    options = ["--url", store.url, "--token-file", str(store.writer_file)]
    assert CliRunner().invoke(main, ["metrics", "push", "--root", str(folder), *options]).exit_code == 0
    return folder


def over_an_hour() -> list[BatchRecord]:
    """Batches of which the third is the first after an hour, and which have something of everything."""
    first = now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=2, seconds=15)
    return [record(number, first + timedelta(seconds=10 * number, microseconds=7)) for number in range(BATCHES)]


def test_what_was_sent_is_equal_to_the_last_value(root: Path, check: Check) -> None:
    result = check(root, "--json")
    assert told(result) == (0, {})
    outcome = json.loads(result.stdout)
    counts = {name: one["found"] for name, one in outcome["comparisons"].items() if one["found"]}
    assert counts == expected(over_an_hour())
    assert outcome["batches"] == BATCHES
    assert "product_popularity_hourly" in counts
    shown = check(root)
    assert shown.exit_code == 0
    assert "Next: shopstream check" in shown.output


def test_names_and_figures_of_any_kind_are_equal(store: Store, tmp_path: Path, check: Check) -> None:
    product = RankedProduct(product_id=2**63 - 1, category=NASTY, brand='"', points=1e-300, events=2**62)
    count = SegmentCount(users=1, seen=1, monetary_mean=0.1 + 0.2)
    move = Move(source="a, b=c", target="with space", users=3)
    one = record(0, now(), top_products=(product,), segments={"with space": count}, moves=(move,))
    write_batch_log(tmp_path, [one])
    store.sink().write(0, lines_of(points_of(one)))
    assert told(check(tmp_path, "--json")) == (0, {})


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_any_number_of_batches_at_once_gives_the_same(
    root: Path, check: Check, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(comparison, "_AT_ONCE", size)
    result = check(root, "--json")
    assert told(result) == (0, {})
    found = json.loads(result.stdout)["comparisons"].items()
    assert {name: one["found"] for name, one in found if one["found"]} == expected(over_an_hour())


def test_missing_points_are_told_and_a_push_fixes_them(store: Store, root: Path, check: Check) -> None:
    batch = over_an_hour()[4]
    gone = {"start": batch.dropped_at.isoformat(), "stop": (batch.dropped_at + timedelta(seconds=1)).isoformat()}
    delete = {**gone, "predicate": '_measurement="user_behavior"'}
    writer = HttpApi(store.url, store.writer_file.read_text().strip())
    writer.call("POST", "/api/v2/delete", params=TARGET, json=delete)
    assert told(check(root, "--json")) == (1, {"user_behavior": 4})
    shown = check(root)
    assert shown.exit_code == 1
    (row,) = [line for line in shown.output.splitlines() if " user_behavior " in line]
    assert re.findall(r"\d+", row) == ["48", "44", "4", "4"]  # expected, found, of these other, first batch
    assert len(row) <= 80
    assert "shopstream metrics push --again" in shown.output
    options = ["--again", "--url", store.url, "--token-file", str(store.writer_file)]
    assert CliRunner().invoke(main, ["metrics", "push", "--root", str(root), *options]).exit_code == 0
    assert told(check(root, "--json")) == (0, {})


def test_another_value_at_the_same_count_is_told(store: Store, root: Path, check: Check) -> None:
    batch = over_an_hour()[7]
    store.sink().write(7, lines_of(points_of(batch.model_copy(update={"late": batch.late + 1}))))
    assert told(check(root, "--json")) == (1, {"pipeline_health": 7})


def test_a_point_too_many_of_a_batch_is_told(store: Store, root: Path, check: Check) -> None:
    batch = over_an_hour()[9]
    strange = batch.model_copy(update={"quarantined": {"a reason of nobody": 5}})
    (point,) = [one for one in points_of(strange) if one._name == "pipeline_quarantine"]
    store.sink().write(9, lines_of([point]))
    assert told(check(root, "--json")) == (1, {"pipeline_quarantine": 9})


def test_points_of_another_batch_log_do_not_count(store: Store, root: Path, check: Check) -> None:
    store.sink().write(0, lines_of(points_of(records(1, age=timedelta(minutes=5))[0])))
    assert told(check(root, "--json")) == (0, {})


def test_batches_not_sent_yet_and_those_too_old_are_named(store: Store, root: Path, check: Check) -> None:
    write_batch_log(root, records(2, first=BATCHES))
    outcome = json.loads(check(root, "--json").stdout)
    assert (outcome["batches"], outcome["waiting"], outcome["equal"]) == (BATCHES, 2, True)
    assert "Not sent yet: 2 batches" in check(root).output


def test_batches_older_than_what_is_kept_are_counted_and_not_asked_for(
    store: Store, tmp_path: Path, check: Check
) -> None:
    old, young = records(3, age=timedelta(days=29, hours=1)), records(4, first=3, age=timedelta(days=28))
    write_batch_log(tmp_path, old)
    outcome = json.loads(check(tmp_path, "--json").stdout)
    assert (outcome["batches"], outcome["too_old"], outcome["equal"]) == (0, 3, True)
    write_batch_log(tmp_path, young)
    for one in young:
        store.sink().write(one.batch, lines_of(sent_points([*old, *young])[one.batch]))
    outcome = json.loads(check(tmp_path, "--json").stdout)
    assert (outcome["batches"], outcome["too_old"], outcome["equal"]) == (4, 3, True)
    assert "Not compared: 3 batches" in check(tmp_path).output


def test_a_batch_log_of_which_nothing_was_sent_misses_all(tmp_path: Path, check: Check) -> None:
    write_batch_log(tmp_path, records(3))
    code, wrong = told(check(tmp_path, "--json"))
    assert code == 1
    assert wrong.keys() == {point._name for one in sent_points(records(3)).values() for point in one}


def test_a_token_comes_by_standard_input_too(store: Store, root: Path) -> None:
    options = ["--root", str(root), "--url", store.url, "--token-file", "-", "--json"]
    assert told(CliRunner().invoke(main, ["metrics", "check", *options], input=f"{store.reader}\n")) == (0, {})


@pytest.mark.parametrize("options", [("--url", "http://127.0.0.1:1"), ("--token-file", "-")])
def test_url_and_token_go_together(options: tuple[str, str]) -> None:
    result = CliRunner().invoke(main, ["metrics", "check", *options])
    assert result.exit_code == 2
    assert "--url and --token-file go together" in result.stderr


def test_a_token_that_may_not_read_and_an_empty_root_are_one_sentence(
    store: Store, root: Path, tmp_path: Path, check: Check
) -> None:
    options = ["--root", str(root), "--url", store.url, "--token-file", str(store.writer_file)]
    result = CliRunner().invoke(main, ["metrics", "check", *options])
    assert result.exit_code == 2
    assert "may not read" in result.stderr
    assert store.writer_file.read_text().strip() not in result.stderr
    empty = check(tmp_path / "nothing")
    assert empty.exit_code == 2
    assert "There are no points yet" in empty.stderr
