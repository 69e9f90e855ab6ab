"""Events of a month, block by block in time order, with memory that does not grow with their number.

A block holds the sessions that start in one stretch of the month; all blocks hold about as many events. What
happens after the stretch is kept for the blocks to come. Every block has random numbers of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from spark_apps.generator.catalogue import catalogue
from spark_apps.generator.categories import category_at, shop
from spark_apps.generator.clock import MonthClock
from spark_apps.generator.funnel import event_types
from spark_apps.generator.hashing import Ints, UInts
from spark_apps.generator.inter_event_times import event_seconds
from spark_apps.generator.population import Population
from spark_apps.generator.product_sequence import (
    ASIDE,
    CATEGORY,
    GROUP,
    Ranges,
    Transitions,
    draw_transitions,
    product_sequence,
)
from spark_apps.generator.sessions import Layout, mean_length, random_bits, session_lengths
from spark_apps.generator.spec import GeneratorSpec
from spark_apps.generator.tastes import ASIDE_WEIGHTS, FAVOURITE_WEIGHTS, ROAMING, Tastes

_BLOCK_EVENTS = 200_000
_SESSION_BITS = 32


@dataclass(frozen=True)
class Events:
    """Events in columns, n of them.

    Attributes:
        second: (n) seconds since the month's start.
        type: (n) number into sessions.EVENT_TYPES.
        product: (n) index into the month's catalogue.
        user: (n) user number.
        session: (n) session number, unique in the month.
    """

    second: npt.NDArray[np.int32]
    type: npt.NDArray[np.int8]
    product: npt.NDArray[np.int32]
    user: Ints
    session: UInts

    def take(self, rows: Ints) -> Events:
        """Some of the events, in the order given."""
        return Events(*(column[rows] for column in self.columns()))

    def columns(self) -> list[npt.NDArray[Any]]:
        """All columns, in the order above."""
        return [getattr(self, field.name) for field in fields(self)]

    def in_time_order(self) -> Events:
        """All events by second; events of one second stay in their order."""
        key = (self.second.astype(np.int64) << 32) + np.arange(len(self.second))
        key.sort()
        return self.take(key & 0xFFFFFFFF)


def _joined(first: Events, second: Events) -> Events:
    return Events(*(np.concatenate(pair) for pair in zip(first.columns(), second.columns(), strict=True)))


class MonthBlocks:
    """Makes the events of one month.

    Attributes:
        spec: what was asked for.
        clock: the month.
        goods: the products on sale.
    """

    def __init__(self, spec: GeneratorSpec) -> None:
        self.spec = spec
        self.clock = MonthClock(spec.month)
        self.goods = catalogue(spec.seed, spec.month_number)
        self._tastes = Tastes(spec.seed, self.goods.groups)
        self._population = Population(spec.month_number, spec.expected_users, spec.events / mean_length())
        self._blocks = -(-spec.events // _BLOCK_EVENTS)

    def __iter__(self) -> Iterator[Events]:
        """Yields events, all of them once, later ones later."""
        waiting: Events | None = None
        for number in range(self._blocks):
            made = self._block(number)
            everything = made if waiting is None else _joined(waiting, made)
            until = self._until(number)
            yield everything.take(np.flatnonzero(everything.second < until)).in_time_order()
            waiting = everything.take(np.flatnonzero(everything.second >= until))

    def _until(self, number: int) -> int:
        if number == self._blocks - 1:
            return self.clock.seconds
        return int(self.clock.second_at(np.array([(number + 1) / self._blocks]))[0])

    def _block(self, number: int) -> Events:
        """Events of the sessions that start in block `number`, position by position."""
        events, blocks = self.spec.events, self._blocks
        size = events * (number + 1) // blocks - events * number // blocks
        random = np.random.Generator(np.random.PCG64([self.spec.seed, self.spec.month_number, number]))
        draw = random_bits(random)
        layout = Layout.of(session_lengths(draw, size))
        starts = self.clock.second_at((number + random.random(layout.sessions)) / blocks)
        users = self._population.draw(random.random(layout.sessions), random.random(layout.sessions))
        bits = draw(5 * size).reshape(5, size)
        category = self._categories(users, random, FAVOURITE_WEIGHTS)
        types = event_types(layout, category == shop().phones, bits[0], self.spec.removals)
        transitions = draw_transitions(layout, types, ROAMING, bits[1:3])
        ranges = self._ranges(layout, users, category, transitions, random)
        positions = draw(2 * size).view("<u4")
        session = (np.uint64(number) << np.uint64(_SESSION_BITS)) + layout.session.astype(np.uint64)
        return Events(
            second=event_seconds(layout, starts, self.clock.seconds, bits[3:5], draw),
            type=types,
            product=product_sequence(layout, transitions, ranges, self.goods, positions),
            user=users[layout.session],
            session=session,
        )

    def _ranges(
        self,
        layout: Layout,
        users: Ints,
        category: Ints,
        transitions: Transitions,
        random: np.random.Generator,
    ) -> Ranges:
        goods, count = self.goods, layout.sessions
        low, high = np.zeros((ASIDE + 1, count)), np.zeros((ASIDE + 1, count))
        group = self._tastes.taste_groups(users, category)
        low[GROUP], high[GROUP] = goods.group_start[group], goods.group_end[group]
        low[CATEGORY], high[CATEGORY] = goods.category_start[category], goods.category_end[category]
        # Few sessions look aside: only for those is it worked out where.
        astray = np.flatnonzero(np.bincount(layout.session[transitions == ASIDE], minlength=count))
        elsewhere = self._categories(users[astray], random, ASIDE_WEIGHTS)
        group = self._tastes.taste_groups(users[astray], elsewhere)
        low[ASIDE, astray], high[ASIDE, astray] = goods.group_start[group], goods.group_end[group]
        return Ranges(low, high)

    def _categories(self, users: Ints, random: np.random.Generator, weights: tuple[float, ...]) -> Ints:
        """A category for each user: a favourite by the given weights, else any by its share."""
        slot = np.searchsorted(np.cumsum(weights), random.random(len(users)), side="right")
        liked = self._tastes.categories(users, slot)
        return np.where(slot < len(weights), liked, category_at(random.random(len(users))))
