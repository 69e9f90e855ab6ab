"""`shopstream segment`: RFM scores, k-means clusters, their names and what they are like (SPEC G1-G5)."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

from spark_apps.engine.base import Engine, Relation
from spark_apps.engine.published import table_relation
from spark_apps.errors import UserError
from spark_apps.jobs.quarantine import require_events
from spark_apps.registry.promotion import publish_without_policy
from spark_apps.registry.spark_ml import KMeansPipeline, read_pipeline, write_pipeline
from spark_apps.registry.versions import SEGMENTS, Metadata, new_version, write_metadata
from spark_apps.results import Result
from spark_apps.segmentation.affinities import SegmentAffinities, affinities, interests
from spark_apps.segmentation.clusters import Clustering, fit_clusters, survey
from spark_apps.segmentation.curve import K_TRIED, CurvePoint, best_k, silhouette_curve
from spark_apps.segmentation.distributions import count_values
from spark_apps.segmentation.inputs import FEATURES, Scale
from spark_apps.segmentation.model import Placed, SegmentModel, write_segments
from spark_apps.segmentation.profiles import (
    Cluster,
    behaviour_counts,
    cross_table,
    named_clusters,
    profiles,
    rfm_counts,
)
from spark_apps.segmentation.rfm import rfm_cuts
from spark_apps.segmentation.stability import stability
from spark_apps.settings import Settings
from spark_apps.storage import StoragePath, count_rows
from spark_apps.storage.catalog import table_exists
from spark_apps.storage.transaction import Transaction
from spark_apps.tables import INTERACTIONS, PRODUCT_FEATURES, USER_FEATURES, USER_SEGMENTS, DateRange, model_path

AUTO = "auto"


@dataclass(frozen=True)
class Inputs:
    """The feature tables that a segmentation reads, whole, and the rows of two of them for the metadata."""

    users: Relation
    products: Relation
    interactions: Relation
    counts: dict[str, int]


@dataclass(frozen=True)
class Segmentation:
    """The staged table of users in their segments, and what is worth knowing of the fit."""

    users: Relation
    metadata: Metadata


def run(engine: Engine, settings: Settings, root: StoragePath, k: str) -> Metadata:
    """Segments the users of the feature table and publishes segments and model together."""
    if not table_exists(root, USER_FEATURES):
        require_events(root, DateRange())
    version = new_version(root)
    users, products, interactions = (
        table_relation(root, table) for table in (USER_FEATURES, PRODUCT_FEATURES, INTERACTIONS)
    )
    counts = {"products": _rows(products), "interactions": _rows(interactions)}
    with Transaction(root, targets(version)) as transaction:
        inputs = Inputs(users, products, interactions, counts)
        metadata = build(engine, settings, transaction, inputs, version, k).metadata
        publish_without_policy(root, transaction, SEGMENTS, version, USER_SEGMENTS, command="segment")
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
    pipeline = read_pipeline(folder)
    return SegmentModel.from_metrics(Scale(pipeline.mean, pipeline.deviation), pipeline.centres, metadata.metrics)


def build(
    engine: Engine, settings: Settings, transaction: Transaction, inputs: Inputs, version: str, k: str
) -> Segmentation:
    """Segments users into a transaction that the caller commits.

    Args:
        engine: does the work.
        settings: the run's settings.
        transaction: where table and model are staged.
        inputs: the feature tables.
        version: name of the model version.
        k: number of clusters, or `auto` for the best of 2 to 10 by silhouette.
    """
    count, seed, scratch = _rows(inputs.users), settings.seed, transaction.scratch("segments")
    _refuse_too_few(count, k)
    users = survey(engine, inputs.users, count, settings.cluster_curve_users, seed)
    with ThreadPoolExecutor(1) as beside:  # scikit-learn's part, on the sample, while the engine goes on
        curve = beside.submit(silhouette_curve, users.sample, K_TRIED, seed)
        chosen = _chosen_k(k, curve.result() if k == AUTO else [])
        clustering = fit_clusters(users, chosen, seed)
        stable = beside.submit(stability, users, clustering, seed)
        distributions = count_values(users, clustering, scratch)
        clusters = named_clusters(clustering.means(), distributions, settings.segments)
        names = {cluster.cluster: cluster.name for cluster in clusters}
        model = SegmentModel(clustering.scale, clustering.centres, rfm_cuts(distributions), names)
        placed = write_segments(engine, inputs.users, model, transaction.stage(USER_SEGMENTS.path))
        transaction.replace(USER_SEGMENTS.path)
        metrics = {
            **asdict(clustering.fit),
            "clusters": _figures(clusters),
            "rfm_cuts": model.cuts,
            **_groups(placed, clusters),
            "profiles": _figures(profiles(distributions, names)),
            "affinities": _figures(_affinities(engine, settings, inputs, placed, clusters, scratch)),
            "curve": _figures(curve.result()),
            "stability": found.figures() if (found := stable.result()) else None,
        }
    metadata = _metadata(settings, version, inputs, placed, k, metrics)
    _stage_model(transaction, clustering, metadata)
    return Segmentation(placed.users, metadata)


def _rows(relation: Relation) -> int:
    """Rows of whole files."""
    return sum(count_rows(file) for file in relation.files)


def _refuse_too_few(users: int, k: str) -> None:
    wanted = _chosen_k(k, [])
    if wanted >= users:
        raise UserError(f"{users} users cannot make {wanted} clusters: choose a smaller --k or load more events.")


def _chosen_k(k: str, curve: list[CurvePoint]) -> int:
    if k != AUTO:
        return int(k)
    return best_k(curve) if curve else 2


def _figures(found: Sequence[Result]) -> list[dict[str, Any]]:
    return [one.figures() for one in found]


def _groups(placed: Placed, clusters: list[Cluster]) -> dict[str, Any]:
    """Users by RFM name, by behaviour, and by RFM name and segment."""
    return {
        "rfm": rfm_counts(placed.crossed),
        "behaviours": behaviour_counts(placed.crossed),
        "cross_table": cross_table(placed.crossed, [cluster.name for cluster in clusters]),
    }


def _affinities(
    engine: Engine, settings: Settings, inputs: Inputs, placed: Placed, clusters: list[Cluster], scratch: StoragePath
) -> list[SegmentAffinities]:
    least = {c.name: max(settings.affinity_users, settings.affinity_support * c.users) for c in clusters}
    found = interests(engine, inputs.interactions, inputs.products, placed.users, scratch)
    return affinities(found, least, settings.affinities_kept)


def _metadata(
    settings: Settings, version: str, inputs: Inputs, placed: Placed, k: str, metrics: dict[str, Any]
) -> Metadata:
    return Metadata.describe(
        name=SEGMENTS,
        version=version,
        seed=settings.seed,
        first_date=placed.first_date.isoformat(),
        last_date=placed.last_date.isoformat(),
        reference_date=placed.reference_date.isoformat(),
        users=_rows(inputs.users),
        **inputs.counts,
        segments=[cluster["name"] for cluster in metrics["clusters"]],
        parameters={"k": k, "thresholds": settings.segments.model_dump()},
        metrics=metrics,
    )


def _stage_model(transaction: Transaction, clustering: Clustering, metadata: Metadata) -> None:
    target = model_path(SEGMENTS, metadata.version)
    staged = transaction.stage(target)
    scale = clustering.scale
    write_pipeline(staged, KMeansPipeline(FEATURES, scale.mean, scale.deviation, clustering.centres), metadata.seed)
    write_metadata(staged, metadata)
    transaction.replace(target)
