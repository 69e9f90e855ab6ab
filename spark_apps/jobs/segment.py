"""`shopstream segment`: RFM scores, k-means clusters and their names (SPEC G1-G3)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.errors import UserError
from spark_apps.publication import Publication
from spark_apps.registry.promotion import publish_ungated
from spark_apps.registry.versions import SEGMENTS, Metadata, model_path, new_version, write_metadata
from spark_apps.schemas import USER_SEGMENTS as USER_SEGMENTS_SCHEMA
from spark_apps.segmentation.clusters import (
    CLUSTER,
    K_TRIED,
    Fit,
    best_k,
    cluster_means,
    clustering_input,
    fit_clusters,
    in_fixed_order,
    sample_users,
    silhouette_curve,
)
from spark_apps.segmentation.naming import name_clusters
from spark_apps.segmentation.rfm import rfm_columns, rfm_cuts
from spark_apps.settings import Settings
from spark_apps.storage import StoragePath
from spark_apps.tables import (
    INTERACTIONS,
    PRODUCT_FEATURES,
    USER_FEATURES,
    USER_SEGMENTS,
    read_files,
    read_table,
    write_files,
)

AUTO = "auto"


@dataclass(frozen=True)
class Segmentation:
    """Users in their segments, and what is worth knowing of the fit."""

    users: DataFrame
    metadata: Metadata


def run(spark: SparkSession, settings: Settings, root: StoragePath, k: str) -> Metadata:
    """Segments the users of the feature table and publishes segments and model together."""
    version = new_version(root)
    features = read_table(spark, root, USER_FEATURES)
    counts = {
        "products": read_table(spark, root, PRODUCT_FEATURES).count(),
        "interactions": read_table(spark, root, INTERACTIONS).count(),
    }
    with Publication(root, targets(version)) as publication:
        metadata = build(spark, settings, publication, features, version, k, counts).metadata
        publish_ungated(root, publication, SEGMENTS, version, USER_SEGMENTS, command="segment")
    return metadata


def targets(version: str) -> list[str]:
    """Returns what a segmentation replaces."""
    return [USER_SEGMENTS.path, model_path(SEGMENTS, version)]


def build(
    spark: SparkSession,
    settings: Settings,
    publication: Publication,
    features: DataFrame,
    version: str,
    k: str,
    counts: dict[str, int],
) -> Segmentation:
    """Segments users into a publication that the caller commits.

    Args:
        spark: the session.
        settings: the run's settings.
        publication: where table and model are staged.
        features: columns of schemas.USER_FEATURES.
        version: name of the model version.
        k: number of clusters, or `auto` for the best of 2 to 10 by silhouette.
        counts: products and interactions, for the metadata.
    """
    users = features.count()
    rows = in_fixed_order(clustering_input(features), users).persist()
    curve = _curve(rows, users, settings)
    model, fit = fit_clusters(rows, _chosen_k(k, curve, users), settings.seed)
    cuts = rfm_cuts(features)
    clusters = _named_clusters(model, rows, settings)
    staged = publication.stage(USER_SEGMENTS.path)
    write_files(_segmented(model, features, rows, cuts, clusters), staged, USER_SEGMENTS)
    publication.replace(USER_SEGMENTS.path)
    rows.unpersist()
    segmented = read_files(spark, staged, USER_SEGMENTS)
    metadata = _metadata(settings, version, features, users, counts, fit, clusters, k)
    metadata.metrics["rfm"] = _rfm_counts(segmented)
    metadata.metrics["rfm_cuts"] = cuts
    metadata.metrics["curve"] = [asdict(point) for point in curve]
    _stage_model(publication, model, metadata)
    return Segmentation(segmented, metadata)


def _curve(rows: DataFrame, users: int, settings: Settings) -> list[Fit]:
    """Silhouette and cost for each k on a seeded sample: the curve is for choosing k, not for the segments."""
    sample = sample_users(rows, users, settings.cluster_curve_users, settings.seed)
    return silhouette_curve(sample, K_TRIED, settings.seed)


def _chosen_k(k: str, curve: list[Fit], users: int) -> int:
    wanted = best_k(curve) if k == AUTO and curve else int(k) if k != AUTO else 2
    if wanted >= users:
        raise UserError(f"{users} users cannot make {wanted} clusters: choose a smaller --k or load more events.")
    return wanted


def _named_clusters(model: PipelineModel, rows: DataFrame, settings: Settings) -> list[dict[str, Any]]:
    means = cluster_means(model.transform(rows))
    names = name_clusters(means, settings.segments)
    return [
        {
            "cluster": int(mean["cluster"]),
            "name": name,
            "users": int(mean["users"]),
            "means": {key: value for key, value in mean.items() if key not in ("cluster", "users")},
        }
        for mean, name in zip(means, names, strict=True)
    ]


def _segmented(
    model: PipelineModel,
    features: DataFrame,
    rows: DataFrame,
    cuts: dict[str, list[float]],
    clusters: list[dict[str, Any]],
) -> DataFrame:
    names = F.create_map(*(part for c in clusters for part in (F.lit(c["cluster"]), F.lit(c["name"]))))
    placed = model.transform(rows).select("user_id", CLUSTER)
    scored = features.select("user_id", *rfm_columns(cuts))
    joined = scored.join(placed, on="user_id", how="inner")
    return joined.withColumn("segment", names[F.col(CLUSTER)]).select(*USER_SEGMENTS_SCHEMA.fieldNames())


def _rfm_counts(segmented: DataFrame) -> dict[str, int]:
    counted = segmented.groupBy("rfm_segment").count().collect()  # eleven names
    return {row["rfm_segment"]: row["count"] for row in sorted(counted, key=lambda row: -row["count"])}


def _metadata(
    settings: Settings,
    version: str,
    features: DataFrame,
    users: int,
    counts: dict[str, int],
    fit: Fit,
    clusters: list[dict[str, Any]],
    k: str,
) -> Metadata:
    seen = features.agg(F.min("first_seen").alias("first"), F.max("last_seen").alias("last")).collect()[0]
    return Metadata.describe(
        name=SEGMENTS,
        version=version,
        seed=settings.seed,
        first_date=seen["first"].date().isoformat(),
        last_date=seen["last"].date().isoformat(),
        users=users,
        **counts,
        segments=[cluster["name"] for cluster in clusters],
        parameters={"k": k, "thresholds": settings.segments.model_dump()},
        metrics={**asdict(fit), "clusters": clusters},
    )


def _stage_model(publication: Publication, model: PipelineModel, metadata: Metadata) -> None:
    target = model_path(SEGMENTS, metadata.version)
    staged = publication.stage(target)
    model.write().overwrite().save(str(staged))
    write_metadata(staged, metadata)
    publication.replace(target)
