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
from spark_apps.settings import EventScores, Settings
from spark_apps.storage import StoragePath, write_parquet
from spark_apps.tables import (
    INTERACTIONS,
    PRODUCT_FEATURES,
    USER_FEATURES,
    DateRange,
    read_events,
    read_files,
    read_table,
    try_of_task,
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
    made = publication.scratch(INTERACTIONS.name)
    gathered = gather(events, partial(write_interactions, made, settings.scores)).persist()
    frames = {USER_FEATURES: user_features(gathered, days[-1]), PRODUCT_FEATURES: product_features(gathered)}
    for table, frame in frames.items():
        write_files(frame, staged[table], table)
    stage_interactions(made, staged[INTERACTIONS])
    gathered.unpersist()
    for table in staged:
        publication.replace(table.path)
    written = {table: read_files(spark, folder, table) for table, folder in staged.items()}
    return FeatureTables(written[USER_FEATURES], written[PRODUCT_FEATURES], written[INTERACTIONS], days[0], days[-1])


def write_interactions(folder: StoragePath, scores: EventScores, pairs: pa.Table) -> None:
    """Writes the interactions of a task's pairs as a file of this try, which is there when it is whole.

    They are by far the most rows: written by Spark, they would pass through the JVM one by one.
    """
    in_time = pairs.take(np.argsort(pairs["last_time"].to_numpy(), kind="stable"))  # times take less room so
    draft = folder / f"{try_of_task()}.part"
    write_parquet(draft, interaction_rows(in_time, scores), seldom_repeated=["last_time"])
    draft.rename(draft.with_suffix(".parquet"))


def stage_interactions(made: StoragePath, staged: StoragePath) -> None:
    """Moves one file of each partition; a task that was tried twice has left two that hold the same."""
    staged.mkdir()  # no pair makes no file
    files: list[StoragePath] = sorted(made.glob("*.parquet"), key=str)
    partitions = set()
    for file in files:
        _, partition, _ = file.name.split("-")
        if partition not in partitions:
            partitions.add(partition)
            file.rename(staged / file.name)
