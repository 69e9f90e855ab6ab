"""What happens next in a session: view, cart, purchase, and on request the removal of what is in the cart."""

from __future__ import annotations

from functools import lru_cache
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from spark_apps.generator.calibration import load_calibration
from spark_apps.generator.hashing import Bools, Floats
from spark_apps.generator.sessions import QUANTILES, Bits, Layout

VIEW, CART, PURCHASE, REMOVE = range(4)
EVENT_TYPES = ("view", "cart", "purchase", "remove_from_cart")

Types: TypeAlias = npt.NDArray[np.int8]

# Chances after a view were measured on 1 October, when carts were used less than later in the month: raised
# so that October has its 2.18 % carts and 1.75 % purchases. Phones go into carts more often than other
# things, so often that the mean price in carts is above that of views as much as in October's totals.
_CART_RAISE, _CART_RAISE_PHONES = 1.35, 3.49
_PURCHASE_RAISE = 1.07


def event_types(layout: Layout, phones: Bools, bits: Bits, removals: float) -> Types:
    """Walks the funnel: every session starts with a view, each event depends on the one before.

    Args:
        layout: the block's sessions.
        phones: (m) whether the session is about smartphones.
        bits: (n) 16 random bits per event.
        removals: chance that the event after a cart takes it back.

    Returns:
        (n) event types, as numbers into EVENT_TYPES.
    """
    cuts = _transition_cuts(removals)
    types = np.full(layout.events, VIEW, dtype=np.int8)
    table = phones * np.intp(8)
    for here, before, going_on in layout.steps():
        rows = table[: here.stop - here.start] + types[before] * np.intp(2)
        rows[going_on:] += 1
        for cut in cuts:
            types[here] += bits[here] >= cut[rows]
    return types


@lru_cache(maxsize=8)
def _transition_cuts(removals: float) -> list[npt.NDArray[np.uint32]]:
    """Limits of 16 random bits at which the next event's type goes up by one: three arrays of 16 limits.

    Row 8 * phones + 2 * type + last, where last is 1 if the next event ends the session.
    """
    pairs = [transition_chances(factor, removals) for factor in (_CART_RAISE, _CART_RAISE_PHONES)]
    rows = np.concatenate([np.stack(pair, axis=1).reshape(8, 4) for pair in pairs])
    cuts = np.round(np.cumsum(rows, axis=1)[:, :3] * QUANTILES).astype(np.uint32)
    return [np.ascontiguousarray(cuts[:, i]) for i in range(3)]


def transition_chances(cart_raise: float, removals: float) -> tuple[Floats, Floats]:
    """Chances of the next event's type, from the measured next events (SPEC D7).

    Session lengths are drawn first, so the measured chance of ending is carried by two tables: which type
    comes next when the session goes on behind it, and when it ends there. After a purchase a session ends
    more often than after a view, so purchases are likelier at its end.

    Args:
        cart_raise: factor on the measured chance of a cart after a view.
        removals: chance that the event after a cart takes it back.

    Returns:
        Two (4, 4) tables, type by next type, rows adding up to 1: inside a session, and for its last event.
    """
    measured = load_calibration().window["next_event"]
    seen = EVENT_TYPES[:REMOVE]
    table = np.array([[measured[a].get(b, 0.0) for b in EVENT_TYPES] for a in seen])
    table[VIEW, CART] *= cart_raise
    table[VIEW, PURCHASE] *= _PURCHASE_RAISE
    # After a removal things go on as after a view.
    table = np.vstack([table, table[VIEW]])
    end = np.array([measured[a]["end"] for a in (*seen, EVENT_TYPES[VIEW])])
    return _with_removals(table * (1 - end), removals), _with_removals(table * end, removals)


def _with_removals(table: Floats, removals: float) -> Floats:
    shares: Floats = table / table.sum(axis=1, keepdims=True)
    shares[CART] *= 1 - removals
    shares[CART, REMOVE] = removals
    return shares
