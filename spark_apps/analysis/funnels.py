"""Who viewed, put into the cart and purchased (SPEC E6), and how often users come."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spark_apps.analysis.visits import CART, PURCHASE, VIEW, Ints, Visits, counted, starts_of

USERS, SESSIONS, PAIRS = "users", "sessions", "pairs"
SESSIONS_PER_USER, DAYS_PER_USER = "sessions_per_user", "days_per_user"
# The last is open.
_BANDS = ((1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 10), (11, 20), (21, 50), (51, None))


def count_units(visits: Visits) -> dict[str, tuple[Ints, Ints]]:
    """Counts users, visits and (user, product) pairs by the event types that each of them has.

    Returns:
        For each kind of unit, sets of types as sums of 2^(place in STEPS), and the units with just these.
    """
    inside = visits.visit >= 0
    pair = visits.user * len(visits.products) + visits.product
    order = np.argsort(pair, kind="stable")
    return {
        USERS: _sets(visits.user, visits.kind),
        SESSIONS: _sets(visits.visit[inside], visits.kind[inside]),
        PAIRS: _sets(pair[order], visits.kind[order]),
    }


def count_frequencies(visits: Visits) -> dict[str, tuple[Ints, Ints]]:
    """Counts users by their visits, and by the dates on which they did anything.

    Returns:
        For each of the two, the distinct numbers from 1, and the users with that number.
    """
    inside = visits.visit >= 0
    first_events = starts_of(visits.visit[inside])
    first_day = int(visits.day.min(initial=0))
    span = int(visits.day.max(initial=0)) - first_day + 1
    days = np.unique(visits.user * span + visits.day - first_day) // span
    return {
        SESSIONS_PER_USER: counted(counted(visits.user[inside][first_events])[1]),
        DAYS_PER_USER: counted(counted(days)[1]),
    }


def funnel(units: Mapping[int, int]) -> dict[str, int | float | None]:
    """Tells how many of the units that viewed something also put something into the cart, and purchased.

    Args:
        units: number of units for each set of types, as `count_units` counts them.

    Returns:
        viewed: units with a view; carted: of these, those with a cart; purchased: of these, those with a purchase;
        purchased_without_cart: viewed and purchased without a cart; and three rates, None where nothing is there to
        divide by. In which order a unit did it is not asked: the log's clock has whole seconds.
    """
    viewed, carted = _having(units, VIEW), _having(units, VIEW, CART)
    purchased = _having(units, VIEW, CART, PURCHASE)
    purchased_at_all = _having(units, VIEW, PURCHASE)
    return {
        "viewed": viewed,
        "carted": carted,
        "purchased": purchased,
        "purchased_without_cart": purchased_at_all - purchased,
        "view_to_cart": ratio(carted, viewed),
        "cart_to_purchase": ratio(purchased, carted),
        "view_to_purchase": ratio(purchased_at_all, viewed),
    }


def abandonment(units: Mapping[int, int]) -> dict[str, int | float | None]:
    """Tells how many of the units with a cart, viewed or not, have no purchase.

    Args:
        units: number of units for each set of types.

    Returns:
        with_cart, without_purchase, and their ratio, None without carts.
    """
    carted = _having(units, CART)
    abandoned = carted - _having(units, CART, PURCHASE)
    return {"with_cart": carted, "without_purchase": abandoned, "rate": ratio(abandoned, carted)}


def frequency(users: Mapping[int, int]) -> dict[str, Any]:
    """Describes how often users come.

    Args:
        users: users for each number of visits or dates, from 1.

    Returns:
        users, mean, median, p90, max; and `distribution`, the users in bands such as `6-10`. Percentiles interpolate
        linearly and are exact. None where there are no users.
    """
    numbers = np.array(sorted(users), np.int64)
    counts = np.array([users[number] for number in sorted(users)], np.int64)
    total = int(counts.sum())
    return {
        "users": total,
        "mean": float((numbers * counts).sum() / total) if total else None,
        "median": _quantile(numbers, counts, 0.5),
        "p90": _quantile(numbers, counts, 0.9),
        "max": int(numbers[-1]) if total else None,
        "distribution": _banded(numbers, counts) if total else {},
    }


def ratio(part: int, whole: int) -> float | None:
    """Returns part / whole, or None where the whole is 0."""
    return part / whole if whole else None


def _sets(unit: Ints, kind: Ints) -> tuple[Ints, Ints]:
    """Units by their sets of types; a unit's events stand together."""
    if not len(unit):
        return unit, unit
    return counted(np.bitwise_or.reduceat(np.int64(1) << kind, np.flatnonzero(starts_of(unit))))


def _having(units: Mapping[int, int], *kinds: int) -> int:
    wanted = sum(1 << kind for kind in kinds)
    return sum(count for types, count in units.items() if types & wanted == wanted)


def _quantile(numbers: Ints, counts: Ints, share: float) -> float | None:
    if not len(numbers):
        return None
    up_to = np.cumsum(counts)
    place = share * (int(up_to[-1]) - 1)
    lower, upper = (int(numbers[np.searchsorted(up_to, int(end), side="right")]) for end in (place, np.ceil(place)))
    return lower + (upper - lower) * (place - int(place))


def _banded(numbers: Ints, counts: Ints) -> dict[str, int]:
    bands: dict[str, int] = {}
    for low, high in _BANDS:
        name = f"{low}+" if high is None else str(low) if low == high else f"{low}-{high}"
        inside = (numbers >= low) & (numbers <= (high if high is not None else numbers[-1]))
        bands[name] = int(counts[inside].sum())
    return bands
