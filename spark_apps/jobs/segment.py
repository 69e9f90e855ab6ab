"""`shopstream segment`: RFM scores, k-means clusters, their names and what they are like (SPEC G1-G5)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from pyspark.ml import PipelineModel
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.errors import UserError
from spark_apps.jobs.quarantine import require_events
from spark_apps.publication import Publication
from spark_apps.registry.promotion import publish_ungated
from spark_apps.registry.versions import SEGMENTS, Metadata, model_path, new_version, write_metadata
from spark_apps.segmentation.affinities import SegmentAffinities, affinities, interests
from spark_apps.segmentation.clusters import centre_means, fit_clusters
from spark_apps.segmentation.curve import K_TRIED, CurvePoint, best_k, silhouette_curve
from spark_apps.segmentation.distributions import count_values
from spark_apps.segmentation.inputs import FEATURES, clustering_input, in_fixed_order
from spark_apps.segmentation.model import SegmentModel, place_users
from spark_apps.segmentation.profiles import (
    Cluster,
    behaviour_counts,
    cross,
    cross_table,
    named_clusters,
    profiles,
    rfm_counts,
)
from spark_apps.segmentation.rfm import rfm_cuts
from spark_apps.segmentation.sampling import sample_users
from spark_apps.segmentation.stability import stability
from spark_apps.settings import Settings
from spark_apps.storage import StoragePath
from spark_apps.tables import (
    INTERACTIONS,
    PRODUCT_FEATURES,
    USER_FEATURES,
    USER_SEGMENTS,
    DateRange,
    read_files,
    read_table,
    table_exists,
    write_files,
)

AUTO = "auto"


@dataclass(frozen=True)
class Inputs:
    """The feature tables that a segmentation reads, and the rows of two of them for the metadata."""

    users: DataFrame
    products: DataFrame
    interactions: DataFrame
    counts: dict[str, int]


@dataclass(frozen=True)
class Segmentation:
    """Users in their segments, and what is worth knowing of the fit."""

    users: DataFrame
    metadata: Metadata


def run(spark: SparkSession, settings: Settings, root: StoragePath, k: str) -> Metadata:
    """Segments the users of the feature table and publishes segments and model together."""
    if not table_exists(root, USER_FEATURES):
        require_events(root, DateRange())
    version = new_version(root)
    users, products, interactions = (
        read_table(spark, root, table) for table in (USER_FEATURES, PRODUCT_FEATURES, INTERACTIONS)
    )
    counts = {"products": products.count(), "interactions": interactions.count()}
    with Publication(root, targets(version)) as publication:
        inputs = Inputs(users, products, interactions, counts)
        metadata = build(spark, settings, publication, inputs, version, k).metadata
        publish_ungated(root, publication, SEGMENTS, version, USER_SEGMENTS, command="segment")
    return metadata


def targets(version: str) -> list[str]:
    """Returns what a segmentation replaces."""
    return [USER_SEGMENTS.path, model_path(SEGMENTS, version)]


def load_model(folder: StoragePath, metadata: Metadata) -> SegmentModel:
    """Loads a version of the segments model, for `segmentation.model.place_users`.

    Args:
        folder: of the version.
        metadata: of the version.
    """
    return SegmentModel.from_metrics(PipelineModel.load(str(folder)), metadata.metrics)


def build(
    spark: SparkSession, settings: Settings, publication: Publication, inputs: Inputs, version: str, k: str
) -> Segmentation:
    """Segments users into a publication that the caller commits.

    Args:
        spark: the session.
        settings: the run's settings.
        publication: where table and model are staged.
        inputs: the feature tables.
        version: name of the model version.
        k: number of clusters, or `auto` for the best of 2 to 10 by silhouette.
    """
    users = inputs.users.count()
    rows = in_fixed_order(clustering_input(inputs.users), users).persist()
    sample = sample_users(rows, users, settings.cluster_curve_users, settings.seed)
    with ThreadPoolExecutor(1) as beside:  # scikit-learn's part, on the sample, while Spark goes on
        curve = beside.submit(silhouette_curve, sample, K_TRIED, settings.seed)
        chosen = _chosen_k(k, curve.result() if k == AUTO else [], users)
        clustering = fit_clusters(rows, users, chosen, settings.seed, settings.cluster_curve_users)
        stable = beside.submit(stability, clustering, sample, settings.seed)
        distributions = count_values(clustering.model.transform(rows), FEATURES)
        rows.unpersist()
        clusters = named_clusters(centre_means(clustering.model), distributions, settings.segments)
        model = SegmentModel(clustering.model, rfm_cuts(distributions), {c["cluster"]: c["name"] for c in clusters})
        segmented = _stage_table(spark, publication, place_users(model, inputs.users))
        metrics = {
            **asdict(clustering.fit),
            "clusters": clusters,
            "rfm_cuts": model.cuts,
            **_groups(segmented, clusters),
            "profiles": profiles(distributions, model.names),
            "affinities": _affinities(settings, inputs, segmented, clusters),
            "curve": [asdict(point) for point in curve.result()],
            "stability": stable.result(),
        }
    metadata = _metadata(settings, version, inputs, users, k, metrics)
    _stage_model(publication, clustering.model, metadata)
    return Segmentation(segmented, metadata)


def _chosen_k(k: str, curve: list[CurvePoint], users: int) -> int:
    wanted = best_k(curve) if k == AUTO and curve else int(k) if k != AUTO else 2
    if wanted >= users:
        raise UserError(f"{users} users cannot make {wanted} clusters: choose a smaller --k or load more events.")
    return wanted


def _stage_table(spark: SparkSession, publication: Publication, placed: DataFrame) -> DataFrame:
    staged = publication.stage(USER_SEGMENTS.path)
    write_files(placed, staged, USER_SEGMENTS)
    publication.replace(USER_SEGMENTS.path)
    return read_files(spark, staged, USER_SEGMENTS)


def _groups(segmented: DataFrame, clusters: list[Cluster]) -> dict[str, Any]:
    """Users by RFM name, by behaviour, and by RFM name and segment."""
    crossed = cross(segmented)
    return {
        "rfm": rfm_counts(crossed),
        "behaviours": behaviour_counts(crossed),
        "cross_table": cross_table(crossed, [cluster["name"] for cluster in clusters]),
    }


def _affinities(
    settings: Settings, inputs: Inputs, segmented: DataFrame, clusters: list[Cluster]
) -> list[SegmentAffinities]:
    least = {c["name"]: max(settings.affinity_users, settings.affinity_support * c["users"]) for c in clusters}
    found = interests(inputs.interactions, inputs.products, segmented)
    return affinities(found, least, settings.affinities_kept)


def _metadata(
    settings: Settings, version: str, inputs: Inputs, users: int, k: str, metrics: dict[str, Any]
) -> Metadata:
    # dates as Spark has them, UTC: a time that is collected comes in the machine's own zone
    bounds = F.to_date(F.min("first_seen")), F.to_date(F.max("last_seen"))
    # the same for all but a handful, whose recency is bounded: see features.reference
    reference = F.mode(F.date_add(F.to_date("last_seen"), F.col("recency").cast("int")))
    first, last, counted_from = inputs.users.agg(*bounds, reference).collect()[0]
    return Metadata.describe(
        name=SEGMENTS,
        version=version,
        seed=settings.seed,
        first_date=first.isoformat(),
        last_date=last.isoformat(),
        reference_date=counted_from.isoformat(),
        users=users,
        **inputs.counts,
        segments=[cluster["name"] for cluster in metrics["clusters"]],
        parameters={"k": k, "thresholds": settings.segments.model_dump()},
        metrics=metrics,
    )


def _stage_model(publication: Publication, model: PipelineModel, metadata: Metadata) -> None:
    target = model_path(SEGMENTS, metadata.version)
    staged = publication.stage(target)
    model.write().overwrite().save(str(staged))
    write_metadata(staged, metadata)
    publication.replace(target)
