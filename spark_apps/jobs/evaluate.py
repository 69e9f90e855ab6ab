"""`shopstream evaluate`: every model side by side on what users touched after a moment in time (SPEC R5)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import partial
from typing import Any

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps import __version__
from spark_apps.engine.base import Relation
from spark_apps.engine.spark import engine_of
from spark_apps.errors import NothingToDoError, NothingToLearnError
from spark_apps.evaluation.blocks import Judge, K
from spark_apps.evaluation.bootstrap import LEVEL, RESAMPLES
from spark_apps.evaluation.negatives import NEGATIVES
from spark_apps.evaluation.spark_forms import (
    fit_als,
    judge_users,
    number_ids,
    sample_users,
    segment_scores,
    shows_interest,
    user_rows,
)
from spark_apps.evaluation.split import TrainingTables, before, check_no_leak, cutoff_time, held_out
from spark_apps.evaluation.summary import Summary
from spark_apps.features.gathering import gather
from spark_apps.features.interactions import interactions
from spark_apps.features.pairs import pair_sums
from spark_apps.features.products import product_features
from spark_apps.features.users import user_features
from spark_apps.jobs.quarantine import require_events
from spark_apps.jobs.reference import find_reference_of_frame
from spark_apps.progress import step
from spark_apps.publication import Publication
from spark_apps.recommendation import als, item_knn
from spark_apps.recommendation.catalogue import Catalogue
from spark_apps.recommendation.hybrid import HybridRecommender, hybrid_of
from spark_apps.recommendation.ids import fits_int
from spark_apps.recommendation.item_knn import ItemKnnRecommender
from spark_apps.recommendation.mllib import to_model_ids, to_original_ids
from spark_apps.recommendation.recommenders import PopularityRecommender, Recommender
from spark_apps.segmentation.clusters import Clustering, fit_clusters, survey
from spark_apps.segmentation.inputs import CLUSTERED, points_of
from spark_apps.segmentation.sums import nearest
from spark_apps.session import task_threads
from spark_apps.settings import Settings
from spark_apps.storage import StoragePath
from spark_apps.tables import EVALUATION, DateRange, read_events

_CLUSTERS = 5


@dataclass(frozen=True)
class _Factors:
    """ALS factors: user_id or product_id, features array<float>."""

    users: DataFrame
    products: DataFrame


def run(spark: SparkSession, settings: Settings, root: StoragePath) -> dict[str, Any]:
    """Trains every model on the first share of the events, judges it on the rest, and publishes evaluation.json.

    Returns:
        What evaluation.json holds: how it was measured; `models`: figures per model; `differences`: the last
        model's figures minus each other's.

    Raises:
        NothingToDoError: when the events cannot be split so that somebody has a history and new products.
    """
    require_events(root, DateRange())
    events, _ = read_events(spark, root, DateRange())
    with Publication(root, [EVALUATION]) as publication:
        spark.sparkContext.setCheckpointDir(str(publication.scratch("checkpoint")))
        evaluation = _evaluate(spark, settings, events, publication.scratch("users"))
        publication.stage(EVALUATION).write_text(json.dumps(evaluation, indent=1), encoding="utf-8")
        publication.replace(EVALUATION)
        publication.commit()
    return evaluation


def _evaluate(spark: SparkSession, settings: Settings, events: DataFrame, scratch: StoragePath) -> dict[str, Any]:
    split = _split(spark, settings, events)
    names, users, models = _models(spark, settings, split, scratch)
    judge = Judge(models.hybrid.catalogue, models.all(), split.size.users, settings.seed, models.hybrid.als)
    with step(f"Lists for {split.evaluated:,} users", spark) as shown:
        judged = judge_users(spark, users, split.evaluated, names, judge)
        shown.done = f"{len(models.all())} models"
    with step("Intervals"):
        summary = Summary(judged, [model.name for model in models.all()], split.size.products, settings.seed)
        return {
            **_conditions(settings, split),
            "models": summary.models(models.hybrid.als.name),
            "judged": models.hybrid.name,
            "differences": summary.differences(models.hybrid.name),
        }


@dataclass(frozen=True)
class _Split:
    """What models learn from, and what they are judged by.

    Attributes:
        cutoff: the first moment that is not training.
        tables: of the training events.
        size: of the tables.
        held: from `evaluation.split.held_out`.
        sampled: the users to evaluate.
        evaluated: their number.
        with_new: number of users from whom they were drawn.
    """

    cutoff: datetime
    tables: TrainingTables
    size: als.Size
    held: DataFrame
    sampled: DataFrame
    evaluated: int
    with_new: int


def _split(spark: SparkSession, settings: Settings, events: DataFrame) -> _Split:
    with step("Split", spark) as shown:
        cutoff = cutoff_time(events, settings.evaluation_share)
        if cutoff is None:
            raise NothingToDoError("There is no clean event to evaluate with: load and clean some first.")
        shown.done = f"training before {cutoff:%Y-%m-%d %H:%M:%S}"
    with step("Features", spark) as shown:
        tables = training_tables(events.where(before(cutoff)), settings)
        check_no_leak(tables, cutoff)
        size = als.Size(tables.users.count(), tables.products.count(), tables.interactions.count())
        held = held_out(events, tables.interactions, cutoff, settings.scores).persist()
        sampled = sample_users(held, settings.evaluation_users, settings.seed).persist()
        evaluated, with_new = sampled.count(), held.select("user_id").distinct().count()
        shown.done = f"{size.users:,} users, of whom {with_new:,} touch new products later"
    if not evaluated:
        raise NothingToDoError(
            f"No user from before {cutoff:%Y-%m-%d %H:%M:%S} touches a new product afterwards: load more events, "
            "or choose another --share."
        )
    return _Split(cutoff, tables, size, held, sampled, evaluated, with_new)


@dataclass(frozen=True)
class _Models:
    """The hybrid with its parts, and the one baseline that is none of them."""

    hybrid: HybridRecommender
    knn: ItemKnnRecommender

    def all(self) -> list[Recommender]:
        """In the order of tables: the one that is judged against the others comes last."""
        hybrid = self.hybrid
        return [PopularityRecommender(hybrid.catalogue), self.knn, hybrid.als, hybrid.content, hybrid]


def _models(
    spark: SparkSession, settings: Settings, split: _Split, scratch: StoragePath
) -> tuple[list[str], DataFrame, _Models]:
    """Fits everything on the training tables; returns segment names, rows of the users to evaluate, and the models."""
    with step("Segments", spark):
        segments = _segments(spark, settings, split.tables, split.size.users, scratch)
        names = sorted(row["segment"] for row in segments.select("segment").distinct().collect())  # at most k
    factors = _fit_als(spark, settings, split)
    with step("Content and popularity", spark):
        hybrid = _hybrid(settings, split.tables, segments, factors, names)
    with step("Item-kNN", spark) as shown:
        knn = _item_knn(settings, split, hybrid.catalogue)
        shown.done = f"{knn.similarity.nnz:,} neighbours"
    rows = user_rows(split.sampled, split.tables.interactions, split.held, segments, factors.users)
    return names, rows, _Models(hybrid, knn)


def training_tables(training: DataFrame, settings: Settings) -> TrainingTables:
    """Computes the feature tables of the training events, cached for the models.

    Raises:
        NothingToDoError: when there is no event.
    """
    days = sorted(row["date"] for row in training.select("date").distinct().collect())  # dates
    if not days:
        raise NothingToDoError("All events happened in the same second, so there is no before and after to evaluate.")
    reference, gathered = find_reference_of_frame(training, days), gather(training).persist()
    pairs = pair_sums(gathered)
    return TrainingTables(
        user_features(gathered, reference.day, reference.first),
        product_features(gathered).persist(),
        interactions(pairs, settings.scores),
    )


def _segments(
    spark: SparkSession, settings: Settings, tables: TrainingTables, users: int, scratch: StoragePath
) -> DataFrame:
    """Clusters the training users as `shopstream segment` does; returns user_id, segment: the cluster's number."""
    if users <= _CLUSTERS:  # too few for so many clusters, as for `shopstream segment`
        return tables.users.select("user_id", F.lit("0").alias("segment"))
    tables.users.select(*CLUSTERED.names).write.parquet(str(scratch))
    wanted, files = settings.cluster_curve_users, Relation.of(scratch, CLUSTERED)
    clustering = fit_clusters(survey(engine_of(spark), files, users, wanted, settings.seed), _CLUSTERS, settings.seed)
    rows = spark.read.parquet(str(scratch))
    return rows.mapInArrow(partial(_clusters, clustering), "user_id bigint, segment string").persist()


