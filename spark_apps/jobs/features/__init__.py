"""`shopstream features`: the user, product and interaction tables (SPEC F1-F3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from spark_apps.engine.base import Engine, Relation
from spark_apps.engine.published import applied_relation, stored_schema
from spark_apps.features import units
from spark_apps.jobs.features.reference import find_reference
from spark_apps.jobs.quarantine import require_events
from spark_apps.settings import Settings
from spark_apps.storage import StoragePath, write_durably
from spark_apps.storage.transaction import Transaction
from spark_apps.tables import (
    FEATURES_READ,
    INTERACTIONS,
    PRODUCT_FEATURES,
    STREAM_EVENTS,
    USER_FEATURES,
    DateRange,
)

_TABLES = (USER_FEATURES, PRODUCT_FEATURES, INTERACTIONS)
TARGETS = [*(table.path for table in _TABLES), FEATURES_READ]
_PRODUCT_SUMS = "product_sums"


@dataclass(frozen=True)
class FeatureTables:
    """The three tables as staged, with what later steps need to know of them.

    Attributes:
        users, products, interactions: their rows.
        rows: table -> number of rows.
        first_date, last_date: of the events.
        reference_date: the one that recency counts from.
    """

    users: Relation
    products: Relation
    interactions: Relation
    rows: dict[str, int]
    first_date: date
    last_date: date
    reference_date: date


def run(engine: Engine, settings: Settings, root: StoragePath, dates: DateRange) -> dict[str, int]:
    """Computes and publishes the feature tables.

    Returns:
        Rows per table.
    """
    with Transaction(root, TARGETS) as transaction:
        tables = build(engine, settings, root, transaction, dates)
        transaction.commit()
    return tables.rows


def build(
    engine: Engine, settings: Settings, root: StoragePath, transaction: Transaction, dates: DateRange
) -> FeatureTables:
    """Computes the feature tables into a transaction that the caller commits."""
    require_events(root, dates)
    applied = applied_relation(root, dates, transaction.scratch(STREAM_EVENTS.name))
    staged = {table.name: transaction.stage(table.path) for table in _TABLES}
    sums = transaction.scratch(_PRODUCT_SUMS)
    tables = compute(engine, settings, applied.events, applied.days, staged, sums)
    write_durably(transaction.stage(FEATURES_READ), applied.read.model_dump_json())
    for target in TARGETS:
        transaction.replace(target)
    return tables


def compute(
    engine: Engine,
    settings: Settings,
    events: Relation,
    days: list[date],
    folders: Mapping[str, StoragePath],
    scratch: StoragePath,
) -> FeatureTables:
    """Computes the feature tables of events.

    Args:
        engine: runs the units.
        settings: the run's settings.
        events: columns of schemas.EVENTS.
        days: the dates that there are of them, in order; at least one.
        folders: by the names of the tables, new ones.
        scratch: a new folder for what is made on the way.
    """
    reference = find_reference(engine, events, days)
    made = engine.run(
        units.user_tables,
        {"events": events.select(*units.EVENT_COLUMNS.names)},
        by="user_id",
        outputs={name: folders[name] for name in (USER_FEATURES.name, INTERACTIONS.name)} | {_PRODUCT_SUMS: scratch},
        shared=units.FeatureOptions(reference.day, settings.scores, reference.first),
    )
    described = engine.run(
        units.product_table,
        {_PRODUCT_SUMS: Relation.of(scratch, units.PRODUCT_SUMS)},
        by="product_id",
        outputs={PRODUCT_FEATURES.name: folders[PRODUCT_FEATURES.name]},
        shared=units.mean_points(made.result("points", units.POINTS)),
    )
    rows = {table.name: (made.rows | described.rows)[table.name] for table in _TABLES}
    users, products, interactions = (Relation.of(folders[table.name], stored_schema(table)) for table in _TABLES)
    return FeatureTables(users, products, interactions, rows, days[0], days[-1], reference.day)
