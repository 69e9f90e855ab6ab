"""`shopstream train`: features, segments, ALS and every user's list, in one application (SPEC R1, R4, M1)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any

from pyspark.ml.recommendation import ALSModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.engine.spark import engine_of
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
from spark_apps.settings import AlsLibrary, Settings
from spark_apps.storage import StoragePath
from spark_apps.tables import (
    INTERACTIONS,
    PRODUCT_FEATURES,
    RECOMMENDATIONS,
    USER_FEATURES,
    USER_SEGMENTS,
    DateRange,
    read_files,
    write_files,
)

if TYPE_CHECKING:
    from spark_apps.jobs.tune import Tuning

LISTS = "lists"


@dataclass(frozen=True)
class _Tables:
    """The feature tables as frames, the first and last date of the events, and the one that recency counts from."""

    users: DataFrame
    products: DataFrame
    interactions: DataFrame
    first_date: date
    last_date: date
    reference_date: date

    @classmethod
    def of(cls, spark: SparkSession, publication: Publication, made: FeatureTables) -> _Tables:
        users, products, interactions = (
            read_files(spark, publication.stage(table.path), table)
            for table in (USER_FEATURES, PRODUCT_FEATURES, INTERACTIONS)
        )
        return cls(users, products, interactions, made.first_date, made.last_date, made.reference_date)


@dataclass(frozen=True)
class _Run:
    """What every step of one training works with."""

    spark: SparkSession
    settings: Settings
    publication: Publication
    version: str
    tables: _Tables
    size: als.Size

    def stage(self, name: str) -> StoragePath:
        """The folder in which a model's files are put together."""
        return self.publication.stage(model_path(name, self.version))

    def publish(self, metadata: Metadata) -> None:
        """Ends a model's files with its metadata."""
        write_metadata(self.stage(metadata.name), metadata)
        self.publication.replace(model_path(metadata.name, metadata.version))


@dataclass(frozen=True)
class _Lesson:
    """What recommenders learn from: interactions without those held back for validation, users in their segments.

    Attributes:
        held: from `validation.held_back`; None where there are too few users.
        learned: columns of schemas.INTERACTIONS.
        segments: columns of the table of segments.
        names: of the segments, in the order of the models' tastes.
    """

    held: DataFrame | None
    learned: DataFrame
    segments: DataFrame
    names: list[str]


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
        NothingToLearnError: when nobody's score of any product is above 0, as in a log of removals alone.
    """
    version = new_version(root)
    targets = [
        *features_job.TARGETS,
        *segment_job.targets(version),
        RECOMMENDATIONS.path,
        *(model_path(name, version) for name in (ALS, POPULARITY, HYBRID)),
    ]
    with Publication(root, targets) as publication:
        spark.sparkContext.setCheckpointDir(str(publication.scratch("checkpoint")))
        with step("Features", spark) as shown:
            made = features_job.build(engine_of(spark), settings, root, publication, dates)
            tables = _Tables.of(spark, publication, made)
            size = als.Size(*(made.rows[table.name] for table in (USER_FEATURES, PRODUCT_FEATURES, INTERACTIONS)))
            shown.done = f"{size.users:,} users, {size.products:,} products, {size.pairs:,} pairs"
        if trials and not validation.wanted(size.users, settings):
            raise TooFewToTuneError(math.ceil(validation.LEAST / validation.SHARE), validation.LEAST)
        under_way = _Run(spark, settings, publication, version, tables, size)
        with step("Segments", spark) as shown:
            segmented = _segment(under_way, k)
            shown.done = ", ".join(segmented.metadata.segments)
        metadata = _recommend(under_way, segmented.users, trials)
        decision = _commit(under_way, root, metadata, force)
    return Training(metadata, segmented.metadata, decision)


def _commit(run: _Run, root: StoragePath, judged: Metadata, force: bool) -> Decision:
    """Commits everything as the gate decides by one model's metadata, whose metrics hold the validation figures."""
    tables = (RECOMMENDATIONS, USER_SEGMENTS)
    candidate = Candidate(judged.version, NAMES, tables, judged.name, judged.metrics)
    with step("Publishing") as shown:
        decision = publish_training(root, run.publication, candidate, run.settings.gate_margin, force)
        shown.done = str(decision)
    return decision


