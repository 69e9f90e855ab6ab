"""Who viewed, put into the cart and purchased (SPEC E6), and how often users come."""

from __future__ import annotations

from collections.abc import Mapping

from spark_apps.analysis.quantiles import quantile
from spark_apps.results import Result

# Event types in the order in which events of the same second are read; `steps.sql` says the same.
STEPS = ("view", "cart", "remove_from_cart", "purchase")
VIEW, CART, REMOVAL, PURCHASE = range(len(STEPS))
USERS, SESSIONS, PAIRS = "users", "sessions", "pairs"
SESSIONS_PER_USER, DAYS_PER_USER = "sessions_per_user", "days_per_user"
# The last is open.
_BANDS = ((1, 1), (2, 2), (3, 3), (4, 4), (5, 5), (6, 10), (11, 20), (21, 50), (51, None))


class Funnel(Result):
    """How far units (users, sessions, or pairs of user and product) get.

    viewed: units with a view; carted: of these, those with a cart; purchased: of these, those with a purchase;
    purchased_without_cart: viewed and purchased without a cart. Rates are shares from 0 to 1, None where there is
    nothing to divide by. In which order a unit did it is not asked: the log's clock has whole seconds.
    """

    viewed: int
    carted: int
    purchased: int
    purchased_without_cart: int
    view_to_cart: float | None
    cart_to_purchase: float | None
    view_to_purchase: float | None


class Abandonment(Result):
    """Units with a cart, viewed or not, those of them without a purchase, and their ratio, None without carts."""

    with_cart: int
    without_purchase: int
    rate: float | None


class Frequency(Result):
    """How often users come: visits, or dates with events, of each user.

    `distribution` holds users in bands such as `6-10`. Percentiles interpolate linearly and are exact. None where there
    are no users.
    """

    users: int
    mean: float | None
    median: float | None
    p90: float | None
    max: int | None
    distribution: dict[str, int]


def funnel(units: Mapping[int, int]) -> Funnel:
    """Counts how many of the units that viewed something also put something into the cart, and purchased.

    Args:
        units: number of units for each set of types, a sum of 2^(place in STEPS).
    """
    viewed, carted = _having(units, VIEW), _having(units, VIEW, CART)
    purchased = _having(units, VIEW, CART, PURCHASE)
    purchased_at_all = _having(units, VIEW, PURCHASE)
    return Funnel(
        viewed=viewed,
        carted=carted,
        purchased=purchased,
        purchased_without_cart=purchased_at_all - purchased,
        view_to_cart=ratio(carted, viewed),
        cart_to_purchase=ratio(purchased, carted),
        view_to_purchase=ratio(purchased_at_all, viewed),
    )


def abandonment(units: Mapping[int, int]) -> Abandonment:
    """Counts how many of the units with a cart have no purchase; units as in `funnel`."""
    carted = _having(units, CART)
    abandoned = carted - _having(units, CART, PURCHASE)
    return Abandonment(with_cart=carted, without_purchase=abandoned, rate=ratio(abandoned, carted))


def frequency(users: Mapping[int, int]) -> Frequency:
    """Describes how often users come.

    Args:
        users: users for each number of visits or dates, from 1.
    """
    total = sum(users.values())
    return Frequency(
        users=total,
        mean=sum(number * count for number, count in users.items()) / total if total else None,
        median=quantile(users, 0.5),
        p90=quantile(users, 0.9),
        max=max(users, default=None),
        distribution=_banded(users) if total else {},
    )


def ratio(part: int, whole: int) -> float | None:
    """Returns part / whole, or None where the whole is 0."""
    return part / whole if whole else None


def _having(units: Mapping[int, int], *kinds: int) -> int:
    wanted = sum(1 << kind for kind in kinds)
    return sum(count for types, count in units.items() if types & wanted == wanted)


def _banded(users: Mapping[int, int]) -> dict[str, int]:
    bands: dict[str, int] = {}
    for low, high in _BANDS:
        name = f"{low}+" if high is None else str(low) if low == high else f"{low}-{high}"
        bands[name] = sum(
            count for number, count in users.items() if low <= number and (high is None or number <= high)
        )
    return bands
