"""The ways in which visits go: event types in time order, shortened (SPEC E6)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from spark_apps.analysis.funnels import PURCHASE, STEPS

# What `sequences.sql` writes for steps after the eighth, and what stands for it in a text.
_REST, _GOES_ON = ".", "..."
_TOP = 15


def describe_sequences(found: Mapping[str, int]) -> dict[str, Any]:
    """Names the most frequent sequences.

    Args:
        found: visits for each sequence, a digit a step, as `sequences.sql` counts them: a type that follows itself
            stands twice at most, so that view>view stands for two views or more; of what is left the first eight.

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


def _written(digits: str) -> str:
    return ">".join(_GOES_ON if digit == _REST else STEPS[int(digit)] for digit in digits)


def _most_first(item: tuple[str, int]) -> tuple[int, str]:
    return -item[1], item[0]
