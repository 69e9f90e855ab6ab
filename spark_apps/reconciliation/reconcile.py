"""Two counts of the same thing, made from different tables, place by place: per date, user, product or batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import pyarrow as pa

from spark_apps.engine.base import Done, Task
from spark_apps.engine.database import sql

_ROOM = "spark_apps.reconciliation"
SHOWN_PLACES = 3
SUMS = pa.schema([(name, pa.int64()) for name in ("expected", "found", "places", "differing")])
EXAMPLES = pa.schema([(name, pa.int64()) for name in ("place", "expected", "found")])
COUNTS = pa.schema([(name, pa.int64()) for name in ("place", "number")])
Place = TypeVar("Place", bound=int | str | None)


@dataclass(frozen=True)
class Reconciliation:
    """What is counted twice.

    Attributes:
        what: the two sides, in words.
        expected, found: sums over all places.
        places: places with a count on either side.
        differing: those of them whose two counts differ.
        examples: the first differing places in their order, at most SHOWN_PLACES.
        fix: what to run where it does not balance.
    """

    what: str
    expected: int
    found: int
    places: int
    differing: int
    examples: tuple[str, ...]
    fix: str

    @property
    def holds(self) -> bool:
        """Whether the two counts are equal at every place; equal sums alone are not enough."""
        return self.differing == 0


@dataclass(frozen=True)
class Sides:
    """Two counts that an engine makes and compares: a query each, as `counted` and `summed` return them.

    Attributes:
        what: the two sides, in words.
        expected, found: SQL over a unit's inputs; columns place (whole numbers, null allowed), number (rows or events);
            each place once.
        fix: what to run where they do not balance.
    """

    what: str
    expected: str
    found: str
    fix: str


def reconcile(what: str, expected: Mapping[Place, int], found: Mapping[Place, int], fix: str) -> Reconciliation:
    """Compares two counts place by place; a place that one side does not have counts 0 there.

    Args:
        what: the two sides, in words.
        expected: place (of any one type, or None) -> rows or events.
        found: the same.
        fix: what to run where it does not balance.
    """
    places = expected.keys() | found.keys()
    sides = [(place, expected.get(place, 0), found.get(place, 0)) for place in places]
    differing = [side for side in sides if side[1] != side[2]]
    sums = (sum(expected.values()), sum(found.values()), len(places), len(differing))
    return Reconciliation(what, *sums, examples=_first(differing), fix=fix)


def nothing_of(what: str, wrong: Sequence[str], fix: str) -> Iterator[Reconciliation]:
    """Yields a reconciliation that does not hold where something is wrong, and none where nothing is.

    Args:
        what: the two sides, in words.
        wrong: what differs, each in words.
        fix: what to run then.
    """
    if wrong:
        number = len(wrong)
        yield Reconciliation(what, number, 0, number, number, tuple(wrong[:SHOWN_PLACES]), fix)


def compare(task: Task) -> None:
    """Compares counts place by place, as `reconcile` does.

    Inputs: those that the queries name, all rows of a place. Shared: the Sides. Gives for each of them its sums, a row,
    and its examples, at most SHOWN_PLACES rows: `reconciliations` puts them together.
    """
    sides: Sequence[Sides] = task.shared
    database = task.database
    database.set(shown_places=SHOWN_PLACES)
    for one in sides:
        database.view("expected_side", one.expected)
        database.view("found_side", one.found)
        database.table("sides", sql(_ROOM, "sides"))
        task.give(one.what, database.rows(sql(_ROOM, "side_sums"), SUMS))
        task.give(_examples_of(one.what), database.rows(sql(_ROOM, "side_examples"), EXAMPLES))


def reconciliations(done: Done, sides: Sequence[Sides]) -> list[Reconciliation]:
    """Returns what all tasks of `compare` found, in the order of the sides."""
    return [_put_together(done, one) for one in sides]


def count_places(task: Task) -> None:
    """Counts place by place, for places that are few enough for one process: the caller compares them.

    Inputs: those that the queries name, all rows of a place. Shared: name -> query. Gives under each name COUNTS: a row
    a place.
    """
    queries: Mapping[str, str] = task.shared
    for name, query in queries.items():
        task.give(name, task.database.rows(query, COUNTS))


def counts_of(done: Done, name: str) -> dict[int | None, int]:
    """Returns what all tasks of `count_places` counted under a name: place -> number."""
    rows = done.result(name, COUNTS)
    return dict(zip(rows["place"].to_pylist(), rows["number"].to_pylist(), strict=True))


def counted(rows: str, place: str, where: str = "true") -> str:
    """Returns a query for the number of rows of each place.

    Args:
        rows: name of an input.
        place: the column that names the place.
        where: a condition that rows must meet.
    """
    return _by_place(rows, place, "count(*)", where)


def summed(rows: str, place: str, number: str, where: str = "true") -> str:
    """Returns a query for the sum of a column, whole numbers, for each place: see `counted`."""
    return _by_place(rows, place, f"sum({number})", where)


def distinct(rows: str, place: str, column: str) -> str:
    """Returns a query for the number of different values of a column for each place: see `counted`."""
    return _by_place(rows, place, f"count(distinct {column})", "true")


def _by_place(rows: str, place: str, number: str, where: str) -> str:
    return f"select {place} as place, {number} as number from {rows} where {where} group by {place}"


def _examples_of(what: str) -> str:
    return f"{what}: examples"


def _put_together(done: Done, sides: Sides) -> Reconciliation:
    rows = done.result(sides.what, SUMS)  # a row a task
    examples = done.result(_examples_of(sides.what), EXAMPLES).to_pylist()
    sums = {name: sum(rows[name].to_pylist()) for name in SUMS.names}
    return Reconciliation(sides.what, **sums, examples=_first(tuple(row.values()) for row in examples), fix=sides.fix)


def _first(differing: Iterable[tuple[Any, int, int]]) -> tuple[str, ...]:
    """Tells of the first places in their order, of which none comes first."""
    in_order = sorted(differing, key=lambda side: (side[0] is not None, side[0]))
    return tuple(
        f"{'none' if place is None else place}: {expected:,} and {found:,}"
        for place, expected, found in in_order[:SHOWN_PLACES]
    )
