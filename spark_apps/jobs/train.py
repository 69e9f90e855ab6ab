"""`shopstream train`: features, segments, ALS and every user's list, in one application (SPEC R1, R4, M1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyspark.ml.recommendation import ALSModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.errors import NothingToLearnError, TooFewToTuneError
from spark_apps.jobs import features as features_job
from spark_apps.jobs import segment as segment_job
from spark_apps.jobs import validation
from spark_apps.jobs.features import FeatureTables
from spark_apps.jobs.hybrid import (
    PRODUCT_INDEX,
    SEGMENT_SCORES,
    USER_INDEX,
    load_hybrid,
    load_without_factors,
    stage_hybrid,
)
from spark_apps.progress import step
from spark_apps.publication import Publication
from spark_apps.recommendation import als
from spark_apps.recommendation.hybrid import ALS_SOURCE, HybridRecommender
from spark_apps.recommendation.ids import INDEX_SCHEMA, IdIndexes, fits_int, number_ids, to_model_ids, to_original_ids
from spark_apps.recommendation.lists import lists_for_all, user_histories
from spark_apps.recommendation.popularity import popular_products, segment_scores
from spark_apps.registry.promotion import Candidate, Decision, publish_training
from spark_apps.registry.versions import (
    ALS,
    HYBRID,
    NAMES,
    POPULARITY,
    Metadata,
    model_path,
    new_version,
    write_metadata,
)
from spark_apps.session import task_threads
from spark_apps.settings import Engine, Settings
from spark_apps.storage import StoragePath
from spark_apps.tables import RECOMMENDATIONS, USER_SEGMENTS, DateRange, read_files, write_files

if TYPE_CHECKING:
    from spark_apps.jobs.tune import Tuning

LISTS = "lists"


@dataclass(frozen=True)
class Training:
    """The metadata of the models that one training made, and whether they were promoted."""

    als: Metadata
    segments: Metadata
    decision: Decision


def run(
    spark: SparkSession,
    settings: Settings,
    root: StoragePath,
    dates: DateRange,
    k: str,
    force: bool = False,
    trials: int = 0,
) -> Training:
    """Trains everything on the clean events of a range of dates and publishes it at one moment.

    Args:
        spark: the session.
        settings: the run's settings.
        root: folder of the tables and models.
        dates: which events.
        k: number of clusters, or `auto`.
        force: whether models that the gate refuses are promoted too.
        trials: fits of ALS by which parameters are tuned before; 0 takes those of the settings.

    Raises:
        TooFewToTuneError: when there are too few users to tune on.
    """
    version = new_version(root)
    targets = [
        *features_job.TARGETS,
        *segment_job.targets(version),
        RECOMMENDATIONS.path,
        model_path(ALS, version),
        model_path(POPULARITY, version),
        model_path(HYBRID, version),
    ]
    with Publication(root, targets) as publication:
        spark.sparkContext.setCheckpointDir(str(publication.scratch("checkpoint")))
        with step("Features", spark) as shown:
            tables = features_job.build(spark, settings, root, publication, dates)
            size = als.Size(tables.users.count(), tables.products.count(), tables.interactions.count())
            shown.done = f"{size.users:,} users, {size.products:,} products, {size.pairs:,} pairs"
        if trials and not validation.wanted(size.users, settings):
            raise TooFewToTuneError(math.ceil(validation.LEAST / validation.SHARE), validation.LEAST)
        with step("Segments", spark) as shown:
            segmented = _segment(spark, settings, publication, tables, version, k, size)
            shown.done = ", ".join(segmented.metadata.segments)
        metadata = _recommend(spark, settings, publication, tables, segmented.users, version, size, trials)
        decision = _commit(settings, root, publication, metadata, force)
    return Training(metadata, segmented.metadata, decision)


def _commit(settings: Settings, root: StoragePath, publication: Publication, judged: Metadata, force: bool) -> Decision:
    """Commits everything as the gate decides by one model's metadata, whose metrics hold the validation figures."""
    tables = (RECOMMENDATIONS, USER_SEGMENTS)
    candidate = Candidate(judged.version, NAMES, tables, judged.name, judged.metrics)
    with step("Publishing") as shown:
        decision = publish_training(root, publication, candidate, settings.gate_margin, force)
        shown.done = str(decision)
    return decision


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
    inputs = segment_job.Inputs(tables.users, tables.products, tables.interactions, counts)
    return segment_job.build(spark, settings, publication, inputs, version, k)


