"""`shopstream features`: the user, product and interaction tables (SPEC F1-F3)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import partial

import numpy as np
import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from spark_apps.features.gathering import gather
from spark_apps.features.interactions import interaction_rows
from spark_apps.features.products import product_features
from spark_apps.features.users import user_features
from spark_apps.publication import Publication
from spark_apps.settings import Settings
from spark_apps.storage import StoragePath, root_path, write_parquet
from spark_apps.tables import (
    INTERACTIONS,
    PRODUCT_FEATURES,
    USER_FEATURES,
    DateRange,
    partition_of_task,
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
    staged = {table: publication.stage(table.path) for table in (USER_FEATURES, PRODUCT_FEATURES, INTERACTIONS)}
    staged[INTERACTIONS].mkdir()  # no pair makes no file
    gathered = gather(events, partial(_write_interactions, str(staged[INTERACTIONS]), settings)).persist()
    frames = {USER_FEATURES: user_features(gathered, days[-1]), PRODUCT_FEATURES: product_features(gathered)}
    for table, frame in frames.items():
        write_files(frame, staged[table], table)
    gathered.unpersist()
    for table in staged:
        publication.replace(table.path)
    written = {table: read_files(spark, folder, table) for table, folder in staged.items()}
    return FeatureTables(written[USER_FEATURES], written[PRODUCT_FEATURES], written[INTERACTIONS], days[0], days[-1])


def _write_interactions(folder: str, settings: Settings, pairs: pa.Table) -> None:
    """Writes the interactions of a task's pairs; a second try of the same task replaces the file.

    They are by far the most rows: written by Spark, they would pass through the JVM one by one.
    """
    place = root_path(folder, settings.webhdfs, settings.hdfs_user, settings.replication)
    in_time = pairs.take(np.argsort(pairs["last_time"].to_numpy(), kind="stable"))  # times take less room so
    rows = interaction_rows(in_time, settings.scores)
    write_parquet(place / f"part-{partition_of_task():05d}.parquet", rows, seldom_repeated=["last_time"])