def _segment(run: _Run, k: str) -> segment_job.Segmentation:
    counts = {"products": run.size.products, "interactions": run.size.pairs}
    inputs = segment_job.Inputs(run.tables.users, run.tables.products, run.tables.interactions, counts)
    return segment_job.build(run.spark, run.settings, run.publication, inputs, run.version, k)


def _recommend(run: _Run, segments: DataFrame, trials: int) -> Metadata:
    """Makes popularity, ALS, the hybrid and every user's list; returns the metadata of ALS."""
    lesson = _lesson(run, segments)
    with step("Popular products and content", run.spark):
        _stage_popularity(run, lesson)
        indexes = _indexes(run)
    ratings = _ratings(lesson.learned, indexes)
    if not als.shows_interest(ratings):
        raise NothingToLearnError
    tuning = _tuned(run, lesson, ratings, indexes, trials)
    if tuning is not None:
        run = replace(run, settings=_with_best(run.settings, tuning))
    settings = run.settings
    library = als.choose_library(settings.als_library, run.size, settings.als.rank, settings.als_task_memory)
    with step("ALS", run.spark) as shown:
        _fit_and_stage(run, ratings, indexes, library)
        shown.done = f"rank {settings.als.rank}, {settings.als.iterations} iterations, {library}"
    factors = to_original_ids(ALSModel.load(str(run.stage(ALS))).userFactors, "id", "user_id", indexes.users)
    with step(f"Top {settings.top} for every user", run.spark) as shown:
        hybrid = load_hybrid(run.stage(HYBRID), run.stage(ALS), lesson.names, settings.blend, settings.popular_kept)
        metrics = _stage_lists(run, lesson, factors, hybrid)
        metrics |= {"tuning": tuning.told()} if tuning is not None else {}
        shown.done = f"{metrics['users_with_list']:,} users"
    if lesson.held is not None:
        metrics["validation"] = _validated(run, lesson, lesson.held, factors, hybrid)
    parameters = {**settings.als.model_dump(), "als": library, "scores": settings.scores.model_dump()}
    als_metadata = _metadata(run, lesson, ALS, parameters, metrics)
    run.publish(als_metadata)
    run.publish(_metadata(run, lesson, POPULARITY, {"kept": settings.popular_kept}, {}))
    run.publish(_metadata(run, lesson, HYBRID, {"blend": settings.blend.model_dump()}, metrics))
    return als_metadata


def _lesson(run: _Run, segments: DataFrame) -> _Lesson:
    held = validation.held_back(run.tables.interactions, run.size.users, run.settings)
    held = held.persist() if held is not None else None
    return _Lesson(held, validation.without(run.tables.interactions, held), segments, _names(segments))


def _names(segments: DataFrame) -> list[str]:
    """The segments' names, sorted: at most k."""
    return sorted(row["segment"] for row in segments.select("segment").distinct().collect())


def _stage_popularity(run: _Run, lesson: _Lesson) -> None:
    hybrid = run.stage(HYBRID)
    stage_hybrid(hybrid, run.tables.products, segment_scores(lesson.learned, lesson.segments))
    scores = run.spark.read.parquet(str(hybrid / SEGMENT_SCORES))
    lists = popular_products(scores, run.tables.products, run.settings.popular_kept)
    lists.coalesce(1).write.parquet(str(run.stage(POPULARITY) / LISTS))


def _indexes(run: _Run) -> IdIndexes:
    scratch = run.publication.scratch
    return IdIndexes(
        _index(run.spark, run.tables.users.select("user_id"), scratch(USER_INDEX)),
        _index(run.spark, run.tables.products.select("product_id"), scratch(PRODUCT_INDEX)),
    )