def _recommend(
    spark: SparkSession,
    settings: Settings,
    publication: Publication,
    tables: FeatureTables,
    segments: DataFrame,
    version: str,
    size: als.Size,
    trials: int,
) -> Metadata:
    model_folder, hybrid_folder = (publication.stage(model_path(name, version)) for name in (ALS, HYBRID))
    held = validation.held_back(tables.interactions, size.users, settings)
    held = held.persist() if held is not None else None
    learned = validation.without(tables.interactions, held)
    names = _names(segments)
    with step("Popular products and content", spark):
        _stage_popularity(spark, settings, publication, tables, learned, segments, version)
        indexes = _indexes(spark, publication, tables)
    ratings = _ratings(learned, indexes)
    tuning = None
    if trials and held is not None:
        tuning = _tuned(
            spark, settings, hybrid_folder, tables, learned, ratings, held, segments, names, indexes, size, trials
        )
        settings = settings.model_copy(update={"als": tuning.best.als, "blend": tuning.best.blend})
    engine = als.choose_engine(settings.engine, size, settings.als.rank, settings.als_task_memory)
    with step("ALS", spark) as shown:
        _fit_and_stage(settings, ratings, indexes, model_folder, engine)
        shown.done = f"rank {settings.als.rank}, {settings.als.iterations} iterations, engine {engine}"
    factors = to_original_ids(ALSModel.load(str(model_folder)).userFactors, "id", "user_id", indexes.users)
    with step(f"Top {settings.top} for every user", spark) as shown:
        hybrid = load_hybrid(hybrid_folder, model_folder, names, settings.blend, settings.popular_kept)
        metrics = _stage_lists(spark, settings, publication, tables, segments, names, factors, hybrid)
        metrics |= {"tuning": tuning.told()} if tuning is not None else {}
        shown.done = f"{metrics['users_with_list']:,} users"
    if held is not None:
        with step("Validation", spark) as shown:
            found = validation.validate(
                spark, hybrid, learned, held, segments, factors, names, size.users, settings.seed
            )
            metrics["validation"] = found
            shown.done = _compared(found)
    about = _About(settings, tables, names, version, size)
    als_metadata = about.metadata(
        ALS, {**settings.als.model_dump(), "engine": engine, "scores": settings.scores.model_dump()}, metrics
    )
    _publish(publication, als_metadata)
    _publish(publication, about.metadata(POPULARITY, {"kept": settings.popular_kept}))
    _publish(publication, about.metadata(HYBRID, {"blend": settings.blend.model_dump()}, metrics))
    return als_metadata


def _publish(publication: Publication, metadata: Metadata) -> None:
    path = model_path(metadata.name, metadata.version)
    write_metadata(publication.stage(path), metadata)
    publication.replace(path)


def _tuned(
    spark: SparkSession,
    settings: Settings,
    hybrid_folder: StoragePath,
    tables: FeatureTables,
    learned: DataFrame,
    ratings: DataFrame,
    held: DataFrame,
    segments: DataFrame,
    names: list[str],
    indexes: IdIndexes,
    size: als.Size,
    trials: int,
) -> Tuning:
    from spark_apps.jobs.tune import ground, tune  # Optuna takes a third of a second to load, and most trainings none

    model = load_without_factors(hybrid_folder, names, settings.blend, settings.popular_kept)
    shared = ground(spark, ratings, learned, held, segments, tables.products, model, names, indexes, size)
    return tune(settings, shared, trials)


def _indexes(spark: SparkSession, publication: Publication, tables: FeatureTables) -> IdIndexes:
    return IdIndexes(
        _index(spark, tables.users.select("user_id"), publication.scratch(USER_INDEX)),
        _index(spark, tables.products.select("product_id"), publication.scratch(PRODUCT_INDEX)),
    )


def _ratings(learned: DataFrame, indexes: IdIndexes) -> DataFrame:
    ratings = to_model_ids(learned, "user_id", "user", indexes.users)
    return to_model_ids(ratings, "product_id", "item", indexes.products).select("user", "item", "score")


