"""Who visits: users as whole numbers, how busy each is, and who is around in a month.

User number i is the i-th to arrive. A month sees a window of numbers, which moves on by a twentieth every
month; and as light users skip months, about a third of a month's users were not seen the month before
(SPEC D7). How busy a user is follows from the number alone, so it lasts over the months.
"""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist

import numpy as np

from spark_apps.generator.hashing import Floats, Ints, Purpose, hashed

_TIER_BITS = 8
TIERS = 1 << _TIER_BITS
# Spread of the logarithm of a user's activity: 45 % of the users have one session in the month.
_ACTIVITY_SPREAD = 1.4
# Share of the window that leaves, and that arrives, every month.
_TURNOVER = 0.05
# Sessions fall on users at random, so with fewer than this per user not all can be reached.
_FEWEST_SESSIONS_PER_USER = 1.25

_FIRST_USER_ID = 512_000_000
_LAST_USER_ID = (1 << 31) - 1
_ID_STRIDE = 8
# Ids are scrambled in blocks: they grow with the time of arrival, yet do not show a user's tier.
_BLOCK = 1 << 16
_MULTIPLY = 40_503
_DIVIDE = pow(_MULTIPLY, -1, _BLOCK)
_LAST_USER = (_LAST_USER_ID - _FIRST_USER_ID) // _ID_STRIDE // _BLOCK * _BLOCK - 1


def user_ids(seed: int, users: Ints) -> Ints:
    """The ids under which users appear in the log.

    Args:
        seed: the generator's seed.
        users: user numbers from 0.

    Returns:
        Ids from 512,000,000 to 2^31 - 1, of the same shape.
    """
    block, place = np.divmod(users, _BLOCK)
    jitter = hashed(seed, Purpose.USER_ID, users) % np.uint64(_ID_STRIDE)
    # Both halves of the 16 bits end up in each other; the fold undoes itself.
    place = _folded(place * _MULTIPLY % _BLOCK) * _MULTIPLY % _BLOCK
    ids = _FIRST_USER_ID + (block * _BLOCK + place) * _ID_STRIDE + jitter.astype(np.int64)
    return np.asarray(ids, dtype=np.int64)


def user_numbers(seed: int, ids: Ints) -> Ints:
    """User numbers behind ids: the inverse of `user_ids`.

    Args:
        seed: the generator's seed.
        ids: user ids as in the log.

    Returns:
        User numbers, of the same shape.

    Raises:
        ValueError: an id that no user of this seed has.
    """
    block, place = np.divmod((ids - _FIRST_USER_ID) // _ID_STRIDE, _BLOCK)
    place = _folded(place * _DIVIDE % _BLOCK) * _DIVIDE % _BLOCK
    users = np.asarray(block * _BLOCK + place, dtype=np.int64)
    unknown = np.flatnonzero((users < 0) | (user_ids(seed, users) != ids))
    if len(unknown):
        raise ValueError(f"{ids[unknown[0]]} is no user id of seed {seed}: take ids from that seed's events.")
    return users


def _folded(place: Ints) -> Ints:
    return place ^ (place >> 8)


@lru_cache(maxsize=1)
def _activity() -> Floats:
    """Activity of the 256 tiers, mean 1. Tier t holds the users whose number ends in t.

    Tier t lies at the quantile t with its bits reversed, so that the few numbers of a small window are spread
    over all levels of activity.
    """
    tiers = np.arange(TIERS)
    reversed_bits = np.zeros(TIERS, dtype=np.int64)
    for bit in range(_TIER_BITS):
        reversed_bits |= ((tiers >> bit) & 1) << (_TIER_BITS - 1 - bit)
    normal = NormalDist(0.0, _ACTIVITY_SPREAD)
    activity = np.exp([normal.inv_cdf((int(place) + 0.5) / TIERS) for place in reversed_bits])
    return np.asarray(activity / activity.mean())


class Population:
    """The users who may visit in one month.

    Attributes:
        first: the smallest user number of the window.
        size: how many numbers the window holds; more than the users seen, as some stay away.
    """

    def __init__(self, month: int, users: int, sessions: float) -> None:
        """Sizes the window so that about `users` users are seen.

        Args:
            month: months since October 2019.
            users: distinct users wanted in the month.
            sessions: sessions expected in the month.

        Raises:
            ValueError: more users than ids of 32 bits.
        """
        self.size = max(1, round(users * _window_per_user(sessions / users)))
        self.first = round(month * _TURNOVER * self.size)
        if self.first + self.size > _LAST_USER:
            raise ValueError(f"{users:,} users are more than 32-bit user ids can name: ask for fewer.")
        tiers = np.arange(TIERS)
        self._tier_first = self.first + (tiers - self.first) % TIERS
        self._tier_count = np.maximum(0, -(-(self.first + self.size - self._tier_first) // TIERS))
        mass = np.cumsum(self._tier_count * _activity())
        self._tier_share = mass / mass[-1]

    def draw(self, tier_draws: Floats, member_draws: Floats) -> Ints:
        """Picks the user of each session; busy users come up more often.

        Args:
            tier_draws: uniform numbers from 0 up to but not 1, one per session.
            member_draws: as many more.

        Returns:
            User numbers.
        """
        tier = np.searchsorted(self._tier_share, tier_draws, side="right")
        member = (member_draws * self._tier_count[tier]).astype(np.int64)
        return np.asarray(self._tier_first[tier] + member * TIERS, dtype=np.int64)


def _window_per_user(sessions_per_user: float) -> float:
    """Size of the window per user seen, when sessions fall on users at random by their activity."""
    wanted = max(sessions_per_user, _FEWEST_SESSIONS_PER_USER)
    low, high = 1e-6, wanted
    for _ in range(60):
        mean = (low + high) / 2
        seen = float(np.mean(-np.expm1(-mean * _activity())))
        low, high = (mean, high) if mean / seen < wanted else (low, mean)
    return wanted / low
