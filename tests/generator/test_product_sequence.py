"""The products of all sessions of a block, chosen at once, against the same choice one session at a time."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_apps.generator.catalogue import catalogue
from spark_apps.generator.funnel import EVENT_TYPES, VIEW, event_types, transition_chances
from spark_apps.generator.inter_event_times import event_seconds
from spark_apps.generator.population import Population, user_ids, user_numbers
from spark_apps.generator.product_sequence import (
    ASIDE,
    BACK,
    CATEGORY,
    GROUP,
    STAY,
    Ranges,
    draw_transitions,
    product_sequence,
)
from spark_apps.generator.sessions import Layout, length_table, random_bits, session_lengths

SESSIONS = st.lists(st.integers(1, 30), min_size=1, max_size=40)
SEEDS = st.integers(0, 2**32)


def layout_of(lengths: list[int]) -> Layout:
    return Layout.of(np.array(sorted(lengths, reverse=True), dtype=np.int32))


def bits_for(layout: Layout, seed: int, rows: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 1 << 16, (rows, layout.events), dtype=np.uint16)


def sessions_of(layout: Layout) -> list[np.ndarray]:
    """Rows of each session, first event first."""
    return [np.flatnonzero(layout.session == number) for number in range(layout.sessions)]


@given(SESSIONS)
def test_a_layout_has_every_session_at_its_length(lengths: list[int]) -> None:
    layout = layout_of(lengths)
    assert layout.events == sum(lengths)
    assert np.bincount(layout.session).tolist() == sorted(lengths, reverse=True)
    assert [rows[-1] for rows in sessions_of(layout)] == layout.last_events().tolist()
    for here, before, _ in layout.steps():
        assert (layout.session[here] == layout.session[before]).all()


@given(events=st.integers(1, 5000), seed=SEEDS)
def test_lengths_add_up_to_the_events_wanted(events: int, seed: int) -> None:
    lengths = session_lengths(random_bits(np.random.default_rng(seed)), events)
    assert lengths.sum() == events
    assert (lengths > 0).all()
    assert (np.diff(lengths) <= 0).all()
    assert np.isin(np.unique(lengths), length_table()).sum() >= len(np.unique(lengths)) - 1


@settings(deadline=None)
@given(SESSIONS, SEEDS, st.sampled_from([0.0, 0.4]))
def test_types_follow_the_chain(lengths: list[int], seed: int, removals: float) -> None:
    layout = layout_of(lengths)
    bits = bits_for(layout, seed, 1)[0]
    phones = np.arange(layout.sessions) % 2 == 0
    types = event_types(layout, phones, bits, removals)
    tables = {kind: transition_chances(3.49 if kind else 1.35, removals) for kind in (False, True)}
    for number, rows in enumerate(sessions_of(layout)):
        kind = VIEW
        assert types[rows[0]] == kind
        for row in rows[1:]:
            chances = tables[bool(phones[number])][int(row == rows[-1])][kind]
            kind = int((bits[row] >= np.round(np.cumsum(chances)[:3] * 65_536)).sum())
            assert types[row] == kind


@settings(deadline=None, max_examples=40)
@given(SESSIONS, SEEDS)
def test_products_are_where_the_walk_leads(lengths: list[int], seed: int) -> None:
    goods = catalogue(1, 0)
    layout = layout_of(lengths)
    types = event_types(layout, np.zeros(layout.sessions, dtype=bool), bits_for(layout, seed, 1)[0], 0.2)
    transitions = draw_transitions(layout, types, 0.3, bits_for(layout, seed + 1, 2))
    random = np.random.default_rng(seed)
    group = random.choice(np.flatnonzero(goods.group_end > goods.group_start), (4, layout.sessions))
    ranges = Ranges(goods.group_start[group], goods.group_end[group])
    positions = random.integers(0, 1 << 32, layout.events, dtype=np.uint32)
    product = product_sequence(layout, transitions, ranges, goods, positions)
    for number, rows in enumerate(sessions_of(layout)):
        assert transitions[rows[0]] in (GROUP, CATEGORY)
        before = earlier = product[rows[0]]
        for row in rows:
            if transitions[row] == STAY:
                assert product[row] == before
            elif transitions[row] == BACK:
                assert product[row] == earlier
            else:
                assert transitions[row] in (GROUP, CATEGORY, ASIDE)
                assert goods.products.group[product[row]] == group[transitions[row], number]
            if product[row] != before:
                before, earlier = product[row], before


@given(SESSIONS, SEEDS, st.integers(100, 2_700_000))
def test_times_rise_inside_a_session_and_stay_in_the_month(lengths: list[int], seed: int, end: int) -> None:
    layout = layout_of(lengths)
    random = np.random.default_rng(seed)
    starts = random.integers(0, end, layout.sessions).astype(np.int32)
    seconds = event_seconds(layout, starts, end, bits_for(layout, seed, 2), random_bits(random))
    assert seconds.max() < end
    for number, rows in enumerate(sessions_of(layout)):
        assert seconds[rows[0]] == starts[number]
        assert (np.diff(seconds[rows]) >= 0).all()


def test_chances_are_chances() -> None:
    for removals in (0.0, 0.9):
        for table in transition_chances(3.49, removals):
            assert table.shape == (len(EVENT_TYPES), len(EVENT_TYPES))
            assert (table >= 0).all()
            np.testing.assert_allclose(table.sum(axis=1), 1.0)


@given(st.lists(st.integers(0, 150_000_000), min_size=1, max_size=50), st.integers(0, 2**62))
def test_user_ids_are_one_to_one(numbers: list[int], seed: int) -> None:
    users = np.array(numbers)
    ids = user_ids(seed, users)
    assert (user_numbers(seed, ids) == users).all()
    assert len(np.unique(ids)) == len(np.unique(users))
    assert ids.min() >= 512_000_000
    assert ids.max() < 2**31


def test_user_ids_grow_with_arrival_but_hide_how_busy_a_user_is() -> None:
    ids = user_ids(1, np.arange(3 << 16))
    assert ids[: 1 << 16].max() < ids[1 << 16 : 2 << 16].min()
    busiest = ids[255 : 1 << 16 : 256]
    assert len(np.unique(busiest % 2048)) > 100


@given(month=st.integers(0, 24), users=st.integers(1, 3000), per_user=st.floats(0.3, 40), seed=SEEDS)
def test_visitors_come_from_the_months_window(month: int, users: int, per_user: float, seed: int) -> None:
    population = Population(month, users, users * per_user)
    random = np.random.default_rng(seed)
    drawn = population.draw(random.random(200), random.random(200))
    assert drawn.min() >= population.first
    assert drawn.max() < population.first + population.size
