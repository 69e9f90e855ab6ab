"""Every row, whatever is asked for: exactly so many, in time order, each of them valid."""

from __future__ import annotations

import csv
import re
from collections import defaultdict
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_apps.generator import GeneratorSpec, event_batches, write_events

COLUMNS = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session"
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
MONTHS = st.integers(0, 119).map(lambda n: f"{2019 + (n + 9) // 12}-{(n + 9) % 12 + 1:02}")


def rows_of(spec: GeneratorSpec, folder: Path) -> list[dict[str, str]]:
    """The file's rows as Python's own CSV reader sees them; the reader must find nothing that is quoted."""
    assert write_events(spec, folder / "events.csv") == spec.events
    assert '"' not in (folder / "events.csv").read_text()
    with (folder / "events.csv").open(newline="") as file:
        reader = csv.DictReader(file, strict=True)
        rows = list(reader)
    assert ",".join(reader.fieldnames or []) == COLUMNS
    return rows


def check(rows: list[dict[str, str]], spec: GeneratorSpec) -> None:
    assert len(rows) == spec.events
    times = [datetime.strptime(row["event_time"], "%Y-%m-%d %H:%M:%S UTC") for row in rows]
    assert times == sorted(times)
    assert {time.strftime("%Y-%m") for time in times} == {spec.month}
    user_of: dict[str, set[str]] = defaultdict(set)
    product: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    for row in rows:
        assert None not in row
        assert row["event_type"] in ("view", "cart", "purchase", "remove_from_cart")
        assert 1_000_000 <= int(row["product_id"]) < 2**31
        assert 512_000_000 <= int(row["user_id"]) < 2**31
        assert re.fullmatch(r"\d{19}", row["category_id"])
        assert re.fullmatch(r"[a-z_.]*", row["category_code"])
        assert re.fullmatch(r"\d{1,4}\.\d\d", row["price"])
        assert row["event_type"] == "view" or float(row["price"]) > 0
        assert UUID4.fullmatch(row["user_session"])
        user_of[row["user_session"]].add(row["user_id"])
        product[row["product_id"]].add((row["category_id"], row["category_code"], row["brand"]))
    assert all(len(users) == 1 for users in user_of.values())
    assert all(len(facts) == 1 for facts in product.values())


@pytest.mark.parametrize("events", [1, 2, 10, 999])
@pytest.mark.parametrize("month", ["2019-10", "2019-11", "2020-02"])
def test_small_numbers_of_events(tmp_path: Path, events: int, month: str) -> None:
    spec = GeneratorSpec(events, month, seed=1)
    check(rows_of(spec, tmp_path), spec)


@settings(max_examples=10, deadline=None)
@given(
    events=st.integers(1, 3000),
    month=MONTHS,
    seed=st.integers(0, 3),
    users=st.none() | st.integers(1, 5000),
    removals=st.sampled_from([0.0, 0.3, 0.9]),
)
def test_any_request_gives_exactly_so_many_valid_rows(
    tmp_path_factory: pytest.TempPathFactory,
    events: int,
    month: str,
    seed: int,
    users: int | None,
    removals: float,
) -> None:
    spec = GeneratorSpec(events, month, seed, users, removals)
    rows = rows_of(spec, tmp_path_factory.mktemp("events"))
    check(rows, spec)
    assert removals > 0 or all(row["event_type"] != "remove_from_cart" for row in rows)


def test_another_seed_has_other_visits_at_other_times() -> None:
    one, two = (next(event_batches(GeneratorSpec(1000, "2019-10", seed))) for seed in (1, 2))
    for column in ("event_time", "user_session", "product_id"):
        assert len(set(one[column].to_pylist()) & set(two[column].to_pylist())) < 50, column


@pytest.mark.parametrize("events", [199_999, 200_001, 600_007])
def test_block_edges_lose_and_repeat_nothing(events: int) -> None:
    """Sessions go on over block edges: all of their events come, once, in order."""
    rows = 0
    last = ""
    for batch in event_batches(GeneratorSpec(events, "2019-10", seed=3)):
        times = batch["event_time"].to_pylist()
        assert times == sorted(times)
        assert not times or times[0] >= last
        rows, last = rows + batch.num_rows, times[-1] if times else last
    assert rows == events
    assert last <= "2019-10-31 23:59:59 UTC"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"events": 0}, "0 events"),
        ({"month": "2019-13"}, "not a month"),
        ({"month": "october"}, "not a month"),
        ({"month": "2019-09"}, "2019-10 to 2029-09"),
        ({"month": "2029-10"}, "2019-10 to 2029-09"),
        ({"seed": -1}, "seed"),
        ({"users": 0}, "0 users"),
        ({"removals": 1.0}, "removals"),
    ],
)
def test_requests_that_cannot_be_met_are_refused(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GeneratorSpec(**({"events": 10, "month": "2019-10", "seed": 1} | wrong))  # type: ignore[arg-type]


def test_more_users_than_ids_are_refused() -> None:
    with pytest.raises(ValueError, match="32-bit"):
        next(event_batches(GeneratorSpec(10_000_000_000, "2019-10", seed=1)))


def test_a_session_starts_no_later_than_its_month_ends(tmp_path: Path) -> None:
    """The last minutes of the month are used: squeezing keeps events inside, it does not drop them."""
    spec = GeneratorSpec(100_000, "2019-10", seed=2)
    write_events(spec, tmp_path / "a.csv")
    last = (tmp_path / "a.csv").read_text().rstrip().rsplit("\n", 1)[1][:19]
    end = datetime(2019, 11, 1, tzinfo=timezone.utc)
    moment = datetime.strptime(last, "%Y-%m-%d %H:%M:%S").replace(tzinfo=timezone.utc)
    assert 0 < (end - moment).total_seconds() < 600
