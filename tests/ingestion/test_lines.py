"""Lines to events: which are usable, what they become, and why the others are not (SPEC D3-D5)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timezone
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from spark_apps.engine.database import Database
from spark_apps.engine.local import LocalEngine
from spark_apps.ingestion import raw_lines
from spark_apps.ingestion.landing import split_by_date
from spark_apps.ingestion.lines import FUTURE_TIME, REASONS, ReadLines, _read_others, lines_of, read_lines
from spark_apps.ingestion.plain_lines import split_plain
from tests.factory import clean_event, csv_line
from tests.ingestion.any_lines import expected_reason, well_formed
from tests.ingestion.cases import CASES, SEVERAL, UNUSABLE, USABLE
from tests.ingestion.test_plain_lines import PLAIN, any_lines

DERIVED = ("hour", "minute", "second", "day", "month", "dayofweek")
DAYS = ("2019-10-01", "2019-11-03")
# What CSV parsers and number parsers see differently, and what it is here.
DECIDED: list[tuple[str, str | None]] = [
    ("\ufeff" + csv_line(), None),
    ("\ufeff", "wrong_columns"),
    ('""' + csv_line(), "wrong_columns"),  # text after a closing quote
    (csv_line().replace("samsung", 'sam"sung'), None),  # a quote inside an unquoted field is a letter
    *[
        (csv_line(price=price), "bad_price")
        for price in ("1d", "1f", "0x1p3", "٣", "1_0", " 1", "1e15", "-1e15", "1e308")
    ],
    *[(csv_line(price=price), None) for price in ("999999999999999.9", "+1", "5.", ".5", "1E2", "-1e14")],
    *[(csv_line(user_id=number), "bad_id") for number in ("٣", "1_0", "1e5", "+", "-")],
    *[(csv_line(user_id=number), None) for number in ("+7", "-7", "00000000000000000007")],
    (csv_line(event_time="2019-10-01 00:00:0٣ UTC"), "bad_time"),
    (csv_line(event_time="1900-02-29 00:00:00 UTC"), "bad_time"),
    (csv_line(event_time="2000-02-29 00:00:00 UTC"), None),
]


def read(database: Database, lines: Sequence[str | bytes], latest: datetime | None = None) -> ReadLines:
    block = b"\n".join(line if isinstance(line, bytes) else line.encode() for line in lines) + b"\n"
    return read_lines(lines_of(block), latest, lambda: database)


@pytest.mark.parametrize("number", range(len(CASES + SEVERAL)), ids=lambda n: f"{n} {(CASES + SEVERAL)[n][1]}")
def test_an_unusable_line_gets_its_reason(number: int, database: Database) -> None:
    line, reason = (CASES + SEVERAL)[number]
    found = read(database, [line])
    assert (found.rejected["reason"].to_pylist(), len(found.events)) == ([reason], 0)


def test_every_reason_is_tested() -> None:
    assert {*UNUSABLE, FUTURE_TIME} == set(REASONS)


@pytest.mark.parametrize(("line", "reason"), DECIDED)
def test_what_parsers_see_differently_is_decided(line: str, reason: str | None, database: Database) -> None:
    assert read(database, [line]).rejected["reason"].to_pylist() == ([] if reason is None else [reason])


@pytest.mark.parametrize("number", range(len(USABLE)))
def test_a_usable_line_becomes_its_event(number: int, database: Database) -> None:
    line, changed = USABLE[number]
    found = read(database, [line])
    assert found.rejected.to_pylist() == []
    (event,) = found.events.to_pylist()
    assert event == clean_event(**changed)


@pytest.mark.parametrize("line", [*PLAIN, *[line for line, _ in USABLE]], ids=lambda line: line[:40])
def test_a_plain_line_is_the_same_event_to_sql(line: str, database: Database) -> None:
    expected, plain = split_plain(lines_of(line.encode()))
    if plain.to_pylist() == [True]:
        found, rejected = _read_others(lines_of(line.encode()), None, database)
        assert (found.to_pylist(), len(rejected)) == (expected.to_pylist(), 0)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({}, None),
        ({"event_time": "2019-10-01 12:00:01 UTC"}, "future_time"),
        ({"event_time": "9999-12-31 23:59:59 UTC"}, "future_time"),
        ({"event_time": "2099-01-01 00:00:00 UTC", "price": "x"}, "future_time"),
        ({"event_time": "2099-02-30 00:00:00 UTC"}, "bad_time"),
        ({"price": "x"}, "bad_price"),
        ({"brand": 'a "b"'}, None),
    ],
)
def test_no_event_is_later_than_its_file_allows(
    changed: dict[str, str], reason: str | None, database: Database
) -> None:
    line = csv_line(**{"event_time": "2019-10-01 12:00:00 UTC", **changed})
    found = read(database, [line], datetime(2019, 10, 1, 12, tzinfo=timezone.utc))
    assert found.rejected["reason"].to_pylist() == ([] if reason is None else [reason])
    assert len(found.events) == (1 if reason is None else 0)


def test_a_rejected_line_is_kept_as_it_stood_but_for_bytes_that_are_no_text(database: Database) -> None:
    lines: list[str | bytes] = ["not a line", 'a,"b', "käse,雪", "", b"2019-10-01 a\xffb", "a\tb\0c\rd"]
    kept = read(database, lines).rejected["raw_line"].to_pylist()
    assert kept == ["not a line", 'a,"b', "käse,雪", "", "2019-10-01 a\ufffdb", "a\tb\0c\rd"]


def test_the_first_of_october_2019_is_a_tuesday(database: Database) -> None:
    for brand in ("plain", 'quo"ted'):
        (event,) = read(database, [csv_line(event_time="2019-10-01 13:45:59 UTC", brand=brand)]).events.to_pylist()
        assert [event[name] for name in DERIVED] == [13, 45, 59, 1, 10, 3]
        assert event["hour_bucket"] == datetime(2019, 10, 1, 13, tzinfo=timezone.utc)


def test_times_are_utc_whatever_the_zone_of_the_machine(database: Database, in_new_york: None) -> None:
    lines = [csv_line(event_time=f"{day} 01:30:00 UTC", brand=brand) for day in DAYS for brand in ("plain", '"')]
    found = read(database, lines).events.select(["event_time", "date", "hour"])
    assert [time.cast(pa.int64()).as_py() // 1_000_000 for time in found["event_time"]] == [1569893400, 1572744600] * 2
    assert set(found["hour"].to_pylist()) == {1}


@hypothesis_settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batch=st.lists(any_lines, min_size=1, max_size=100))
def test_a_line_is_an_event_or_has_the_one_reason_that_pythons_reader_finds(
    database: Database, batch: list[bytes]
) -> None:
    batch = [line.replace(b"\n", b" ") for line in batch]
    for line in batch:
        found = read(database, [line])
        assert len(found.events) + len(found.rejected) == 1
        try:
            text = line.decode()
        except UnicodeDecodeError:
            assert found.rejected["reason"].to_pylist() == ["bad_encoding"]
            continue
        values = well_formed(text)
        if values is not None:
            reason = expected_reason(text, values)
            assert found.rejected["reason"].to_pylist() == ([] if reason is None else [reason]), text
        if len(found.events):
            ((day, _, _),) = split_by_date(line + b"\n")
            assert found.events["date"].to_pylist() == [day]
    together = read(database, batch)
    assert len(together.events) + len(together.rejected) == len(batch)


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
@pytest.mark.parametrize("size", [1, 7, 100, 1_000, 1 << 20])
def test_pieces_of_a_file_hold_each_of_its_lines_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, ending: bytes
) -> None:
    monkeypatch.setattr(raw_lines, "PIECE_BYTES", size)
    lines = [csv_line(user_id=number, brand="x" * (number % 60)) for number in range(40)] + ["", "no event"]
    file = tmp_path / "date=2019-10-01" / "a.csv"
    file.parent.mkdir()
    for last in (b"", ending):
        file.write_bytes(ending.join(map(str.encode, lines)) + last)
        made = tmp_path / f"made {len(last)}"
        pieces = raw_lines.pieces_of(file, file.stat().st_size, date(2019, 10, 1), None)
        with LocalEngine(2, 256 << 20, tmp_path / "spill") as engine:
            done = engine.map(raw_lines.clean_piece, pieces, {name: made / name for name in ("events", "quarantine")})
        files = sorted((made / "events" / "date=2019-10-01").glob("*.parquet"))
        users = pa.concat_tables(pq.read_table(str(one), partitioning=None) for one in files)["user_id"].to_pylist()
        assert sorted(users) == list(range(40))
        assert done.rows == {"events": 40, "quarantine": 2}
        read = done.results["read"].group_by("reason").aggregate([("rows", "sum")]).to_pylist()
        assert {row["reason"]: row["rows_sum"] for row in read} == {None: 40, "empty_line": 1, "wrong_columns": 1}


@pytest.mark.parametrize(
    ("line", "values"),
    [('a,"b,c"', ["a", "b,c"]), ('"a""b"', ['a"b']), ("", []), ('a"b', None), ('"a"b', None), ("a\rb", None)],
)
def test_the_oracle_itself_knows_plain_csv(line: str, values: list[str] | None) -> None:
    if line:
        assert well_formed(line) == values