def _clusters(clustering: Clustering, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        points = clustering.scale.standardised(points_of(pa.Table.from_batches([batch])))
        segments = pa.array(nearest(clustering.centres, points)).cast(pa.string())
        yield pa.RecordBatch.from_arrays([batch["user_id"], segments], ["user_id", "segment"])


def _fit_als(spark: SparkSession, settings: Settings, split: _Split) -> _Factors:
    tables, size = split.tables, split.size
    library = als.choose_library(settings.als_library, size, settings.als.rank, settings.als_task_memory)
    with step("ALS", spark) as shown:
        users = _numbering(spark, tables.users.select("user_id"))
        products = _numbering(spark, tables.products.select("product_id"))
        ratings = to_model_ids(tables.interactions.select("user_id", "product_id", "score"), "user_id", "user", users)
        ratings = to_model_ids(ratings, "product_id", "item", products)
        if not shows_interest(ratings):
            raise NothingToLearnError
        threads = task_threads(settings.master)
        user_factors, item_factors = fit_als(ratings, settings.als, library, settings.seed, threads)
        shown.done = f"rank {settings.als.rank}, {settings.als.iterations} iterations, {library}"
    return _Factors(
        to_original_ids(user_factors, "id", "user_id", users),
        to_original_ids(item_factors, "id", "product_id", products),
    )


def _numbering(spark: SparkSession, ids: DataFrame) -> DataFrame | None:
    column = ids.columns[0]
    bounds = ids.agg(F.min(column).alias("smallest"), F.max(column).alias("largest")).collect()[0]
    return None if fits_int(bounds["smallest"], bounds["largest"]) else number_ids(spark, ids).persist()


def _hybrid(
    settings: Settings, tables: TrainingTables, segments: DataFrame, factors: _Factors, names: list[str]
) -> HybridRecommender:
    """Brings to the driver what `jobs.hybrid.load_hybrid` does: some 300 bytes per product."""
    described = tables.products.withColumn("users", F.col("unique_users"))
    return hybrid_of(
        described.select("product_id", "category_code", "brand", "avg_price", "users").toArrow(),
        segment_scores(tables.interactions, segments).toArrow(),
        factors.products.select("product_id", "features").toArrow(),
        names,
        settings.blend,
        settings.popular_kept,
    )


def _item_knn(settings: Settings, split: _Split, catalogue: Catalogue) -> ItemKnnRecommender:
    """Brings to the driver at most item_knn.NEIGHBOURS per product."""
    fitting = item_knn.users_that_fit(
        split.tables.interactions, split.size.pairs, split.size.products, settings.als_task_memory, settings.seed
    )
    return ItemKnnRecommender.of(item_knn.fit(fitting, task_threads(settings.master)).toArrow(), catalogue)


def _conditions(settings: Settings, split: _Split) -> dict[str, Any]:
    size = split.size
    return {
        "evaluated_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "code_version": __version__,
        "seed": settings.seed,
        "share": settings.evaluation_share,
        "cutoff": split.cutoff.isoformat(),
        "k": K,
        "negatives": NEGATIVES,
        "interval": {"level": LEVEL, "resamples": RESAMPLES},
        "training": {"users": size.users, "products": size.products, "interactions": size.pairs},
        "users_with_new_products": split.with_new,
        "users_evaluated": split.evaluated,
    }
