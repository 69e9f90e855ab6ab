"""The date that recency counts from: no few clocks that are wrong move it, and no honest log is thrown by the rule."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, timedelta

import pytest

from spark_apps.features.reference import Reference, gaps, handful, has_gaps, reference_of

FIRST, LAST = date(2019, 10, 1), date(2019, 10, 31)


def every(step: int, first: date, last: date) -> list[date]:
    return [first + timedelta(days=n) for n in range(0, (last - first).days + 1, step)]


OCTOBER = every(1, FIRST, LAST)


def counted_from(days: Iterable[date], users: dict[date, int]) -> date:
    """The reference of a log of these dates, in which 200 users were seen last on its 20th, and others as told."""
    known = sorted({*days, *users})
    return reference_of(known, {known[min(19, len(known) - 1)]: 200} | users).day


STRAYS = {
    "a year off": {date(2020, 10, 31): 1},
    "a fortnight off": {date(2019, 11, 14): 1},
    "two on one date": {date(2026, 6, 1): 2},
    "two apart": {date(2024, 2, 29): 1, date(2026, 6, 1): 1},
    "two days of one group": {date(2026, 6, 1): 1, date(2026, 6, 2): 1},
}


@pytest.mark.parametrize("strays", STRAYS.values(), ids=STRAYS)
def test_a_few_users_after_a_gap_do_not_count(strays: dict[date, int]) -> None:
    assert counted_from(OCTOBER, {LAST: 50} | strays) == LAST


def test_of_many_strays_those_who_are_one_in_a_hundred_do_not_count() -> None:
    strays = {LAST + timedelta(days=365 * n): 1 for n in range(1, 11)}
    assert reference_of(sorted({*OCTOBER, *strays}), {LAST: 990} | strays) == Reference(
        LAST, FIRST, max(strays), 10, 0, 1000
    )
    assert reference_of(sorted({*OCTOBER, *strays}), {LAST: 980} | strays).day > LAST


def test_a_stray_among_few_users_does_not_count() -> None:
    assert reference_of([FIRST, date(2026, 6, 1)], {FIRST: 10, date(2026, 6, 1): 1}).day == FIRST


HONEST: dict[str, tuple[list[date], dict[date, int]]] = {
    "one day": ([FIRST], {FIRST: 3}),
    "one user": ([FIRST, LAST], {LAST: 1}),
    "two users": ([FIRST, LAST], {FIRST: 1, LAST: 1}),
    "a last day that has just begun": (OCTOBER, {LAST: 1}),
    "a quiet day before the last": ([day for day in OCTOBER if day.day != 30], {LAST: 1}),
    "a closed week before the last day": ([day for day in OCTOBER if not 24 <= day.day <= 30], {LAST: 1}),
    "two months with a gap": (OCTOBER + every(1, date(2019, 12, 1), date(2019, 12, 31)), {date(2019, 12, 31): 50}),
    "the first hour after a gap": (OCTOBER, {date(2019, 12, 1): 3}),
    "a day a week": (every(7, FIRST, date(2020, 9, 30)), {date(2020, 10, 29): 1}),
    "a stray of long ago": ([date(1970, 1, 1), *OCTOBER], {LAST: 1}),
    "the years of long ago": (every(365, date(2001, 1, 1), date(2018, 1, 1)) + OCTOBER, {LAST: 1}),
}


@pytest.mark.parametrize(("days", "users"), HONEST.values(), ids=HONEST)
def test_an_honest_log_counts_from_its_last_date(days: list[date], users: dict[date, int]) -> None:
    assert counted_from(days, users) == max(users)


def test_a_stray_of_long_ago_hides_none_of_the_future() -> None:
    strays = {date(1970, 1, 1): 1, date(2026, 6, 1): 1}
    assert counted_from([*OCTOBER], {LAST: 50} | strays) == LAST


def test_dates_without_a_gap_need_no_count_of_users() -> None:
    assert gaps(OCTOBER) == [] and gaps([FIRST]) == []
    assert reference_of(OCTOBER, {}) == Reference(LAST, FIRST, LAST)
    assert not has_gaps(OCTOBER)
    assert gaps([*OCTOBER, LAST + timedelta(days=10)]) == [] and gaps([*OCTOBER, LAST + timedelta(days=11)]) == [31]


def test_a_handful_is_two_users_or_one_in_a_hundred() -> None:
    assert [handful(users) for users in (0, 1, 299, 300, 3_000_000)] == [2, 2, 2, 3, 30_000]


def test_users_of_long_ago_are_bounded_where_they_are_a_handful() -> None:
    old = {date(1970, 1, 1): 1, date(2001, 9, 9): 1}
    found = reference_of([*old, *OCTOBER], old | {LAST: 250})
    assert (found.first, found.day, found.earlier, found.later) == (FIRST, LAST, 2, 0)
    assert reference_of([min(old), *OCTOBER], {min(old): 1, LAST: 9}).first == min(old)
    year = every(1, date(2018, 1, 1), date(2018, 12, 31))
    assert reference_of([*year, *OCTOBER], dict.fromkeys(year, 1) | {LAST: 250}).first == year[0]


def test_what_is_left_out_is_said_in_a_sentence() -> None:
    old, stray = date(1970, 1, 1), date(2026, 6, 1)
    assert reference_of([old, *OCTOBER, stray], {old: 1, LAST: 1_250, stray: 2}).sentences() == [
        "Recency counts from 2019-10-31: only 2 of 1,253 users were seen after it, up to 2026-06-01, 2,405 days later. "
        "That looks like a wrong clock.",
        "Recency counts to 2019-10-01 at most: only 1 of 1,253 users was seen last long before. That looks like a "
        "wrong clock.",
    ]
    assert reference_of(OCTOBER, {}).sentences() == []
