"""The clean job: raw = clean + quarantined for every date, and just the dates asked for are replaced (SPEC D4, D6)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from spark_apps.errors import BalanceError, NothingToDoError
from spark_apps.jobs import clean, load
from spark_apps.jobs.clean import DayBalance
from spark_apps.tables import EVENTS, QUARANTINE, UNDATED, DateRange, read_table
from tests.factory import clean_event, csv_line, rows_of, write_log

FIRST, SECOND, THIRD = date(2019, 10, 1), date(2019, 10, 2), date(2019, 10, 3)


def loaded(root: Path, name: str, lines: list[str | bytes], last_newline: bool = True) -> Path:
    load.run(root, [write_log(root.parent / name, lines, last_newline=last_newline)])
    return root


def listing(root: Path) -> dict[str, tuple[int, int]]:
    """The published files, with what tells a replaced one from one left alone."""
    found = sorted(path for path in (root / "processed").rglob("*") if path.is_file())
    stats = [(path.relative_to(root / "processed").as_posix(), path.stat()) for path in found]
    return {name: (stat.st_ino, stat.st_mtime_ns) for name, stat in stats}


def of_dates(files: dict[str, tuple[int, int]], *days: object) -> dict[str, tuple[int, int]]:
    return {name: stat for name, stat in files.items() if any(f"date={day}/" in name for day in days)}


@pytest.fixture
def three_days(tmp_path: Path) -> Path:
    """Three dates, the second with bad rows, and rows without a date."""
    lines: list[str | bytes] = [
        csv_line(event_time=f"{day} 0{n}:00:00 UTC", user_id=n) for day in (FIRST, SECOND, THIRD) for n in range(4)
    ]
    bad = [csv_line(event_time=str(SECOND), price="x"), csv_line(event_time=str(SECOND), event_type="x"), "nothing"]
    return loaded(tmp_path / "root", "october.csv", lines + bad)


def test_every_row_is_clean_or_in_quarantine_under_its_date(spark: SparkSession, tmp_path: Path) -> None:
    good = [
        csv_line(),
        csv_line(),  # an exact duplicate is kept
        '"2019-10-01 00:00:01 UTC"' + csv_line()[23:],
        csv_line(event_time="2038-01-20 03:14:08 UTC"),
        csv_line(event_time="1500-02-28 00:00:00 UTC"),
        csv_line(event_time="0001-01-01 00:00:00 UTC"),
    ]
    bad: list[tuple[str | bytes, str, date | None]] = [
        (csv_line(user_id="x"), "bad_id", FIRST),
        (csv_line().encode().replace(b"samsung", b"\xff"), "bad_encoding", FIRST),
        (csv_line(event_time="2019-10-02T00:00:00 UTC"), "bad_time", SECOND),
        (csv_line(event_time="2019-02-30 00:00:00 UTC"), "bad_time", None),
        (csv_line(event_time="0000-01-01 00:00:00 UTC"), "bad_time", None),
        ("", "empty_line", None),
        ("nothing", "wrong_columns", None),
        ("\ufeff" + csv_line(event_time="2019-10-02"), "bad_time", SECOND),
        (csv_line(event_time="2019-10-03")[:50], "wrong_columns", THIRD),  # cut short, without a line end
    ]
    root = loaded(tmp_path / "root", "a.csv", [*good, *[line for line, _, _ in bad]], last_newline=False)
    balance = clean.run(spark, root, DateRange())
    found = {day: (b.raw, b.clean, dict(b.quarantined)) for day, b in balance.items()}
    assert found == {
        date(1, 1, 1): (1, 1, {}),
        date(1500, 2, 28): (1, 1, {}),
        FIRST: (5, 3, {"bad_id": 1, "bad_encoding": 1}),
        SECOND: (2, 0, {"bad_time": 2}),
        THIRD: (1, 0, {"wrong_columns": 1}),
        date(2038, 1, 20): (1, 1, {}),
        None: (4, 0, {"bad_time": 2, "empty_line": 1, "wrong_columns": 1}),
    }
    assert all(day.balances() for day in balance.values())
    times = sorted(row["event_time"] for row in rows_of(read_table(spark, root, EVENTS)))
    assert times == [
        "0001-01-01 00:00:00",
        "1500-02-28 00:00:00",
        "2019-10-01 00:00:00",
        "2019-10-01 00:00:00",
        "2019-10-01 00:00:01",
        "2038-01-20 03:14:08",
    ]
    expected = [
        (line if isinstance(line, str) else line.decode(errors="replace"), reason, day) for line, reason, day in bad
    ]
    kept = [(row["raw_line"], row["reason"], row["date"]) for row in rows_of(read_table(spark, root, QUARANTINE))]
    assert sorted(kept, key=str) == sorted(expected, key=str)
    partitions = sorted(path.name for path in (root / EVENTS.path).iterdir())
    assert partitions == ["date=0001-01-01", "date=1500-02-28", "date=2019-10-01", "date=2038-01-20"]


def test_a_byte_order_mark_before_the_first_row_of_a_date_does_not_unbalance_it(
    spark: SparkSession, tmp_path: Path
) -> None:
    # Spark drops the mark where a raw file begins with it
    root = loaded(tmp_path / "root", "a.csv", ["\ufeff" + csv_line(), csv_line()])
    assert clean.run(spark, root, DateRange()) == {FIRST: DayBalance(2, 2)}


def test_the_events_are_exactly_those_of_the_log(spark: SparkSession, three_days: Path) -> None:
    clean.run(spark, three_days, DateRange())
    found = rows_of(read_table(spark, three_days, EVENTS), "event_time")
    expected = [
        clean_event(event_time=f"{day} 0{n}:00:00", user_id=n) for day in (FIRST, SECOND, THIRD) for n in range(4)
    ]
    for row in expected:
        row.update({name: f"{row[name]:%Y-%m-%d %H:%M:%S}" for name in ("event_time", "hour_bucket")})
    assert found == expected


def test_cleaning_twice_gives_the_same_rows(spark: SparkSession, three_days: Path) -> None:
    first = clean.run(spark, three_days, DateRange())
    before = [rows_of(read_table(spark, three_days, table)) for table in (EVENTS, QUARANTINE)]
    second = clean.run(spark, three_days, DateRange())
    after = [rows_of(read_table(spark, three_days, table)) for table in (EVENTS, QUARANTINE)]
    assert second == first
    assert [sorted(rows, key=str) for rows in after] == [sorted(rows, key=str) for rows in before]
    assert [path.name for path in (three_days / "temp" / "publish").iterdir() if path.is_dir()] == []


@pytest.mark.parametrize(
    ("dates", "cleaned"),
    [
        (DateRange(SECOND, SECOND), {SECOND}),
        (DateRange(last=SECOND), {FIRST, SECOND}),
        (DateRange(first=SECOND), {SECOND, THIRD}),
        (DateRange(), {FIRST, SECOND, THIRD, None}),
    ],
)
def test_just_the_dates_asked_for_are_replaced(
    dates: DateRange, cleaned: set[date | None], spark: SparkSession, three_days: Path
) -> None:
    clean.run(spark, three_days, DateRange())
    before, rows = listing(three_days), rows_of(read_table(spark, three_days, EVENTS), "event_time")
    more = [csv_line(event_time=f"{day} 09:00:00 UTC", user_id=9) for day in (FIRST, SECOND, THIRD)]
    loaded(three_days, "more.csv", [*more, "nothing either"])
    balance = clean.run(spark, three_days, dates)
    after = listing(three_days)
    assert set(balance) == cleaned
    others = {FIRST, SECOND, THIRD, None} - cleaned
    kept = [day or UNDATED for day in others]
    assert of_dates(after, *kept) == of_dates(before, *kept)
    assert not of_dates(after, *(day or UNDATED for day in cleaned)).keys() & before.keys()
    found = rows_of(read_table(spark, three_days, EVENTS), "event_time")
    assert [row for row in found if row["user_id"] != 9] == rows
    assert {row["date"] for row in found if row["user_id"] == 9} == cleaned - {None}


def test_a_date_without_bad_rows_any_more_loses_its_quarantine(spark: SparkSession, three_days: Path) -> None:
    clean.run(spark, three_days, DateRange())
    second = three_days / QUARANTINE.path / f"date={SECOND}"
    undated = three_days / QUARANTINE.path / f"date={UNDATED}"
    assert second.is_dir() and undated.is_dir()
    for path in (three_days / "raw").rglob("*"):  # as if the file had never been loaded
        if path.is_file():
            path.unlink()
    good = [csv_line(event_time=str(SECOND)), csv_line(event_time=str(SECOND), user_id=7)]
    loaded(three_days, "mended.csv", good)
    assert clean.run(spark, three_days, DateRange(SECOND, SECOND)) == {SECOND: DayBalance(2, 2)}
    assert not second.exists()
    assert undated.is_dir()
    assert [row["date"] for row in rows_of(read_table(spark, three_days, QUARANTINE))] == [None]


def test_a_date_without_good_rows_any_more_loses_its_events(spark: SparkSession, three_days: Path) -> None:
    clean.run(spark, three_days, DateRange())
    for path in (three_days / "raw").rglob("*"):
        if path.is_file():
            path.unlink()
    loaded(three_days, "bad.csv", [csv_line(event_time=str(SECOND), price="x")])
    clean.run(spark, three_days, DateRange())
    dates = {row["date"] for row in rows_of(read_table(spark, three_days, EVENTS))}
    assert dates == {FIRST, THIRD}


def test_a_log_of_bad_rows_alone_is_cleaned(spark: SparkSession, tmp_path: Path) -> None:
    root = loaded(tmp_path / "root", "bad.csv", ["nothing", "x,y"])
    balance = clean.run(spark, root, DateRange())
    assert {day: dict(b.quarantined) for day, b in balance.items()} == {None: {"wrong_columns": 2}}
    assert read_table(spark, root, EVENTS).count() == 0
    assert len(rows_of(read_table(spark, root, QUARANTINE))) == 2


def add_a_row(raw: Path) -> None:
    raw.write_bytes(raw.read_bytes() + csv_line().encode() + b"\n")


def take_a_row_away(raw: Path) -> None:
    raw.write_bytes(raw.read_bytes().split(b"\n", 1)[1])


def move_a_row_to_another_date(raw: Path) -> None:
    raw.write_bytes(raw.read_bytes().replace(b"2019-10-01", b"2019-10-05", 1))


@pytest.mark.parametrize("change", [add_a_row, take_a_row_away, move_a_row_to_another_date, Path.unlink])
def test_raw_rows_changed_by_hand_are_noticed_and_nothing_is_replaced(
    change: Callable[[Path], None], spark: SparkSession, three_days: Path
) -> None:
    clean.run(spark, three_days, DateRange())
    before = listing(three_days)
    [raw] = (three_days / "raw" / "events" / f"date={FIRST}").iterdir()
    change(raw)
    with pytest.raises(BalanceError, match="nothing was replaced") as error:
        clean.run(spark, three_days, DateRange())
    assert listing(three_days) == before
    assert "2019-10-01" in str(error.value)
    # what the sentence says to do helps
    assert f"remove {three_days / 'raw'} and load your files again" in str(error.value)
    for path in sorted((three_days / "raw").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    load.run(three_days, [three_days.parent / "october.csv"])
    assert all(day.balances() for day in clean.run(spark, three_days, DateRange()).values())


@pytest.mark.parametrize("dates", [DateRange(date(2020, 1, 1)), DateRange(THIRD, FIRST)])
def test_dates_without_rows_are_named(dates: DateRange, spark: SparkSession, three_days: Path) -> None:
    with pytest.raises(NothingToDoError, match=r"No raw rows for .* run `shopstream load FILE` first"):
        clean.run(spark, three_days, dates)
    assert not (three_days / "processed").exists()


def test_an_empty_root_says_what_to_do_first(spark: SparkSession, tmp_path: Path) -> None:
    with pytest.raises(NothingToDoError, match="shopstream load FILE"):
        clean.run(spark, tmp_path / "root", DateRange())
