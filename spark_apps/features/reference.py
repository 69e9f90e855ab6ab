"""The dates that recency counts between: those that the data support, not what some clock claims (SPEC F1).

One wrong clock must not make everybody a user of long ago, nor stretch the scale of recency until nothing else shows
on it. What it looks like: a few users, on their own, long after all the others or long before. So dates at the end of a
log do not count where three things come together, and dates at its beginning neither:

- between them and the rest is a gap of more than ten times the usual distance of dates, which for a shop with events
  every day is ten days: a quiet day, a closed week or the sparse days of a small shop are no gap;
- only a handful of users were seen last on them: two, or one in a hundred of all;
- ten times as many others were seen last on other dates.

A last day that has only begun has no gap before it, a month after a gap has more than a handful of users: both count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from statistics import median

_GAP = 10  # usual distances
HANDFUL, _SHARE = 2, 100
_OTHERS = 10


@dataclass(frozen=True)
class Reference:
    """What recency counts from, and to.

    Attributes:
        day: the date that it counts from; who was seen later has 0.
        first: the date that it counts to at most; who was seen last before has as many days as on this one.
        later: users seen after `day`, by `last`, the last date of the data.
        earlier: users seen last before `first`.
        users: all of them; 0 where nothing is left out and none were counted.
    """

    day: date
    first: date
    last: date
    later: int = 0
    earlier: int = 0
    users: int = 0

    def sentences(self) -> list[str]:
        """Says what is left out; nothing for an ordinary log."""
        said = []
        if self.later:
            said.append(
                f"Recency counts from {self.day}: only {_of(self.later, self.users)} seen after it, up to {self.last}, "
                f"{(self.last - self.day).days:,} days later. That looks like a wrong clock."
            )
        if self.earlier:
            said.append(
                f"Recency counts to {self.first} at most: only {_of(self.earlier, self.users)} seen last long before. "
                "That looks like a wrong clock."
            )
        return said


def _of(some: int, users: int) -> str:
    return f"{some:,} of {users:,} users {'was' if some == 1 else 'were'}"


def handful(users: int) -> int:
    """Returns how many of some users are so few that their clocks prove nothing."""
    return max(HANDFUL, users // _SHARE)


def gaps(days: Sequence[date]) -> list[int]:
    """Returns the places of the dates that stand after a gap, as those before it have it.

    Args:
        days: the dates with events, one after the other in either direction of time.
    """
    distances = [abs((after - day).days) for day, after in pairwise(days)]
    wide = [place for place, distance in enumerate(distances) if distance > _GAP]
    return [place + 1 for place in wide if distances[place] > _GAP * median(distances[:place] or [1])]


def has_gaps(days: Sequence[date]) -> bool:
    """Says whether there is a gap at all, so that users must be counted."""
    return bool(gaps(days) or gaps(days[::-1]))


def reference_of(days: Sequence[date], users: Mapping[date, int]) -> Reference:
    """Returns the dates that recency counts between.

    Args:
        days: the dates with events, in order, at least one.
        users: for each date, how many have their last event on it. Not looked at where there is no gap.
    """
    everybody = sum(users.values())
    ends, later = _supported(days, users, everybody)
    starts, earlier = _supported(days[ends::-1], users, everybody)
    return Reference(days[ends], days[ends - starts], days[-1], later, earlier, everybody if later or earlier else 0)


def _supported(days: Sequence[date], users: Mapping[date, int], everybody: int) -> tuple[int, int]:
    """The place of the last date that counts, and the users seen last on those after it."""
    for place in gaps(days):
        few = sum(users.get(day, 0) for day in days[place:])
        if few <= handful(everybody) and everybody - few >= _OTHERS * few:
            return place - 1, few
    return len(days) - 1, 0
