"""Tables of the live stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from spark_apps.reports.data import Guesses, Stretch
from spark_apps.reports.formats import UNKNOWN_FIGURE, decimal, moment, numbers, share, whole
from spark_apps.reports.tables.table import table

_TOGETHER = "all"


def hits_table(stretches: Sequence[Stretch], recommenders: Mapping[str, str], caption: str) -> str:
    """Writes how often lists held what users then took.

    Args:
        stretches: of the stream.
        recommenders: recommender -> what people call it.
        caption: what the table shows.

    Returns:
        HTML; the last row is of all stretches together.
    """
    heads = ("Batches", *(f"{words}: {what}" for words in recommenders.values() for what in ("hits of", "hit rate")))
    rows = [(numbers(one["first"], one["last"]), *_hits([one], recommenders)) for one in stretches]
    return table(caption, heads, [*rows, (_TOGETHER, *_hits(stretches, recommenders))])


def changes_table(stretches: Sequence[Stretch], caption: str) -> str:
    """Writes how far segments moved.

    Args:
        stretches: of the stream.
        caption: what the table shows.

    Returns:
        HTML.
    """
    rows = [
        (numbers(one["first"], one["last"]), _until(one), share(one["change_rate"], 1), share(one["shift"], 1))
        for one in stretches
    ]
    return table(caption, ("Batches", "Events until", "Users who changed", "Largest shift of sizes"), rows)


def times_table(stretches: Sequence[Stretch], caption: str) -> str:
    """Writes how long batches took.

    Args:
        stretches: of the stream.
        caption: what the table shows.

    Returns:
        HTML.
    """
    rows = [
        (
            numbers(one["first"], one["last"]),
            whole(one["events"]),
            decimal(one["seconds"], 1),
            decimal(one["latency"], 1),
        )
        for one in stretches
    ]
    return table(caption, ("Batches", "Events (count)", "Slowest batch (s)", "Drop to tables, slowest (s)"), rows)


def sum_of(stretches: Sequence[Stretch], recommender: str) -> Guesses:
    """Adds up what a recommender's lists guessed over the stream."""
    told = [one["guesses"][recommender] for one in stretches if recommender in one["guesses"]]
    return {"trials": sum(one["trials"] for one in told), "hits": sum(one["hits"] for one in told)}


def _hits(stretches: Sequence[Stretch], recommenders: Mapping[str, str]) -> list[str]:
    sums = [sum_of(stretches, name) for name in recommenders]
    return [
        text
        for found in sums
        for text in (f"{whole(found['hits'])} of {whole(found['trials'])}", share(found["hits"], found["trials"]))
    ]


def _until(stretch: Stretch) -> str:
    return UNKNOWN_FIGURE if stretch["until"] is None else moment(stretch["until"].isoformat())
