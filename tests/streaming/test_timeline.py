"""The batch log of a stream, folded for charts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_apps.streaming.records import Relevance
from spark_apps.streaming.timeline import Guesses, timeline
from tests.telemetry.records import DROPPED, record


def guesses(trials: int, hits: int) -> dict[str, Relevance]:
    return {"updated": Relevance(trials=trials, hits=hits, reciprocal_ranks=hits / 4)}


def test_a_stretch_holds_sums_the_share_of_all_known_users_and_the_slowest_batch() -> None:
    first = record(3, relevance=guesses(10, 4), change_rate=0.5, known_users=10, shift=0.04, seconds={"read": 1.0})
    late = {"committed_at": DROPPED + timedelta(seconds=9), "seconds": {"read": 2.0, "write": 4.5}}
    second = record(4, relevance=guesses(30, 2), change_rate=0.0, known_users=30, shift=0.01, **late)
    (found,) = timeline([first, second], 2, 1)
    assert (found.first, found.last, found.events) == (3, 4, 194)
    assert found.guesses == {"updated": Guesses(trials=40, hits=6)}
    assert found.change_rate == pytest.approx(5 / 40)
    assert (found.shift, found.seconds, found.latency) == (0.04, 6.5, 9.0)
    assert found.until == second.last_event


def test_files_that_were_not_applied_leave_no_trace() -> None:
    refused = record(1, outcome="refused", clean=0, shift=0.9)
    found = list(timeline([record(0), refused, record(2)], 3, 3))
    assert [(one.first, one.last) for one in found] == [(0, 0), (2, 2)]
    assert max(one.shift for one in found) < 0.9


def test_a_batch_without_users_or_times_is_a_stretch_too() -> None:
    (found,) = timeline([record(0, clean=0, known_users=0, change_rate=0.0, relevance={}, last_event=None)], 1, 40)
    assert (found.events, found.change_rate, found.guesses, found.until) == (0, 0.0, {}, None)


@given(st.integers(0, 90), st.integers(1, 40))
def test_stretches_are_few_and_lose_no_event_and_no_guess(number: int, most: int) -> None:
    records = [record(batch, clean=batch % 7, relevance=guesses(batch, batch // 2)) for batch in range(number)]
    found = list(timeline(iter(records), number, most))
    assert len(found) <= most
    assert sum(one.events for one in found) == sum(one.clean for one in records)
    assert [one.first for one in found[1:]] == [one.last + 1 for one in found[:-1]]
    assert sum(one.guesses["updated"].hits for one in found) == sum(batch // 2 for batch in range(number))
