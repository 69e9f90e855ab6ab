"""Synthetic events: the generator's front door (SPEC D7)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from spark_apps.generator.blocks import MonthBlocks
from spark_apps.generator.csv_writer import write_csv
from spark_apps.generator.spec import GeneratorSpec
from spark_apps.generator.tables import SCHEMA, TableMaker


def event_batches(spec: GeneratorSpec) -> Iterator[pa.Table]:
    """Makes synthetic events in time order, a table of some 200,000 at a time.

    Args:
        spec: how many, of which month, from which seed.

    Yields:
        Tables with the nine columns of SPEC D1 (see tables.SCHEMA), spec.events rows together.

    Raises:
        ValueError: more users than 32-bit ids can name.
    """
    month = MonthBlocks(spec)
    maker = TableMaker(month)
    for events in month:
        yield maker.table(events)


def write_events(spec: GeneratorSpec, target: Path, on_progress: Callable[[int], None] | None = None) -> int:
    """Writes synthetic events as one CSV file in the layout of SPEC D1.

    Args:
        spec: how many, of which month, from which seed; the same spec writes the same bytes.
        target: the file; a name that ends in .gz is compressed. It appears complete or not at all.
        on_progress: called now and then with the events written so far.

    Returns:
        Events written.

    Raises:
        ValueError: more users than 32-bit ids can name.
        OSError: the file cannot be written.
    """
    return write_csv(event_batches(spec), SCHEMA.names, target, on_progress)
