"""The feature tables of hand-made events, made by the units on this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from spark_apps.engine.base import Engine, Relation
from spark_apps.engine.local import LocalEngine
from spark_apps.engine.published import stored_schema
from spark_apps.features import units
from spark_apps.settings import EventScores
from spark_apps.tables import INTERACTIONS, PRODUCT_FEATURES, USER_FEATURES, Table
from tests.factory import rows_of_files, write_events_table

Rows = list[dict[str, Any]]
ORDER: dict[Table, tuple[str, ...]] = {
    USER_FEATURES: ("user_id",),
    PRODUCT_FEATURES: ("product_id",),
    INTERACTIONS: ("user_id", "product_id"),
}
OCTOBER = date(2019, 10, 31)


def local_engine(folder: Path) -> LocalEngine:
    """An engine of two cores with little memory."""
    return LocalEngine(2, 256 << 20, folder / "spill")


def make_tables(
    folder: Path,
    events: Sequence[Mapping[str, Any]] | Relation,
    last_date: date = OCTOBER,
    scores: EventScores | None = None,
    engine: Engine | None = None,
) -> dict[Table, Rows]:
    """Makes the three tables of events.

    Args:
        folder: for files; nothing stands in it yet.
        events: as `factory.write_events_table` takes them, or files.
        last_date: from which recency counts.
        scores: points of events.
        engine: this machine by default.
    """
    files = events if isinstance(events, Relation) else write_events_table(folder / "events", events)
    options = units.FeatureOptions(last_date, scores or EventScores())
    engine = engine or local_engine(folder)
    staged = {table.name: folder / table.name for table in ORDER}
    outputs = {name: staged[name] for name in (USER_FEATURES.name, INTERACTIONS.name)}
    outputs["product_sums"] = folder / "product_sums"
    inputs = {"events": files.select(*units.EVENT_COLUMNS.names)}
    made = engine.run(units.user_tables, inputs, by="user_id", outputs=outputs, shared=options)
    engine.run(
        units.product_table,
        {"product_sums": Relation.of(folder / "product_sums", units.PRODUCT_SUMS)},
        by="product_id",
        outputs={PRODUCT_FEATURES.name: staged[PRODUCT_FEATURES.name]},
        shared=units.mean_points(made.result("points", units.POINTS)),
    )
    return {
        table: rows_of_files(Relation.of(staged[table.name], stored_schema(table)), *order)
        for table, order in ORDER.items()
    }
