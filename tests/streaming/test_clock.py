"""A stream's time goes on with most of its users, and one wrong clock neither moves nor holds it."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_apps.streaming.clock import LEAD, Clock, Seen, advanced

LAST_DATE = date(2019, 10, 31)
NOVEMBER = datetime(2019, 11, 1, tzinfo=timezone.utc)
LATER = datetime(2026, 6, 1, tzinfo=timezone.utc)
LEAP = timedelta(days=1)
START = Clock(NOVEMBER)


def hours(*after: float, users: int = 1, start: datetime = NOVEMBER) -> list[Seen]:
    return [(start + timedelta(hours=one), users) for one in after]


def after(*batches: list[Seen], clock: Clock = START) -> Clock:
    for batch in batches:
        clock = advanced(clock, LAST_DATE, batch, LEAP)
    return clock


ORDINARY = hours(*(n / 60 for n in range(60)), users=3)


def test_an_ordinary_batch_moves_it_to_its_latest_event() -> None:
    assert after(ORDINARY) == Clock(ORDINARY[-1][0])
    assert after(ORDINARY, clock=Clock(None)) == Clock(ORDINARY[-1][0])


@pytest.mark.parametrize("clock", [Clock(None), Clock(NOVEMBER)])
def test_one_row_far_ahead_moves_nothing(clock: Clock) -> None:
    assert after([(NOVEMBER, 1), (LATER, 1)], clock=clock) == Clock(NOVEMBER)
    assert after([*ORDINARY, (LATER, 1)], clock=clock) == Clock(ORDINARY[-1][0])
    assert after([*ORDINARY, *hours(4)], clock=clock) == Clock(ORDINARY[-1][0])  # of another time zone


def test_an_outlier_alone_and_as_the_very_first_row_is_doubted() -> None:
    assert after([(LATER, 1)], clock=Clock(None)) == Clock(None, (LATER,))
    assert after([(LATER, 1)]) == Clock(NOVEMBER, (LATER,))
    assert after([(LATER, 1)], ORDINARY) == Clock(ORDINARY[-1][0])


def test_two_outliers_in_a_row_move_nothing() -> None:
    doubted = after([(LATER, 1)], [(LATER + LEAP, 1)])
    assert doubted == Clock(NOVEMBER, (LATER, LATER + LEAP))
    assert after(hours(0.1), clock=doubted).latest == NOVEMBER + timedelta(hours=0.1)


def test_a_batch_of_one_row_goes_on_with_those_before_it() -> None:
    assert after(hours(0.5)) == Clock(NOVEMBER + timedelta(hours=0.5))
    assert after(*(hours(n / 2) for n in range(10))) == Clock(NOVEMBER + timedelta(hours=4.5))


def test_batches_of_one_row_after_a_month_move_it_when_three_agree() -> None:
    month = [hours(720 + n / 60) for n in range(4)]
    assert after(*month[:2]).latest == NOVEMBER
    assert after(*month[:3]).latest == month[2][0][0]
    assert after(*month) == Clock(month[3][0][0])
    # a stray is none of the three, and does not take them along
    assert after(month[0], month[1], [(LATER, 1)]).latest == NOVEMBER
    assert after(month[0], month[1], [(LATER, 1)], month[2]).latest == month[2][0][0]


@pytest.mark.parametrize("away", [timedelta(days=1.5), timedelta(days=30), timedelta(days=400)])
def test_after_a_gap_the_clock_goes_on_at_once(away: timedelta) -> None:
    batch = [(moment + away, users) for moment, users in ORDINARY]
    assert after(batch) == Clock(batch[-1][0])
    assert after([*batch, (LATER, 1)]) == Clock(batch[-1][0])
    assert after(batch, clock=Clock(None)) == Clock(batch[-1][0])


def test_a_third_of_a_file_a_month_ahead_moves_nothing_until_the_rest_follows() -> None:
    month = [(moment + timedelta(days=30), users) for moment, users in ORDINARY]
    mixed = [(moment, 7) for moment, _ in ORDINARY] + month
    assert after(mixed) == Clock(ORDINARY[-1][0])
    assert after(mixed, month) == Clock(month[-1][0])


def test_a_file_of_a_whole_month_moves_it_to_the_end_but_for_its_last_hundredth() -> None:
    batch = hours(*range(720), users=5)
    assert batch[-1][0] - after(batch).latest < timedelta(hours=7.2)
    assert after(batch, batch[-3:]) == Clock(batch[-1][0])


def test_rows_of_long_ago_move_nothing() -> None:
    old = (datetime(1970, 1, 1, tzinfo=timezone.utc), 5)
    assert after([old]) == Clock(NOVEMBER)
    assert after([old, *ORDINARY]) == Clock(ORDINARY[-1][0])
    assert after([old], clock=Clock(None)).latest == old[0]
    assert after([old], ORDINARY, clock=Clock(None)).latest == ORDINARY[-1][0]


times = st.datetimes(datetime(2001, 1, 1), datetime(2026, 1, 1), timezones=st.just(timezone.utc))
batches = st.lists(st.lists(st.tuples(times, st.integers(1, 500)), min_size=1, max_size=8), max_size=8)


@given(batches)
def test_it_never_goes_back_and_is_the_time_of_an_event(found: list[list[Seen]]) -> None:
    clock, known = Clock(NOVEMBER), {NOVEMBER}
    for batch in found:
        before, clock = clock, after(batch, clock=clock)
        known |= {moment for moment, _ in batch}
        assert before.latest is not None and clock.latest is not None
        assert clock.latest >= before.latest and clock.latest in known
        assert len(clock.doubted) <= 2 and all(moment > clock.latest for moment in clock.doubted)


@given(times, st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_what_is_called_ordinary_moves_it_to_the_last_event(start: datetime, parts: list[float]) -> None:
    batch: list[Seen] = [(start + part * LEAD, 1) for part in parts]
    last = max(moment for moment, _ in batch)
    assert Clock(start).is_ordinary(last)
    assert after(batch, clock=Clock(start)) == Clock(last)
