"""Which events of the stream `clean` holds as well, decided on what either was made of."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from spark_apps.provenance import AppliedBatch, EventsRead, Holding, held_by_clean
from spark_apps.tables import part_of

FIRST, SECOND = date(2019, 11, 1), date(2019, 11, 2)
DAYS = [FIRST + timedelta(days=number) for number in range(4)]
A, B = "a" * 16, "b" * 16
READ_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)


def batch(
    number: int = 0,
    days: tuple[date, date] | None = (FIRST, FIRST),
    replayed: dict[str, tuple[str, ...]] | None = None,
    sequence: int | None = None,
    sha256: str = "f" * 64,
    committed_at: datetime = READ_AT,
) -> AppliedBatch:
    first, last = [datetime(day.year, day.month, day.day, 12, tzinfo=timezone.utc) for day in days or ()] or (
        None,
        None,
    )
    return AppliedBatch(
        batch=number,
        sequence=sequence,
        sha256=sha256,
        clean=1 if days else 0,
        first_event=first,
        last_event=last,
        committed_at=committed_at,
        replayed=replayed,
    )


def noted(*parts: str) -> Holding:
    return Holding(frozenset(parts), is_noted=True)


def test_a_file_from_elsewhere_is_held_by_nobody() -> None:
    assert held_by_clean([batch(replayed={})], {FIRST: noted(A)}) == []


def test_a_file_from_elsewhere_whose_bytes_were_loaded_is_held_where_it_was_cleaned() -> None:
    drop = batch(replayed={}, days=(FIRST, SECOND), sha256=A + "0" * 48)
    assert part_of(drop.sha256) == A
    assert held_by_clean([drop], {FIRST: noted(A), SECOND: noted(B)}) == [(0, FIRST)]


def test_a_replayed_date_is_held_where_it_was_cleaned_from_the_same_file() -> None:
    drop = batch(7, (FIRST, SECOND), {"2019-11-01": (A,), "2019-11-02": (A,)}, sequence=8)
    assert held_by_clean([drop], {FIRST: noted(A, B)}) == [(7, FIRST)]
    assert held_by_clean([drop], {FIRST: noted(B), SECOND: noted(A)}) == [(7, SECOND)]
    assert held_by_clean([drop], {}) == []


def test_of_a_replay_that_nobody_wrote_down_all_cleaned_dates_are_held() -> None:
    holdings = {day: noted(A) for day in DAYS}
    assert held_by_clean([batch(3, (FIRST, SECOND), sequence=4)], holdings) == [(3, FIRST), (3, SECOND)]
    assert held_by_clean([batch(3, (FIRST, SECOND), sequence=None)], holdings) == []


def test_a_date_that_an_earlier_version_cleaned_holds_what_is_landed_and_every_replay() -> None:
    earlier = Holding(frozenset([A]), is_noted=False)
    raw_is_gone = Holding(frozenset(), is_noted=False)
    replayed, loaded = batch(0, replayed={"2019-11-01": (B,)}, sequence=1), batch(1, replayed={}, sha256=A * 4)
    assert held_by_clean([replayed, loaded, batch(2, replayed={})], {FIRST: earlier}) == [(0, FIRST), (1, FIRST)]
    assert held_by_clean([replayed, loaded], {FIRST: raw_is_gone}) == [(0, FIRST)]


def test_a_batch_without_events_holds_none() -> None:
    assert held_by_clean([batch(days=None, sha256=A * 4)], {FIRST: noted(A)}) == []


def test_a_reading_covers_what_it_read_and_what_had_been_there_before() -> None:
    read = EventsRead(read_at=READ_AT, first=None, last=None, cleaned={"2019-11-01": (A,)}, batches=2)
    long_ago, later = READ_AT - timedelta(minutes=1), READ_AT + timedelta(seconds=1)
    assert [read.covers_batch(batch(number, committed_at=later)) for number in (0, 1, 2, 3)] == [
        True,
        True,
        False,
        False,
    ]
    assert read.covers_batch(batch(2, committed_at=long_ago))
    assert not read.covers_batch(batch(2, committed_at=READ_AT - timedelta(seconds=1)))  # about to be published
    assert read.covers_date(FIRST, None) and not read.covers_date(SECOND, None)


# parts of a small world: which of the loaded files a date's rows come from
_FILES = st.sampled_from(["1" * 16, "2" * 16, "3" * 16])
_CUT = st.dictionaries(st.sampled_from(DAYS), _FILES, min_size=1, max_size=2)
_CLEANED = st.dictionaries(st.sampled_from(DAYS), st.frozensets(_FILES, min_size=1))


@given(cuts=st.lists(st.one_of(_CUT, st.sampled_from(DAYS)), max_size=6), cleaned=_CLEANED)
def test_every_event_is_in_exactly_one_of_both(
    cuts: list[dict[date, str] | date], cleaned: dict[date, frozenset[str]]
) -> None:
    """Events are (file, date) here, those of a drop from elsewhere (drop, date): each is read once, none twice."""
    batches, streamed = [], {}
    for number, cut in enumerate(cuts):
        if isinstance(cut, date):
            batches.append(batch(number, (cut, cut), {}))
            streamed[number, cut] = (f"drop {number}", cut)
        else:
            replayed = {day.isoformat(): (file,) for day, file in cut.items()}
            batches.append(batch(number, (min(cut), max(cut)), replayed, sequence=number + 1))
            streamed |= {(number, day): (file, day) for day, file in cut.items()}
    holdings = {day: Holding(files, is_noted=True) for day, files in cleaned.items()}
    left_out = set(held_by_clean(batches, holdings))
    in_clean = {(file, day) for day, files in cleaned.items() for file in files}
    for pair, events in streamed.items():
        assert (events in in_clean) == (pair in left_out)
