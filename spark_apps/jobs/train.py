"""`shopstream train`: features, segments, ALS and every user's list, in one application (SPEC R1, R4, M1)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from pyspark.ml.recommendation import ALSModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.errors import NothingToDoError
from spark_apps.jobs import features as features_job
from spark_apps.jobs import segment as segment_job
from spark_apps.jobs.features import FeatureTables
from spark_apps.progress import step
from spark_apps.publication import Publication
from spark_apps.recommendation import als
from spark_apps.recommendation.ids import INDEX_SCHEMA, fits_int, number_ids, to_model_ids, to_original_ids
from spark_apps.recommendation.lists import ALS_SOURCE, item_factors, lists_for_all, products_to_exclude
from spark_apps.recommendation.popularity import popular_products, popular_to_users_without_list
from spark_apps.registry.versions import ALS, POPULARITY, Metadata, model_path, new_version, write_metadata
from spark_apps.schemas import POPULAR_PRODUCTS
from spark_apps.session import local_cores
from spark_apps.settings import Engine, Settings
from spark_apps.storage import StoragePath
from spark_apps.tables import RECOMMENDATIONS, DateRange, read_files, write_files

USER_INDEX, PRODUCT_INDEX = "userIndex", "productIndex"
LISTS = "lists"


@dataclass(frozen=True)
class Training:
    """The metadata of the models that one training made."""

    als: Metadata
    segments: Metadata


@dataclass(frozen=True)
class _IdIndexes:
    """Numberings of ids that do not fit 32 bits; None where they do."""

    users: DataFrame | None
    products: DataFrame | None


def run(spark: SparkSession, settings: Settings, root: StoragePath, dates: DateRange, k: str) -> Training:
    """Trains everything on the clean events of a range of dates and publishes it at one moment."""
    version = new_version(root)
    targets = [
        *features_job.TARGETS,
        *segment_job.targets(version),
        RECOMMENDATIONS.path,
        model_path(ALS, version),
        model_path(POPULARITY, version),
    ]
    with Publication(root, targets) as publication:
        spark.sparkContext.setCheckpointDir(str(publication.scratch("checkpoint")))
        with step("Features", spark) as shown:
            tables = features_job.build(spark, settings, root, publication, dates)
            size = als.Size(tables.users.count(), tables.products.count(), tables.interactions.count())
            shown.done = f"{size.users:,} users, {size.products:,} products, {size.pairs:,} pairs"
        with step("Segments", spark) as shown:
            segmented = _segment(spark, settings, publication, tables, version, k, size)
            shown.done = ", ".join(segmented.metadata.segments)
        metadata = _recommend(spark, settings, publication, tables, segmented.users, version, size)
        publication.commit()
    return Training(metadata, segmented.metadata)


def _segment(
    spark: SparkSession,
    settings: Settings,
    publication: Publication,
    tables: FeatureTables,
    version: str,
    k: str,
    size: als.Size,
) -> segment_job.Segmentation:
    counts = {"products": size.products, "interactions": size.pairs}
    return segment_job.build(spark, settings, publication, tables.users, version, k, counts)


def _recommend(
    spark: SparkSession,
    settings: Settings,
    publication: Publication,
    tables: FeatureTables,
    segments: DataFrame,
    version: str,
    size: als.Size,
) -> Metadata:
    engine = als.choose_engine(settings.engine, size, settings.als.rank, settings.als_task_memory)
    model_folder = publication.stage(model_path(ALS, version))
    with step("ALS", spark) as shown:
        indexes = _fit_and_stage(spark, settings, publication, tables, model_folder, engine)
        shown.done = f"rank {settings.als.rank}, {settings.als.iterations} iterations, engine {engine}"
    with step("Popular products", spark):
        popular = _stage_popularity(spark, settings, publication, tables, segments, version)
    with step(f"Top {settings.top} for every user", spark) as shown:
        metrics = _stage_lists(spark, settings, publication, tables, segments, model_folder, indexes, popular)
        shown.done = f"{metrics['users_with_list']:,} users"
    als_metadata = _metadata(settings, tables, segments, version, size, ALS)
    als_metadata.parameters |= {
        **settings.als.model_dump(),
        "engine": engine,
        "scores": settings.scores.model_dump(),
    }
    als_metadata.metrics |= metrics
    write_metadata(model_folder, als_metadata)
    publication.replace(model_path(ALS, version))
    popularity = _metadata(settings, tables, segments, version, size, POPULARITY)
    popularity.parameters |= {"kept": settings.popular_kept}
    write_metadata(publication.stage(model_path(POPULARITY, version)), popularity)
    publication.replace(model_path(POPULARITY, version))
    return als_metadata


def _fit_and_stage(
    spark: SparkSession,
    settings: Settings,
    publication: Publication,
    tables: FeatureTables,
    folder: StoragePath,
    engine: Engine,
) -> _IdIndexes:
    indexes = _IdIndexes(
        _index(spark, tables.users.select("user_id"), publication.scratch(USER_INDEX)),
        _index(spark, tables.products.select("product_id"), publication.scratch(PRODUCT_INDEX)),
    )
    ratings = to_model_ids(tables.interactions, "user_id", "user", indexes.users)
    ratings = to_model_ids(ratings, "product_id", "item", indexes.products).select("user", "item", "score")
    model = als.fit_als(ratings, settings.als, engine, settings.seed, _task_threads(settings))
    if model.itemFactors.isEmpty():
        raise NothingToDoError("No user shows interest in any product, so there is nothing to learn: load more events.")
    model.write().overwrite().save(str(folder))
    for name, index in ((USER_INDEX, indexes.users), (PRODUCT_INDEX, indexes.products)):
        if index is not None:
            index.write.parquet(str(folder / name))
    return indexes


def _index(spark: SparkSession, ids: DataFrame, scratch: StoragePath) -> DataFrame | None:
    column = ids.columns[0]
    bounds = ids.agg(F.min(column).alias("smallest"), F.max(column).alias("largest")).collect()[0]
    if fits_int(bounds["smallest"], bounds["largest"]):
        return None
    number_ids(spark, ids).write.parquet(str(scratch))
    return spark.read.schema(INDEX_SCHEMA).parquet(str(scratch))


def _task_threads(settings: Settings) -> int:
    """The implicit engine's single task has a local machine to itself; elsewhere, its own core."""
    return local_cores(settings.master) if settings.master.startswith("local") else (os.cpu_count() or 1)


