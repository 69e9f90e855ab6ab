"""The replay job: what it drops, where it goes on, when it waits and what it refuses (SPEC T1)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from spark_apps.errors import BusyRootError, NothingToDoError, UnusableFileError, UserError
from spark_apps.jobs import clean, load, simulate, unload
from spark_apps.jobs.simulate.rate_limit import Backlog
from spark_apps.registry.alias import Promotion, stage_alias
from spark_apps.registry.versions import HYBRID, NAMES
from spark_apps.storage import StoragePath
from spark_apps.storage.catalog import published_dates
from spark_apps.storage.transaction import Transaction
from spark_apps.streaming.drop_files import Drop, read_drop
from spark_apps.streaming.state import StreamState
from spark_apps.tables import (
    BATCH_LOG,
    EVENTS,
    INCOMING,
    REPLAY,
    REPLAY_STATE,
    STREAM_STATE_FILE,
    DateRange,
    alias_path,
)
from tests.engines import local_engine
from tests.factory import csv_line, write_log
from tests.streaming.replays import (
    AT_ONCE,
    NOVEMBER,
    apply_next,
    dropped,
    dropped_files,
    never,
    raw,
    write_record,
)

FIRST = [
    csv_line(event_time="2019-11-01 10:00:00 UTC", user_id=1),
    csv_line(event_time="2019-11-01 10:30:00 UTC", user_id=2),
    csv_line(event_time="2019-11-01 11:30:00 UTC", user_id=3),
    csv_line(event_time="2019-11-02 09:00:00 UTC", user_id=4, brand='"a",b'),
    "2019-11-02 is the head of a bad row",
    csv_line(event_time="2019-11-30 23:59:59 UTC", user_id=5),
]
SECOND = [
    csv_line(event_time="2019-10-31 23:59:59 UTC", user_id=6),
    "no date at all",
    csv_line(event_time="2019-12-01 00:00:00 UTC", user_id=7),
    csv_line(event_time="2019-11-01 08:00:00 UTC", user_id=8),
]


def land(root: StoragePath, folder: Path) -> None:
    """Two logs, of which the second ends without a line feed, as a raw row does then."""
    logs = [write_log(folder / "a.csv", FIRST, newline="\r\n"), write_log(folder / "b.csv", SECOND, last_newline=False)]
    load.run(root, logs)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    land(tmp_path / "root", tmp_path)
    return tmp_path / "root"


def sizes(root: StoragePath) -> list[int]:
    return [path.read_bytes().count(b"\n") - 1 for path in dropped_files(root)]


def leftovers(root: StoragePath) -> list[str]:
    folders = [root / REPLAY, root / "temp" / "publish"]
    return [path.name for folder in folders for path in folder.iterdir() if not path.name.endswith(".lock")]


def test_every_row_of_the_month_is_dropped_once_in_order(root: Path) -> None:
    before = datetime.now(timezone.utc)
    done = simulate.run(root, replace(AT_ONCE, events=3), never)
    assert dropped(root) == raw(root)
    assert raw(root).count(b"\n") == 7
    assert sizes(root) == [3, 3, 1]
    assert (done.files, done.events, done.position, done.total, done.complete) == (3, 7, 7, 7, True)
    assert done.bytes == sum(path.stat().st_size for path in dropped_files(root))
    assert done.last_event == datetime(2019, 11, 30, 23, 59, 59, tzinfo=timezone.utc)
    times = [drop.dropped_at for path in dropped_files(root) if (drop := read_drop(path.name))]
    assert [before, *times] == sorted([before, *times])
    assert leftovers(root) == ["replay.json"]
    again = simulate.run(root, AT_ONCE, never)
    assert (again.files, again.complete) == (0, True)
    assert sizes(root) == [3, 3, 1]


def test_files_of_a_span(root: Path) -> None:
    """Of the two raw files of 1 November the one whose name comes first is dropped first."""
    simulate.run(root, replace(AT_ONCE, span=timedelta(hours=1)), never)
    assert dropped(root) == raw(root)
    assert sorted(sizes(root)) == [1, 1, 1, 2, 2]


def test_it_goes_on_where_it_stopped_also_with_files_of_another_size(root: Path) -> None:
    for files, events in ((1, 2), (2, 1), (None, 2)):
        simulate.run(root, replace(AT_ONCE, events=events, files=files), never)
    assert sizes(root) == [2, 1, 1, 2, 1]
    assert dropped(root) == raw(root)


def test_asked_to_end_it_drops_nothing_more(root: Path) -> None:
    answers = iter([False, False, False, True])
    done = simulate.run(root, replace(AT_ONCE, events=1), lambda seconds: next(answers))
    assert (done.files, sizes(root), done.complete) == (1, [1], False)
    assert leftovers(root) == ["replay.json"]
    simulate.run(root, AT_ONCE, never)
    assert dropped(root) == raw(root)


def test_one_file_each_interval(root: Path) -> None:
    waits: list[float] = []

    def wait(seconds: float) -> bool:
        waits.append(seconds)
        return False

    simulate.run(root, replace(AT_ONCE, events=3, interval=timedelta(seconds=100)), wait)
    between = [seconds for seconds in waits if seconds > 50]
    assert len(between) == 2
    # the second is due 200 s after the beginning, although nobody waited
    assert between == pytest.approx([100, 200], abs=5)


def stream(root: StoragePath, archive: bool, most: list[int]) -> Callable[[float], bool]:
    """A wait in which the stream applies a file, and which notes how many it was behind."""

    def wait(seconds: float) -> bool:
        if seconds > 0:
            applied = len(list((root / BATCH_LOG).glob("*.json")))
            most.append(len(dropped_files(root)) - applied)
            apply_next(root, archive)
        return False

    return wait


@pytest.mark.parametrize("archive", [True, False])
def test_it_holds_back_while_the_stream_is_behind(
    root: Path, archive: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    most: list[int] = []
    done = simulate.run(root, replace(AT_ONCE, events=1, ahead=2), stream(root, archive, most))
    assert most == [3] * 4
    assert dropped(root) == raw(root)
    assert done.held_back > 0
    assert "3 dropped files wait for `shopstream stream`, more than 2 (--ahead)" in capsys.readouterr().err


def test_holding_back_it_can_be_asked_to_end(root: Path) -> None:
    done = simulate.run(root, replace(AT_ONCE, events=1, ahead=0), lambda seconds: seconds > 0)
    assert (done.files, done.position) == (1, 1)
    assert leftovers(root) == ["replay.json"]


def test_of_a_long_batch_log_only_the_newest_records_are_read(tmp_path: Path) -> None:
    names = [Drop(number, datetime.now(timezone.utc)).name for number in range(1, 7)]
    (tmp_path / INCOMING).mkdir(parents=True)
    for name in [*names, "somebody-elses.csv"]:
        (tmp_path / INCOMING / name).write_text("")
    assert Backlog(tmp_path).count(enough=2) == 6
    for batch, name in enumerate(names[:4], start=7):
        write_record(tmp_path, batch, name)
    (tmp_path / BATCH_LOG / "batch-00000000.json").write_text("not a record")
    backlog = Backlog(tmp_path)
    assert backlog.count(enough=2) == 2
    with pytest.raises(UnusableFileError, match=r"batch-00000000\.json is no record of a batch"):
        backlog.count(enough=0)


def test_without_raw_rows_it_says_how_to_get_some(tmp_path: Path) -> None:
    with pytest.raises(
        NothingToDoError, match=r"no raw rows of 2019-11 .*shopstream load FILE.*generate --month 2019-11"
    ):
        simulate.run(tmp_path, AT_ONCE, never)
    assert list(tmp_path.iterdir()) == []


def test_two_replays_do_not_run_at_once(root: Path) -> None:
    with Transaction(root, [REPLAY]), pytest.raises(BusyRootError, match=f"is writing {REPLAY}: wait until it ends"):
        simulate.run(root, AT_ONCE, never)


def one_file_of_three(root: Path) -> None:
    simulate.run(root, replace(AT_ONCE, events=3, files=1), never)


def test_another_month_is_refused_and_begins_with_again(root: Path) -> None:
    one_file_of_three(root)
    december = replace(AT_ONCE, month=date(2019, 12, 24))
    said = r"The replay of 2019-11 stands at 3 of 7 events: go on with --month 2019-11, or start 2019-12 with --again\."
    with pytest.raises(UserError, match=said):
        simulate.run(root, december, never)
    done = simulate.run(root, replace(december, again=True), never)
    assert (done.month, done.events, done.total) == ("2019-12", 1, 1)
    assert [drop.sequence for path in dropped_files(root) if (drop := read_drop(path.name))] == [1, 2]


def test_new_raw_rows_are_refused_and_begin_with_again(root: Path, tmp_path: Path) -> None:
    one_file_of_three(root)
    load.run(root, [write_log(tmp_path / "c.csv", [csv_line(event_time="2019-11-15 00:00:00 UTC")])])
    with pytest.raises(UserError, match=r"date=2019-11-15/.*\.csv is new since the replay .* began: .* with --again\."):
        simulate.run(root, AT_ONCE, never)
    simulate.run(root, replace(AT_ONCE, again=True), never)
    assert sizes(root) == [3, 8]
    assert dropped(root).endswith(raw(root))


def test_rows_of_another_month_change_nothing(root: Path, tmp_path: Path) -> None:
    one_file_of_three(root)
    load.run(root, [write_log(tmp_path / "c.csv", [csv_line(event_time="2019-12-15 00:00:00 UTC")])])
    simulate.run(root, AT_ONCE, never)
    assert dropped(root) == raw(root)


def test_a_missing_raw_file_is_named_and_what_it_says_helps(root: Path) -> None:
    next((root / "raw" / "events" / "date=2019-11-30").iterdir()).unlink()
    with pytest.raises(UnusableFileError, match=r"date=2019-11-30/.*\.csv is missing: take its file out") as raised:
        simulate.run(root, AT_ONCE, never)
    [given] = re.findall(r"`shopstream unload (\w+)`", str(raised.value))
    unload.run(root, [given])
    load.run(root, [root.parent / "a.csv"])
    assert simulate.run(root, AT_ONCE, never).complete


def test_a_damaged_position_is_refused_and_replaced_with_again(root: Path) -> None:
    one_file_of_three(root)
    (root / REPLAY_STATE).write_text("{")
    with pytest.raises(UnusableFileError, match=r"replay\.json is damaged: start from .* with --again\."):
        simulate.run(root, AT_ONCE, never)
    simulate.run(root, replace(AT_ONCE, again=True), never)
    assert sizes(root) == [3, 7]


@pytest.mark.parametrize("applied", [False, True])
def test_a_lost_position_is_refused_while_something_is_known_to_be_dropped(root: Path, applied: bool) -> None:
    simulate.run(root, replace(AT_ONCE, events=3, files=2), never)
    if applied:
        for _ in range(2):
            apply_next(root)
    (root / REPLAY_STATE).unlink()
    with pytest.raises(UserError, match=r"^2 files were dropped under .* is gone: start .* with --again\."):
        simulate.run(root, AT_ONCE, never)
    simulate.run(root, replace(AT_ONCE, again=True), never)
    assert sizes(root) == [3, 3, 7]


def test_the_month_is_any_of_its_days(root: Path) -> None:
    simulate.run(root, replace(AT_ONCE, month=date(2019, 11, 30), files=1, events=1), never)
    simulate.run(root, replace(AT_ONCE, month=NOVEMBER), never)
    assert dropped(root) == raw(root)


# --- what the stream has from clean already


def told_at_the_start(root: StoragePath, capsys: pytest.CaptureFixture[str], **plan: Any) -> str:
    simulate.run(root, replace(AT_ONCE, **plan), never)
    told = " ".join(capsys.readouterr().err.split())
    return told[told.index("! ") :].partition(" Replaying")[0] if "! " in told else ""


def began_with(root: StoragePath, cleaned: dict[str, Any]) -> None:
    """Writes the state of a stream that began when clean had these dates."""
    empty: dict[str, Any] = dict.fromkeys(("buckets", "recent", "centres", "weights", "first_popular"), ())
    empty |= {"models": {}, "segments": {}, "latest": None, "last_date": "2019-10-31"}
    state = StreamState(**empty, products_from=0, next_batch=0, cleaned=cleaned)
    (root / STREAM_STATE_FILE).parent.mkdir(parents=True)
    (root / STREAM_STATE_FILE).write_bytes(state.model_dump_json().encode())


def test_a_month_that_is_not_cleaned_goes_without_a_word(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clean.run(local_engine(), root, DateRange(last=date(2019, 10, 31)))
    assert told_at_the_start(root, capsys) == ""


def test_of_a_cleaned_month_it_says_at_each_start_how_much_is_known(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean.run(local_engine(), root, DateRange(last=date(2019, 11, 2)))
    known = "dates to replay are in clean's tables already, so the stream will store their events and learn nothing new"
    assert told_at_the_start(root, capsys, events=1, files=1).startswith(f"! 2 of the 3 {known} of them;")
    assert told_at_the_start(root, capsys, events=4, files=1).startswith(f"! 2 of the 3 {known} of them;")
    assert told_at_the_start(root, capsys, events=1, files=1).startswith(f"! 1 of the 2 {known} of them;")
    assert told_at_the_start(root, capsys) == ""  # what is left is not cleaned
    assert told_at_the_start(root, capsys) == ""  # nothing is left


def test_what_it_advises_helps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where one file holds the month and what came before."""
    root, log = tmp_path / "root", write_log(tmp_path / "both.csv", [*FIRST, *SECOND])
    load.run(root, [log])
    clean.run(local_engine(), root, DateRange())
    assert "`shopstream clean --to 2019-10-31`, `shopstream train`." in told_at_the_start(root, capsys, files=0)
    unload.run(root, [str(log)])
    clean.run(local_engine(), root, DateRange())
    load.run(root, [log])
    clean.run(local_engine(), root, DateRange(last=date(2019, 10, 31)))
    assert published_dates(root, EVENTS) == [date(2019, 10, 31)]
    assert told_at_the_start(root, capsys, again=True) == ""


