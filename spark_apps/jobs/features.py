"""`shopstream features`: the user, product and interaction tables (SPEC F1-F3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from spark_apps.engine.base import Engine, Relation
from spark_apps.engine.published import applied_relation, stored_schema
from spark_apps.features import units
from spark_apps.jobs.quarantine import require_events
from spark_apps.jobs.reference import find_reference
from spark_apps.publication import Publication
from spark_apps.settings import Settings
from spark_apps.storage import StoragePath, write_durably
from spark_apps.tables import (
    FEATURES_READ,
    INTERACTIONS,
    PRODUCT_FEATURES,
    STREAM_EVENTS,
    USER_FEATURES,
    DateRange,
)

TARGETS = [*(table.path for table in (USER_FEATURES, PRODUCT_FEATURES, INTERACTIONS)), FEATURES_READ]
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
    with Publication(root, TARGETS) as publication:
        tables = build(engine, settings, root, publication, dates)
        publication.commit()
    return tables.rows


def build(
    engine: Engine, settings: Settings, root: StoragePath, publication: Publication, dates: DateRange
) -> FeatureTables:
    """Computes the feature tables into a publication that the caller commits."""
    require_events(root, dates)
    applied = applied_relation(root, dates, publication.scratch(STREAM_EVENTS.name))
    events, days = applied.events, applied.days
    reference = find_reference(engine, events, days)
    staged = {table.name: publication.stage(table.path) for table in (USER_FEATURES, PRODUCT_FEATURES, INTERACTIONS)}
    sums = publication.scratch(_PRODUCT_SUMS)
    made = engine.run(
        units.user_tables,
        {"events": events.select(*units.EVENT_COLUMNS.names)},
        by="user_id",
        outputs={name: staged[name] for name in (USER_FEATURES.name, INTERACTIONS.name)} | {_PRODUCT_SUMS: sums},
        shared=units.FeatureOptions(reference.day, settings.scores, reference.first),
    )
    described = engine.run(
        units.product_table,
        {_PRODUCT_SUMS: Relation.of(sums, units.PRODUCT_SUMS)},
        by="product_id",
        outputs={PRODUCT_FEATURES.name: staged[PRODUCT_FEATURES.name]},
        shared=units.mean_points(made.result("points", units.POINTS)),
    )
    write_durably(publication.stage(FEATURES_READ), applied.read.model_dump_json())
    for target in TARGETS:
        publication.replace(target)
    rows = {name: (made.rows | described.rows)[name] for name in staged}
    users, products, interactions = (
        Relation.of(staged[table.name], stored_schema(table))
        for table in (USER_FEATURES, PRODUCT_FEATURES, INTERACTIONS)
    )
    return FeatureTables(users, products, interactions, rows, days[0], days[-1], reference.day)
