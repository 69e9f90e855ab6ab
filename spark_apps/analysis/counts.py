"""What the units counted, added up over all tasks."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Counts:
    """Everything that the analysis tells, as counts; the schemas of the tables stand in `units` and `tops`.

    Attributes:
        users, products, duplicates: numbers of them.
        cube: CUBE, a row an event type, date and hour.
        session_shapes: SESSION_SHAPES, a row a number of events or seconds.
        unit_types: UNIT_TYPES, a row a unit and set of event types.
        frequencies: FREQUENCIES, a row a number of visits or dates.
        sequences: SEQUENCES, a row a sequence.
        ranked_items: tops.ITEMS, the first of each kind.
        basket_counts: BASKET_COUNTS, a row an affinity.
        cells: TOGETHER, a row an affinity and two candidates.
    """

    users: int
    products: int
    duplicates: int
    cube: pa.Table
    session_shapes: pa.Table
    unit_types: pa.Table
    frequencies: pa.Table
    sequences: pa.Table
    ranked_items: pa.Table
    basket_counts: pa.Table
    cells: pa.Table
