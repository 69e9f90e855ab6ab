"""Which products a session looks at: it stays on one, goes to the next, or back (SPEC D7)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from spark_apps.generator.catalogue import Catalogue
from spark_apps.generator.funnel import Types
from spark_apps.generator.hashing import Bools, Floats
from spark_apps.generator.sessions import QUANTILES, Bits, Int32s, Layout

STAY, GROUP, CATEGORY, ASIDE, BACK = range(5)

Transitions: TypeAlias = npt.NDArray[np.int8]

# Chance that the next event is on the same product, by type (row) and next type (column). Over all next
# events, and with products met again by chance, 0.33, 0.96 and 0.89 after a view, a cart and a purchase.
_SAME_PRODUCT = (
    (0.268, 0.965, 0.94, 0.0),
    (0.93, 0.95, 0.99, 1.0),
    (0.89, 0.95, 0.95, 0.0),
    (0.60, 0.95, 0.95, 0.0),
)
# Share of the looks at another product that go back to the one before, and that leave the session's category.
_BACK, _ASIDE = 0.07, 0.33


@dataclass(frozen=True)
class Ranges:
    """Where a block's m sessions look: stretches of the catalogue's running weight.

    Attributes:
        low: (4, m) where the stretch starts: row GROUP the session's taste group, row CATEGORY its whole
            category, row ASIDE a taste group elsewhere; row STAY is not used.
        high: (4, m) where it ends.
    """

    low: Floats
    high: Floats


def draw_transitions(layout: Layout, types: Types, roaming: float, bits: npt.NDArray[np.uint16]) -> Transitions:
    """Draws where each event finds its product.

    Args:
        layout: the block's sessions.
        types: (n) event types.
        roaming: share of looks in the session's category that leave the taste group.
        bits: (2, n) 16 random bits: for staying or going, and for where to.

    Returns:
        (n) STAY, GROUP, CATEGORY, ASIDE or BACK; the first of a session is GROUP or CATEGORY.
    """
    chance = bits[1]
    shares = np.array([_ASIDE, _BACK, (1 - _ASIDE - _BACK) * roaming])
    aside, back, category = np.round(np.cumsum(shares) * QUANTILES).astype(np.int64)
    transitions = np.full(layout.events, GROUP, dtype=np.int8)
    transitions[chance < category] = CATEGORY
    later, chance = transitions[layout.sessions :], chance[layout.sessions :]
    later[chance < back] = BACK
    later[chance < aside] = ASIDE
    later[_stays(layout, types, bits[0])] = STAY
    return transitions


def _stays(layout: Layout, types: Types, bits: Bits) -> Bools:
    """Whether each event after its session's first is on the product of the event before."""
    table = np.round(np.array(_SAME_PRODUCT) * QUANTILES).astype(np.uint32).ravel()
    before = np.concatenate([types[:0], *(types[span] for _, span, _ in layout.steps())])
    return np.asarray(bits[layout.sessions :] < table[before * 4 + types[layout.sessions :]])


def product_sequence(
    layout: Layout, transitions: Transitions, ranges: Ranges, goods: Catalogue, positions: npt.NDArray[np.uint32]
) -> Int32s:
    """Chooses the products, event after event.

    Args:
        layout: the block's sessions.
        transitions: (n) where each event finds its product, from `draw_transitions`.
        ranges: the stretches behind the transitions.
        goods: the products on sale.
        positions: (n) 32 random bits for the product inside the stretch.

    Returns:
        (n) index of each event's product in the catalogue.
    """
    going = np.flatnonzero((transitions > STAY) & (transitions < BACK))
    transition, session = transitions[going], layout.session[going]
    low, high = ranges.low[transition, session], ranges.high[transition, session]
    product = np.zeros(layout.events, dtype=np.int32)
    product[going] = goods.product_at(low + (high - low) * (positions[going] * 2.0**-32))
    earlier = product[: layout.sessions].copy()
    for here, before, _ in layout.steps():
        _step(product[here], product[before], transitions[here], earlier[: here.stop - here.start])
    return product


def _step(here: Int32s, before: Int32s, transitions: Transitions, earlier: Int32s) -> None:
    """One position further: fills in the products of events that stay or go back."""
    np.copyto(here, before, where=transitions == STAY)
    np.copyto(here, earlier, where=transitions == BACK)
    np.copyto(earlier, before, where=here != before)
