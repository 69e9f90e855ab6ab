"""The ways in which visits go: event types in time order, shortened (SPEC E6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spark_apps.analysis.visits import PURCHASE, STEPS, Ints, Visits, counted, starts_of

# A type that follows itself is written so often at most: view>view stands for two views or more.
LONGEST_RUN = 2
# Steps that are written; what goes on after them ends in >...
MAX_STEPS = 8
_BITS = 3
_GOES_ON = "..."
_TOP = 15


def count_sequences(visits: Visits) -> tuple[Ints, Ints]:
    """Counts visits by their sequence.

    Events of a visit are put in order of time, those of the same second in order of STEPS. Runs of one type are cut
    to LONGEST_RUN, and of what is left the first MAX_STEPS steps are the sequence.

    Returns:
        Sequences as numbers that `_written` reads, and the visits of each: at most 120,000 different ones.
    """
    inside = visits.visit >= 0
    visit, kind = visits.visit[inside], visits.kind[inside]
    if not len(visit):
        return visit, kind
    kept = _place_in(starts_of(visit) | starts_of(kind)) < LONGEST_RUN
    visit, kind = visit[kept], kind[kept]
    first = starts_of(visit)
    place = _place_in(first)
    step = np.where(place < MAX_STEPS, kind + 1, 1) << (_BITS * np.minimum(place, MAX_STEPS))
    return counted(np.bitwise_or.reduceat(step, np.flatnonzero(first)))


def describe_sequences(found: Mapping[int, int]) -> dict[str, Any]:
    """Names the most frequent sequences.

    Args:
        found: visits for each sequence, as `count_sequences` counts them.

    Returns:
        sessions, distinct; `top`, the most frequent sequences, and `to_purchase`, the most frequent of those that hold
        a purchase: each with its sessions and their share of all sessions. Equals stand in the order of their text.
    """
    sessions = sum(found.values())
    rows = [
        {"sequence": text, "sessions": count, "share": count / sessions}
        for text, count in sorted(((_written(code), count) for code, count in found.items()), key=_most_first)
    ]
    bought = [row for row in rows if STEPS[PURCHASE] in str(row["sequence"]).split(">")]
    return {"sessions": sessions, "distinct": len(rows), "top": rows[:_TOP], "to_purchase": bought[:_TOP]}


def _place_in(starts: np.ndarray[Any, np.dtype[np.bool_]]) -> Ints:
    """Each entry's place, from 0, in the run that it belongs to."""
    places = np.arange(len(starts), dtype=np.int64)
    return places - np.maximum.accumulate(np.where(starts, places, 0))


def _written(code: int) -> str:
    mask = (1 << _BITS) - 1
    digits = [(code >> (_BITS * place)) & mask for place in range(MAX_STEPS)]
    steps = [STEPS[digit - 1] for digit in digits if digit]
    return ">".join([*steps, _GOES_ON] if code >> (_BITS * MAX_STEPS) else steps)


def _most_first(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]
