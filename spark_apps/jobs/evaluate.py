"""`shopstream evaluate`: every model side by side on what users touched after a moment in time (SPEC R5)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps import __version__
from spark_apps.errors import NothingToDoError
from spark_apps.evaluation.blocks import Judge, K
from spark_apps.evaluation.bootstrap import LEVEL, RESAMPLES
from spark_apps.evaluation.negatives import NEGATIVES
from spark_apps.evaluation.protocol import judge_users, sample_users, user_rows
from spark_apps.evaluation.split import TrainingTables, before, check_no_leak, cutoff_time, held_out
from spark_apps.evaluation.summary import Summary
from spark_apps.features.gathering import gather
from spark_apps.features.interactions import interactions
from spark_apps.features.pairs import pair_sums
from spark_apps.features.products import product_features
from spark_apps.features.users import user_features
from spark_apps.progress import step
from spark_apps.publication import Publication
from spark_apps.recommendation import als, item_knn
from spark_apps.recommendation.catalogue import Catalogue
from spark_apps.recommendation.hybrid import HybridRecommender, hybrid_of
from spark_apps.recommendation.ids import fits_int, number_ids, to_model_ids, to_original_ids
from spark_apps.recommendation.item_knn import ItemKnnRecommender
from spark_apps.recommendation.popularity import segment_scores
from spark_apps.recommendation.recommenders import PopularityRecommender, Recommender
from spark_apps.segmentation.clusters import CLUSTER, clustering_input, fit_clusters, in_fixed_order
from spark_apps.session import task_threads
from spark_apps.settings import Settings
from spark_apps.storage import StoragePath
from spark_apps.tables import EVENTS, REPORTS, read_table

EVALUATION = f"{REPORTS}/evaluation.json"
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
    events = read_table(spark, root, EVENTS)
    with Publication(root, [EVALUATION]) as publication:
        spark.sparkContext.setCheckpointDir(str(publication.scratch("checkpoint")))
        evaluation = _evaluate(spark, settings, events)
        publication.stage(EVALUATION).write_text(json.dumps(evaluation, indent=1), encoding="utf-8")
        publication.replace(EVALUATION)
        publication.commit()
    return evaluation


def _evaluate(spark: SparkSession, settings: Settings, events: DataFrame) -> dict[str, Any]:
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
    with step("Segments", spark):
        segments = _segments(settings, tables, size.users)
        names = sorted(row["segment"] for row in segments.select("segment").distinct().collect())  # at most k
    factors = _fit_als(spark, settings, tables, size)
    with step("Content and popularity", spark):
        hybrid = _hybrid(settings, tables, segments, factors, names)
    with step("Item-kNN", spark) as shown:
        knn = _item_knn(settings, tables, size, hybrid.catalogue)
        shown.done = f"{knn.similarity.nnz:,} neighbours"
    # the last one is judged against the others
    recommenders: list[Recommender] = [PopularityRecommender(hybrid.catalogue), knn, hybrid.als, hybrid.content, hybrid]
    with step(f"Lists for {evaluated:,} users", spark) as shown:
        rows = user_rows(sampled, tables.interactions, held, segments, factors.users)
        judge = Judge(hybrid.catalogue, recommenders, size.users, settings.seed, hybrid.als.rank, hybrid.als.name)
        judged = judge_users(spark, rows, evaluated, names, judge)
        shown.done = f"{len(recommenders)} models"
    with step("Intervals"):
        summary = Summary(judged, [one.name for one in recommenders], size.products, settings.seed)
        return {
            **_conditions(settings, cutoff, size, with_new, evaluated),
            "models": summary.models(hybrid.als.name),
            "judged": hybrid.name,
            "differences": summary.differences(hybrid.name),
        }


def training_tables(training: DataFrame, settings: Settings) -> TrainingTables:
    """Computes the feature tables of the training events, cached for the models.

    Raises:
        NothingToDoError: when there is no event.
    """
    gathered = gather(training).persist()
    last = gathered.agg(F.max("last_seen").alias("last")).collect()[0]["last"]
    if last is None:
        raise NothingToDoError("All events happened in the same second, so there is no before and after to evaluate.")
    pairs = pair_sums(gathered)
    return TrainingTables(
        user_features(gathered, last.date()),
        product_features(pairs).persist(),
        interactions(pairs, settings.scores),
    )


def _segments(settings: Settings, tables: TrainingTables, users: int) -> DataFrame:
    """Clusters the training users as `shopstream segment` does; returns user_id, segment: the cluster's number."""
    rows = in_fixed_order(clustering_input(tables.users), users).persist()
    model, _ = fit_clusters(rows, min(_CLUSTERS, max(2, users - 1)), settings.seed)
    return model.transform(rows).select("user_id", F.col(CLUSTER).cast("string").alias("segment")).persist()


def _fit_als(spark: SparkSession, settings: Settings, tables: TrainingTables, size: als.Size) -> _Factors:
    engine = als.choose_engine(settings.engine, size, settings.als.rank, settings.als_task_memory)
    with step("ALS", spark) as shown:
        users = _numbering(spark, tables.users.select("user_id"))
        products = _numbering(spark, tables.products.select("product_id"))
        ratings = to_model_ids(tables.interactions.select("user_id", "product_id", "score"), "user_id", "user", users)
        ratings = to_model_ids(ratings, "product_id", "item", products)
        model = als.fit_als(ratings, settings.als, engine, settings.seed, task_threads(settings.master))
        if model.itemFactors.isEmpty():
            raise NothingToDoError(
                "No user shows interest in any product, so there is nothing to learn: load more events."
            )
        shown.done = f"rank {settings.als.rank}, {settings.als.iterations} iterations, engine {engine}"
    return _Factors(
        to_original_ids(model.userFactors, "id", "user_id", users),
        to_original_ids(model.itemFactors, "id", "product_id", products),
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


def _item_knn(settings: Settings, tables: TrainingTables, size: als.Size, catalogue: Catalogue) -> ItemKnnRecommender:
    """Brings to the driver at most item_knn.NEIGHBOURS per product."""
    fitting = item_knn.users_that_fit(
        tables.interactions, size.pairs, size.products, settings.als_task_memory, settings.seed
    )
    return ItemKnnRecommender.of(item_knn.fit(fitting, task_threads(settings.master)).toArrow(), catalogue)


def _conditions(settings: Settings, cutoff: datetime, size: als.Size, with_new: int, evaluated: int) -> dict[str, Any]:
    return {
        "evaluated_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "code_version": __version__,
        "seed": settings.seed,
        "share": settings.evaluation_share,
        "cutoff": cutoff.isoformat(),
        "k": K,
        "negatives": NEGATIVES,
        "interval": {"level": LEVEL, "resamples": RESAMPLES},
        "training": {"users": size.users, "products": size.products, "interactions": size.pairs},
        "users_with_new_products": with_new,
        "users_evaluated": evaluated,
    }
