"""The clean job: raw = clean + quarantined for every date, and just the dates asked for are replaced (SPEC D4, D6)."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from pyspark.sql import SparkSession

from spark_apps.engine.spark import engine_of
from spark_apps.errors import BalanceError, NothingToDoError, UnusableFileError
from spark_apps.ingestion.manifests import read_manifests
from spark_apps.jobs import clean, load
from spark_apps.jobs.clean import DayBalance
from spark_apps.tables import EVENTS, QUARANTINE, STREAM_EVENTS, UNDATED, DateRange, manifest_path
from tests.engines import local_engine
from tests.factory import clean_event, csv_line, published_rows, write_log
from tests.ingestion.cases import CASES, USABLE
from tests.ingestion.test_plain_lines import PLAIN

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


@pytest.fixture(scope="module")
def loaded_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    lines: list[str | bytes] = [
        csv_line(event_time=f"{day} 0{n}:00:00 UTC", user_id=n) for day in (FIRST, SECOND, THIRD) for n in range(4)
    ]
    bad = [csv_line(event_time=str(SECOND), price="x"), csv_line(event_time=str(SECOND), event_type="x"), "nothing"]
    return loaded(tmp_path_factory.mktemp("loaded") / "root", "october.csv", lines + bad)


@pytest.fixture(scope="module")
def cleaned_once(loaded_once: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("cleaned") / "root"
    shutil.copytree(loaded_once.parent, root.parent, dirs_exist_ok=True)
    clean.run(local_engine(), root, DateRange())
    return root


@pytest.fixture
def three_days(loaded_once: Path, tmp_path: Path) -> Path:
    """Three dates, the second with bad rows, and rows without a date; not cleaned yet."""
    shutil.copytree(loaded_once.parent, tmp_path, dirs_exist_ok=True)
    return tmp_path / "root"


@pytest.fixture
def cleaned(cleaned_once: Path, tmp_path: Path) -> Path:
    """The same, cleaned."""
    shutil.copytree(cleaned_once.parent, tmp_path, dirs_exist_ok=True)
    return tmp_path / "root"


def forget_raw_rows(root: Path) -> None:
    shutil.rmtree(root / "raw")


def test_every_row_is_clean_or_in_quarantine_under_its_date(tmp_path: Path) -> None:
    good = [
        csv_line(),
        csv_line(),  # an exact duplicate is kept
        '"2019-10-01 00:00:01 UTC"' + csv_line()[23:],
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
        (csv_line(event_time="2099-01-01"), "future_time", date(2099, 1, 1)),
        (csv_line(event_time="2099-01-01", price="x"), "future_time", date(2099, 1, 1)),
        (csv_line(event_time="2019-10-03")[:50], "wrong_columns", THIRD),  # cut short, without a line end
    ]
    root = loaded(tmp_path / "root", "a.csv", [*good, *[line for line, _, _ in bad]], last_newline=False)
    balance = clean.run(local_engine(), root, DateRange())
    found = {day: (b.raw, b.clean, dict(b.quarantined)) for day, b in balance.items()}
    assert found == {
        date(1, 1, 1): (1, 1, {}),
        date(1500, 2, 28): (1, 1, {}),
        FIRST: (5, 3, {"bad_id": 1, "bad_encoding": 1}),
        SECOND: (1, 0, {"bad_time": 1}),
        THIRD: (1, 0, {"wrong_columns": 1}),
        date(2099, 1, 1): (2, 0, {"future_time": 2}),
        None: (4, 0, {"bad_time": 2, "empty_line": 1, "wrong_columns": 1}),
    }
    assert all(day.balances() for day in balance.values())
    times = sorted(row["event_time"] for row in published_rows(root, EVENTS))
    assert times == [
        "0001-01-01 00:00:00",
        "1500-02-28 00:00:00",
        "2019-10-01 00:00:00",
        "2019-10-01 00:00:00",
        "2019-10-01 00:00:01",
    ]
    expected = [
        (line if isinstance(line, str) else line.decode(errors="replace"), reason, day) for line, reason, day in bad
    ]
    kept = [(row["raw_line"], row["reason"], row["date"]) for row in published_rows(root, QUARANTINE)]
    assert sorted(kept, key=str) == sorted(expected, key=str)
    partitions = sorted(path.name for path in (root / EVENTS.path).iterdir())
    assert partitions == ["date=0001-01-01", "date=1500-02-28", "date=2019-10-01"]


def test_a_byte_order_mark_before_the_first_row_of_a_date_does_not_unbalance_it(tmp_path: Path) -> None:
    # Spark drops the mark where a raw file begins with it
    root = loaded(tmp_path / "root", "a.csv", ["\ufeff" + csv_line(), csv_line()])
    assert clean.run(local_engine(), root, DateRange()) == {FIRST: DayBalance(2, 2)}


def test_each_file_has_a_landing_time_of_its_own(tmp_path: Path) -> None:
    """An event is as late as its own file allows, to the second, whether its line is plain or not."""
    root = tmp_path / "root"
    for user, landed_at in ((1, "2019-10-02T11:55:00+00:00"), (2, "2019-10-02T13:55:00+02:00"), (3, "2019-10-02")):
        lines = [csv_line(user_id=user, event_time=f"2019-10-02 {time} UTC") for time in ("12:00:00", "12:00:01")]
        quoted = [line.replace("samsung", '"samsung"') for line in lines]
        before = {manifest.sha256 for manifest in read_manifests(root)}
        loaded(root, f"{user}.csv", [csv_line(user_id=user), *lines, *quoted, csv_line(event_time="2019-10-03")])
        [landed] = [manifest for manifest in read_manifests(root) if manifest.sha256 not in before]
        changed = landed.model_copy(update={"landed_at": landed_at})
        (root / manifest_path(landed.sha256)).write_text(changed.model_dump_json(), encoding="utf-8")
    balance = clean.run(local_engine(), root, DateRange())
    assert {day: (b.raw, b.clean, dict(b.quarantined)) for day, b in balance.items()} == {
        FIRST: (3, 3, {}),
        SECOND: (12, 4, {"future_time": 8}),
        THIRD: (3, 0, {"future_time": 3}),
    }
    events = published_rows(root, EVENTS)
    assert sorted((row["user_id"], row["event_time"]) for row in events) == [
        (1, "2019-10-01 00:00:00"),
        (1, "2019-10-02 12:00:00"),
        (1, "2019-10-02 12:00:00"),
        (2, "2019-10-01 00:00:00"),
        (2, "2019-10-02 12:00:00"),
        (2, "2019-10-02 12:00:00"),
        (3, "2019-10-01 00:00:00"),
    ]


def test_a_manifest_without_a_time_is_damaged(three_days: Path) -> None:
    [manifest] = read_manifests(three_days)
    path = three_days / manifest_path(manifest.sha256)
    path.write_text(path.read_text("utf-8").replace(manifest.landed_at, "yesterday"), encoding="utf-8")
    with pytest.raises(UnusableFileError, match="remove it and load its file again"):
        clean.run(local_engine(), three_days, DateRange())


def test_the_events_are_exactly_those_of_the_log(cleaned: Path) -> None:
    found = published_rows(cleaned, EVENTS, "event_time")
    expected = [
        clean_event(event_time=f"{day} 0{n}:00:00", user_id=n) for day in (FIRST, SECOND, THIRD) for n in range(4)
    ]
    for row in expected:
        row.update({name: f"{row[name]:%Y-%m-%d %H:%M:%S}" for name in ("event_time", "hour_bucket")})
    assert found == expected


def test_cleaning_twice_gives_the_same_rows(cleaned: Path) -> None:
    before = [published_rows(cleaned, table) for table in (EVENTS, QUARANTINE)]
    clean.run(local_engine(), cleaned, DateRange())
    after = [published_rows(cleaned, table) for table in (EVENTS, QUARANTINE)]
    assert [sorted(rows, key=str) for rows in after] == [sorted(rows, key=str) for rows in before]
    assert [path.name for path in (cleaned / "temp" / "publish").iterdir() if path.is_dir()] == []


@pytest.mark.parametrize(
    ("dates", "replaced"),
    [
        (DateRange(SECOND, SECOND), {SECOND}),
        (DateRange(first=SECOND), {SECOND, THIRD}),
        (DateRange(), {FIRST, SECOND, THIRD, None}),
    ],
)
def test_just_the_dates_asked_for_are_replaced(dates: DateRange, replaced: set[date | None], cleaned: Path) -> None:
    before, rows = listing(cleaned), published_rows(cleaned, EVENTS, "event_time")
    more = [csv_line(event_time=f"{day} 09:00:00 UTC", user_id=9) for day in (FIRST, SECOND, THIRD)]
    loaded(cleaned, "more.csv", [*more, "nothing either"])
    assert set(clean.run(local_engine(), cleaned, dates)) == replaced
    after = listing(cleaned)
    kept = [day or UNDATED for day in {FIRST, SECOND, THIRD, None} - replaced]
    assert of_dates(after, *kept) == of_dates(before, *kept)
    assert not of_dates(after, *(day or UNDATED for day in replaced)).keys() & before.keys()
    found = published_rows(cleaned, EVENTS, "event_time")
    assert [row for row in found if row["user_id"] != 9] == rows
    assert {row["date"] for row in found if row["user_id"] == 9} == replaced - {None}


def test_a_date_without_bad_rows_any_more_loses_its_quarantine(cleaned: Path) -> None:
    second = cleaned / QUARANTINE.path / f"date={SECOND}"
    undated = cleaned / QUARANTINE.path / f"date={UNDATED}"
    assert second.is_dir() and undated.is_dir()
    forget_raw_rows(cleaned)
    good = [csv_line(event_time=str(SECOND)), csv_line(event_time=str(SECOND), user_id=7)]
    loaded(cleaned, "fixed.csv", good)
    assert clean.run(local_engine(), cleaned, DateRange(SECOND, SECOND)) == {SECOND: DayBalance(2, 2)}
    assert not second.exists()
    assert undated.is_dir()
    assert [row["date"] for row in published_rows(cleaned, QUARANTINE)] == [None]


def test_a_date_without_good_rows_any_more_loses_its_events(cleaned: Path) -> None:
    forget_raw_rows(cleaned)
    loaded(cleaned, "bad.csv", [csv_line(event_time=str(SECOND), price="x")])
    clean.run(local_engine(), cleaned, DateRange(SECOND, SECOND))
    dates = {row["date"] for row in published_rows(cleaned, EVENTS)}
    assert dates == {FIRST, THIRD}


def folders(root: Path) -> set[str]:
    """Dates of events and quarantine."""
    tables = (EVENTS, QUARANTINE)
    return {path.name.removeprefix("date=") for table in tables for path in (root / table.path).iterdir()}


def test_dates_that_no_landed_file_has_any_more_go(cleaned: Path) -> None:
    streamed = cleaned / STREAM_EVENTS.path / f"date={THIRD}" / "part.parquet"
    streamed.parent.mkdir(parents=True)
    streamed.touch()
    forget_raw_rows(cleaned)
    loaded(cleaned, "right.csv", [csv_line(event_time=str(SECOND))])
    assert clean.run(local_engine(), cleaned, DateRange(None, SECOND)) == {
        SECOND: DayBalance(1, 1),
        FIRST: DayBalance(),
    }
    assert folders(cleaned) == {str(SECOND), str(THIRD), UNDATED}
    removed = {THIRD: DayBalance(), None: DayBalance()}
    assert clean.run(local_engine(), cleaned, DateRange()) == {SECOND: DayBalance(1, 1), **removed}
    assert folders(cleaned) == {str(SECOND)}
    assert streamed.exists()


@pytest.mark.parametrize(("dates", "kept"), [(DateRange(), set()), (DateRange(FIRST, SECOND), {str(THIRD), UNDATED})])
def test_where_nothing_is_landed_any_more_nothing_stays(dates: DateRange, kept: set[str], cleaned: Path) -> None:
    forget_raw_rows(cleaned)
    assert FIRST in clean.run(local_engine(), cleaned, dates)
    assert folders(cleaned) == kept
    with pytest.raises(NothingToDoError, match="shopstream load FILE"):
        clean.run(local_engine(), cleaned, dates)


def test_a_log_of_bad_rows_alone_is_cleaned(tmp_path: Path) -> None:
    root = loaded(tmp_path / "root", "bad.csv", ["nothing", "x,y"])
    balance = clean.run(local_engine(), root, DateRange())
    assert {day: dict(b.quarantined) for day, b in balance.items()} == {None: {"wrong_columns": 2}}
    assert published_rows(root, EVENTS) == []
    assert len(published_rows(root, QUARANTINE)) == 2


def add_a_row(raw: Path) -> None:
    raw.write_bytes(raw.read_bytes() + csv_line().encode() + b"\n")


def take_a_row_away(raw: Path) -> None:
    raw.write_bytes(raw.read_bytes().split(b"\n", 1)[1])


def move_a_row_to_another_date(raw: Path) -> None:
    raw.write_bytes(raw.read_bytes().replace(b"2019-10-01", b"2019-10-05", 1))


@pytest.mark.parametrize("change", [add_a_row, take_a_row_away, move_a_row_to_another_date, Path.unlink])
def test_raw_rows_changed_by_hand_are_noticed_and_nothing_is_replaced(
    change: Callable[[Path], None], cleaned: Path
) -> None:
    before = listing(cleaned)
    [raw] = (cleaned / "raw" / "events" / f"date={FIRST}").iterdir()
    change(raw)
    with pytest.raises(BalanceError, match="nothing was replaced") as error:
        clean.run(local_engine(), cleaned, DateRange())
    assert listing(cleaned) == before
    assert "2019-10-01" in str(error.value)


def test_what_the_balance_s_error_says_to_do_helps(cleaned: Path) -> None:
    [raw] = (cleaned / "raw" / "events" / f"date={FIRST}").iterdir()
    add_a_row(raw)
    with pytest.raises(BalanceError, match=f"remove {cleaned / 'raw'} and load your files again"):
        clean.run(local_engine(), cleaned, DateRange())
    forget_raw_rows(cleaned)
    load.run(cleaned, [cleaned.parent / "october.csv"])
    assert all(day.balances() for day in clean.run(local_engine(), cleaned, DateRange()).values())


@pytest.mark.parametrize("dates", [DateRange(date(2020, 1, 1)), DateRange(THIRD, FIRST)])
def test_dates_without_rows_are_named(dates: DateRange, three_days: Path) -> None:
    with pytest.raises(NothingToDoError, match=r"No raw rows for .* run `shopstream load FILE` first"):
        clean.run(local_engine(), three_days, dates)
    assert not (three_days / "processed").exists()


def test_an_empty_root_says_what_to_do_first(tmp_path: Path) -> None:
    with pytest.raises(NothingToDoError, match="shopstream load FILE"):
        clean.run(local_engine(), tmp_path / "root", DateRange())


def test_both_engines_make_the_same_tables_of_any_lines(spark: SparkSession, tmp_path: Path) -> None:
    lines: list[str | bytes] = [*(line for line, _ in CASES), *(line for line, _ in USABLE), *PLAIN]
    short = [line for line in lines if len(line) < 1_000]
    found = []
    for name, engine in (("here", local_engine()), ("spark", engine_of(spark))):
        root = loaded(tmp_path / name, "a.csv", short)
        balance = clean.run(engine, root, DateRange())
        tables = [sorted(published_rows(root, table), key=str) for table in (EVENTS, QUARANTINE)]
        found.append((balance, *tables))
    assert found[0] == found[1]
    assert sum(day.raw for day in found[0][0].values()) == len(short)
