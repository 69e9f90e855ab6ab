"""The ways in which visits go: event types in time order, shortened (SPEC E6)."""

from __future__ import annotations

from collections.abc import Mapping

from spark_apps.analysis.funnels import PURCHASE, STEPS
from spark_apps.results import Result

# What `sequences.sql` writes for steps after the eighth, and what stands for it in a text.
_REST, _GOES_ON = ".", "..."
_TOP = 15


class Path(Result):
    """A path inside sessions, such as view>view>cart>purchase, the sessions that go it, and their share of all."""

    sequence: str
    sessions: int
    share: float


class Sequences(Result):
    """The most frequent paths, and the most frequent of those that hold a purchase; equals in the order of text."""

    sessions: int
    distinct: int
    top: list[Path]
    to_purchase: list[Path]


def describe_sequences(found: Mapping[str, int]) -> Sequences:
    """Names the most frequent sequences.

    Args:
        found: visits for each sequence, a digit a step, as `sequences.sql` counts them: a type that follows itself
            stands twice at most, so that view>view stands for two views or more; of what is left the first eight.
    """
    sessions = sum(found.values())
    rows = [
        Path(sequence=text, sessions=count, share=count / sessions)
        for text, count in sorted(((_written(code), count) for code, count in found.items()), key=_most_first)
    ]
    bought = [row for row in rows if STEPS[PURCHASE] in row.sequence.split(">")]
    return Sequences(sessions=sessions, distinct=len(rows), top=rows[:_TOP], to_purchase=bought[:_TOP])


def _written(digits: str) -> str:
    return ">".join(_GOES_ON if digit == _REST else STEPS[int(digit)] for digit in digits)


def _most_first(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]
