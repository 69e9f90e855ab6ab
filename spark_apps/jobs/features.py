"""`shopstream features`: the user, product and interaction tables (SPEC F1-F3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from pyspark.sql import DataFrame, SparkSession

from spark_apps.features.gathering import gather
from spark_apps.features.interactions import interactions
from spark_apps.features.pairs import pair_sums
from spark_apps.features.products import product_features
from spark_apps.features.users import user_features
from spark_apps.publication import Publication
from spark_apps.settings import Settings
from spark_apps.storage import StoragePath
from spark_apps.tables import (
    INTERACTIONS,
    PRODUCT_FEATURES,
    USER_FEATURES,
    DateRange,
    read_events,
    read_files,
    read_table,
    write_files,
)

TARGETS = [table.path for table in (USER_FEATURES, PRODUCT_FEATURES, INTERACTIONS)]


@dataclass(frozen=True)
class FeatureTables:
    """The three tables as written, with what later steps need to know of them."""

    users: DataFrame
    products: DataFrame
    interactions: DataFrame
    first_date: date
    last_date: date


def run(spark: SparkSession, settings: Settings, root: StoragePath, dates: DateRange) -> dict[str, int]:
    """Computes and publishes the feature tables.

    Returns:
        Rows per table.
    """
    with Publication(root, TARGETS) as publication:
        tables = build(spark, settings, root, publication, dates)
        publication.commit()
        rows = {
            USER_FEATURES.name: tables.users,
            PRODUCT_FEATURES.name: tables.products,
            INTERACTIONS.name: tables.interactions,
        }
        return {name: read_table(spark, root, _TABLES[name]).count() for name in rows}


_TABLES = {table.name: table for table in (USER_FEATURES, PRODUCT_FEATURES, INTERACTIONS)}


def build(
    spark: SparkSession, settings: Settings, root: StoragePath, publication: Publication, dates: DateRange
) -> FeatureTables:
    """Computes the feature tables into a publication that the caller commits."""
    events, days = read_events(spark, root, dates)
    gathered = gather(events).persist()
    pairs = pair_sums(gathered)
    frames = {
        INTERACTIONS: interactions(pairs, settings.scores),
        USER_FEATURES: user_features(gathered, days[-1]),
        PRODUCT_FEATURES: product_features(pairs),
    }
    written = {}
    for table, frame in frames.items():
        staged = publication.stage(table.path)
        write_files(frame, staged, table)
        publication.replace(table.path)
        written[table] = read_files(spark, staged, table)
    gathered.unpersist()
    return FeatureTables(written[USER_FEATURES], written[PRODUCT_FEATURES], written[INTERACTIONS], days[0], days[-1])