def _stage_popularity(
    spark: SparkSession,
    settings: Settings,
    publication: Publication,
    tables: FeatureTables,
    segments: DataFrame,
    version: str,
) -> DataFrame:
    folder = publication.stage(model_path(POPULARITY, version)) / LISTS
    lists = popular_products(tables.interactions, tables.products, segments, settings.popular_kept)
    lists.coalesce(1).write.parquet(str(folder))
    return spark.read.schema(POPULAR_PRODUCTS).parquet(str(folder))


def _stage_lists(
    spark: SparkSession,
    settings: Settings,
    publication: Publication,
    tables: FeatureTables,
    segments: DataFrame,
    model_folder: StoragePath,
    indexes: _IdIndexes,
    popular: DataFrame,
) -> dict[str, Any]:
    model = ALSModel.load(str(model_folder))
    users = to_original_ids(model.userFactors, "id", "user_id", indexes.users)
    items = item_factors(to_original_ids(model.itemFactors, "id", "product_id", indexes.products))
    excluded = products_to_exclude(tables.interactions, settings.exclude_purchased, settings.exclude_viewed)
    spread = users.repartition(4 * spark.sparkContext.defaultParallelism, "user_id")
    lists = lists_for_all(spark, spread, items, excluded, settings.top).withColumn("source", F.lit(ALS_SOURCE))
    without = segments.select("user_id", "segment").join(users.select("user_id"), on="user_id", how="left_anti")
    rest = popular_to_users_without_list(without, popular, excluded, settings.top)
    staged = publication.stage(RECOMMENDATIONS.path)
    write_files(lists.unionByName(rest), staged, RECOMMENDATIONS)
    publication.replace(RECOMMENDATIONS.path)
    return _list_metrics(read_files(spark, staged, RECOMMENDATIONS), len(items.ids))


def _list_metrics(lists: DataFrame, products: int) -> dict[str, Any]:
    row = lists.agg(
        F.count("*").alias("recommendations"),
        F.count_if(F.col("rank") == 1).alias("users_with_list"),
        F.avg("score").alias("mean_score"),
        F.count_if((F.col("rank") == 1) & (F.col("source") != ALS_SOURCE)).alias("users_with_popularity_only"),
    ).collect()[0]
    recommended = lists.select("product_id").distinct().count()
    return {
        **row.asDict(),
        "products_recommended": recommended,
        "catalogue_coverage": recommended / max(1, products),
    }


def _metadata(
    settings: Settings, tables: FeatureTables, segments: DataFrame, version: str, size: als.Size, name: str
) -> Metadata:
    return Metadata.describe(
        name=name,
        version=version,
        seed=settings.seed,
        first_date=tables.first_date.isoformat(),
        last_date=tables.last_date.isoformat(),
        users=size.users,
        products=size.products,
        interactions=size.pairs,
        segments=sorted(row["segment"] for row in segments.select("segment").distinct().collect()),  # at most k
        parameters={},
        metrics={},
    )