def _fit_and_stage(
    settings: Settings, ratings: DataFrame, indexes: IdIndexes, folder: StoragePath, engine: Engine
) -> None:
    model = als.fit_als(ratings, settings.als, engine, settings.seed, task_threads(settings.master))
    if model.itemFactors.isEmpty():
        raise NothingToLearnError
    model.write().overwrite().save(str(folder))
    for name, index in ((USER_INDEX, indexes.users), (PRODUCT_INDEX, indexes.products)):
        if index is not None:
            index.write.parquet(str(folder / name))


def _index(spark: SparkSession, ids: DataFrame, scratch: StoragePath) -> DataFrame | None:
    column = ids.columns[0]
    bounds = ids.agg(F.min(column).alias("smallest"), F.max(column).alias("largest")).collect()[0]
    if fits_int(bounds["smallest"], bounds["largest"]):
        return None
    number_ids(spark, ids).write.parquet(str(scratch))
    return spark.read.schema(INDEX_SCHEMA).parquet(str(scratch))


def _stage_popularity(
    spark: SparkSession,
    settings: Settings,
    publication: Publication,
    tables: FeatureTables,
    learned: DataFrame,
    segments: DataFrame,
    version: str,
) -> None:
    hybrid = publication.stage(model_path(HYBRID, version))
    stage_hybrid(hybrid, tables.products, segment_scores(learned, segments))
    scores = spark.read.parquet(str(hybrid / SEGMENT_SCORES))
    lists = popular_products(scores, tables.products, settings.popular_kept)
    lists.coalesce(1).write.parquet(str(publication.stage(model_path(POPULARITY, version)) / LISTS))


def _stage_lists(
    spark: SparkSession,
    settings: Settings,
    publication: Publication,
    tables: FeatureTables,
    segments: DataFrame,
    names: list[str],
    factors: DataFrame,
    hybrid: HybridRecommender,
) -> dict[str, Any]:
    histories = user_histories(tables.interactions, segments, factors)
    staged = publication.stage(RECOMMENDATIONS.path)
    write_files(lists_for_all(spark, histories, hybrid, names, settings), staged, RECOMMENDATIONS)
    publication.replace(RECOMMENDATIONS.path)
    return _list_metrics(read_files(spark, staged, RECOMMENDATIONS), len(hybrid.catalogue))


def _compared(found: dict[str, Any]) -> str:
    ours, popular = (found[model]["ndcg"]["value"] for model in ("hybrid", "popularity"))
    return f"NDCG@10 {ours:.4f}, of popularity {popular:.4f}, for the last product of {found['users']:,} users"


def _list_metrics(lists: DataFrame, products: int) -> dict[str, Any]:
    row = lists.agg(
        F.count("*").alias("recommendations"),
        F.count_if(F.col("rank") == 1).alias("users_with_list"),
        F.avg("score").alias("mean_score"),
        F.count_distinct(F.when(F.col("source") == ALS_SOURCE, F.col("user_id"))).alias("users_with_als"),
        F.count_distinct("product_id").alias("products_recommended"),
    ).collect()[0]
    metrics: dict[str, Any] = row.asDict()
    return {**metrics, "catalogue_coverage": metrics["products_recommended"] / max(1, products)}


def _names(segments: DataFrame) -> list[str]:
    """The segments' names, sorted: at most k."""
    return sorted(row["segment"] for row in segments.select("segment").distinct().collect())


@dataclass(frozen=True)
class _About:
    """What the metadata of all models of one training share."""

    settings: Settings
    tables: FeatureTables
    segments: list[str]
    version: str
    size: als.Size

    def metadata(self, name: str, parameters: dict[str, Any], metrics: dict[str, Any] | None = None) -> Metadata:
        return Metadata.describe(
            name=name,
            version=self.version,
            seed=self.settings.seed,
            first_date=self.tables.first_date.isoformat(),
            last_date=self.tables.last_date.isoformat(),
            users=self.size.users,
            products=self.size.products,
            interactions=self.size.pairs,
            segments=self.segments,
            parameters=parameters,
            metrics=metrics or {},
        )