@pytest.mark.parametrize(
    ("began", "known"),
    [({}, 0), ({"2019-11-01": ["0123456789ab"]}, 0), ({"2019-11-01": None, "2019-10-31": None}, 1)],
    ids=["before it was cleaned", "of another file", "of an earlier version"],
)
def test_a_stream_under_way_knows_what_clean_had_when_it_began(
    began: dict[str, Any], known: int, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean.run(local_engine(), root, DateRange())
    began_with(root, began)
    assert told_at_the_start(root, capsys)[: len("! 1 of the 3")] == ("! 1 of the 3" if known else "")


def test_a_stream_that_will_take_over_a_training_will_know_what_clean_has(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clean.run(local_engine(), root, DateRange())
    began_with(root, {})
    state = StreamState.model_validate_json((root / STREAM_STATE_FILE).read_bytes())
    (root / STREAM_STATE_FILE).write_text(
        state.model_copy(update={"models": dict.fromkeys(NAMES, "1")}).model_dump_json()
    )
    with Transaction(root, [alias_path(HYBRID)]) as transaction:
        stage_alias(transaction, root, HYBRID, Promotion(version="2", promoted_at="now", by="hand", reason="test"))
        transaction.commit()
    assert told_at_the_start(root, capsys).startswith("! 3 of the 3 ")