def _index(spark: SparkSession, ids: DataFrame, scratch: StoragePath) -> DataFrame | None:
    column = ids.columns[0]
    bounds = ids.agg(F.min(column).alias("smallest"), F.max(column).alias("largest")).collect()[0]
    if fits_int(bounds["smallest"], bounds["largest"]):
        return None
    number_ids(spark, ids).write.parquet(str(scratch))
    return spark.read.schema(INDEX_SCHEMA).parquet(str(scratch))


def _ratings(learned: DataFrame, indexes: IdIndexes) -> DataFrame:
    ratings = to_model_ids(learned, "user_id", "user", indexes.users)
    return to_model_ids(ratings, "product_id", "item", indexes.products).select("user", "item", "score")


def _tuned(run: _Run, lesson: _Lesson, ratings: DataFrame, indexes: IdIndexes, trials: int) -> Tuning | None:
    if not trials or lesson.held is None:
        return None
    from spark_apps.jobs.tune import ground, tune  # Optuna takes a third of a second to load, and most trainings none

    settings = run.settings
    model = load_without_factors(run.stage(HYBRID), lesson.names, settings.blend, settings.popular_kept)
    shared = ground(
        run.spark,
        ratings,
        lesson.learned,
        lesson.held,
        lesson.segments,
        run.tables.products,
        model,
        lesson.names,
        indexes,
        run.size,
    )
    return tune(settings, shared, trials)


def _with_best(settings: Settings, tuning: Tuning) -> Settings:
    return settings.model_copy(update={"als": tuning.best.als, "blend": tuning.best.blend})


def _fit_and_stage(run: _Run, ratings: DataFrame, indexes: IdIndexes, library: AlsLibrary) -> None:
    settings, folder = run.settings, run.stage(ALS)
    model = als.fit_als(ratings, settings.als, library, settings.seed, task_threads(settings.master))
    model.write().overwrite().save(str(folder))
    for name, index in ((USER_INDEX, indexes.users), (PRODUCT_INDEX, indexes.products)):
        if index is not None:
            index.write.parquet(str(folder / name))


def _stage_lists(run: _Run, lesson: _Lesson, factors: DataFrame, hybrid: HybridRecommender) -> dict[str, Any]:
    histories = user_histories(run.tables.interactions, lesson.segments, factors)
    staged = run.publication.stage(RECOMMENDATIONS.path)
    lists = lists_for_all(run.spark, histories, hybrid, lesson.names, run.settings)
    write_files(lists, staged, RECOMMENDATIONS)
    run.publication.replace(RECOMMENDATIONS.path)
    return _list_metrics(read_files(run.spark, staged, RECOMMENDATIONS), len(hybrid.catalogue))


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


def _validated(
    run: _Run, lesson: _Lesson, held: DataFrame, factors: DataFrame, hybrid: HybridRecommender
) -> dict[str, Any]:
    with step("Validation", run.spark) as shown:
        found = validation.validate(
            run.spark,
            hybrid,
            lesson.learned,
            held,
            lesson.segments,
            factors,
            lesson.names,
            run.size.users,
            run.settings.seed,
        )
        shown.done = _compared(found)
    return found


def _compared(found: dict[str, Any]) -> str:
    ours, popular = (found[model]["ndcg"]["value"] for model in ("hybrid", "popularity"))
    return f"NDCG@10 {ours:.4f}, of popularity {popular:.4f}, for the last product of {found['users']:,} users"


def _metadata(run: _Run, lesson: _Lesson, name: str, parameters: dict[str, Any], metrics: dict[str, Any]) -> Metadata:
    return Metadata.describe(
        name=name,
        version=run.version,
        seed=run.settings.seed,
        first_date=run.tables.first_date.isoformat(),
        last_date=run.tables.last_date.isoformat(),
        reference_date=run.tables.reference_date.isoformat(),
        users=run.size.users,
        products=run.size.products,
        interactions=run.size.pairs,
        segments=lesson.names,
        parameters=parameters,
        metrics=metrics,
    )
