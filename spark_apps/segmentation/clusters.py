"""K-means on user features (SPEC G2), the choice of k, and placing users in saved clusters (G5)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.clustering import KMeans, KMeansModel
from pyspark.ml.evaluation import ClusteringEvaluator
from pyspark.ml.feature import StandardScaler, VectorAssembler
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

FEATURES = (
    "recency",
    "frequency",
    "monetary",
    "conversion_rate",
    "cart_abandonment",
    "unique_products",
    "unique_categories",
    "avg_price",
)
K_TRIED = range(2, 11)
MAX_ITERATIONS = 20
CLUSTER = "cluster"
_SCALED, _ASSEMBLED = "scaled_features", "features"
_USERS_PER_PARTITION = 100_000
_TINY = np.finfo(np.float64).tiny
Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """How well k-means went: its k, cost (sum of squared distances, scaled units), iterations and silhouette."""

    k: int
    cost: float
    iterations: int
    silhouette: float | None


def clustering_input(features: DataFrame) -> DataFrame:
    """Returns user_id and the clustering features as doubles; a missing mean price counts as 0."""
    columns = [F.coalesce(F.col(name).cast("double"), F.lit(0.0)).alias(name) for name in FEATURES]
    return features.select("user_id", *columns)


def in_fixed_order(rows: DataFrame, users: int) -> DataFrame:
    """Lays rows out in an order and in partitions that depend on the users alone.

    K-means draws its first centres by them; partitions are few, because it runs dozens of short jobs.

    Args:
        rows: the result of `clustering_input`.
        users: its number of rows.
    """
    partitions = max(2, math.ceil(users / _USERS_PER_PARTITION))
    return rows.repartition(partitions, "user_id").sortWithinPartitions("user_id")


def fit_clusters(rows: DataFrame, k: int, seed: int) -> tuple[PipelineModel, Fit]:
    """Fits the pipeline assembler, scaler, k-means.

    Args:
        rows: the result of `in_fixed_order`, cached by the caller; more than k distinct rows.
        k: number of clusters asked for.
        seed: of the initial centres.
    """
    model = Pipeline(stages=[*_preparation(), _kmeans(k, seed)]).fit(rows)
    summary = kmeans_of(model).summary
    filled = sum(size > 0 for size in summary.clusterSizes)
    score = silhouette(model.transform(rows)) if filled > 1 else None
    return model, Fit(k, summary.trainingCost, summary.numIter, score)


def sample_users(rows: DataFrame, users: int, wanted: int, seed: int) -> Matrix:
    """Brings a seeded sample to the driver: about `wanted` users x 8 doubles, the same whatever the partitions.

    Args:
        rows: the result of `clustering_input`.
        users: its number of rows.
        wanted: users to sample; all of them where there are fewer.
        seed: of the sample.

    Returns:
        The clustering features, shape (sampled users, len(FEATURES)), in the order of the users.
    """
    per_million = F.pmod(F.xxhash64("user_id", F.lit(seed)), F.lit(1_000_000))
    chosen = rows.where(per_million < F.lit(round(1e6 * min(1.0, wanted / max(users, 1)))))
    table = chosen.toArrow().sort_by("user_id")
    return np.column_stack([table.column(name).to_numpy() for name in FEATURES])


def silhouette_curve(sample: Matrix, ks: Sequence[int], seed: int) -> list[Fit]:
    """Tries several k on a sample, with scikit-learn: Spark would spend minutes on scheduling tiny jobs.

    The silhouette is Spark's (squared Euclidean, standardised features), exact over the sample.

    Args:
        sample: from `sample_users`.
        ks: the numbers of clusters to try.
        seed: of the initial centres.
    """
    from sklearn.cluster import (
        KMeans as LocalKMeans,
    )  # imported late: a second that other commands need not wait
    from sklearn.preprocessing import StandardScaler as LocalScaler

    scaled = LocalScaler().fit_transform(sample)
    distinct = len(np.unique(scaled, axis=0))
    curve = []
    for k in ks:
        if k >= distinct:
            break
        fitted = LocalKMeans(k, n_init=1, max_iter=MAX_ITERATIONS, random_state=seed).fit(scaled)
        score = _squared_silhouette(scaled, fitted.labels_)
        curve.append(Fit(k, float(fitted.inertia_), int(fitted.n_iter_), score))
    return curve


def _squared_silhouette(points: Matrix, labels: NDArray[np.integer[Any]]) -> float:
    """The mean silhouette for squared Euclidean distances, which need no pairs but only sums per cluster."""
    clusters, labels = np.unique(labels, return_inverse=True)
    norms = (points**2).sum(axis=1)
    members = np.eye(len(clusters))[labels]
    sizes = members.sum(axis=0)
    # of each point, the sum of its squared distances to a cluster's points
    distances = np.maximum(sizes * norms[:, None] + norms @ members - 2 * points @ (points.T @ members), 0)
    rows = np.arange(len(points))
    own = distances[rows, labels] / np.maximum(sizes[labels] - 1, 1)
    distances[rows, labels] = np.inf
    nearest = (distances / sizes).min(axis=1)
    widths = np.where(sizes[labels] > 1, (nearest - own) / np.maximum(np.maximum(nearest, own), _TINY), 0)
    return float(widths.mean())


def best_k(curve: Sequence[Fit]) -> int:
    """Returns the k with the highest silhouette, the smallest of equals."""
    return max(curve, key=lambda fit: (fit.silhouette if fit.silhouette is not None else -1.0, -fit.k)).k


def place_users(model: PipelineModel, features: DataFrame) -> DataFrame:
    """Places users in a saved model's clusters.

    Args:
        model: a fitted pipeline.
        features: user features, of users old or new.

    Returns:
        user_id, cluster.
    """
    return model.transform(clustering_input(features)).select("user_id", CLUSTER)


def cluster_means(placed: DataFrame) -> list[dict[str, float]]:
    """Returns users and feature means per cluster, in the clusters' order; empty clusters are left out.

    Args:
        placed: cluster and the columns of FEATURES.
    """
    means = [F.avg(name).alias(name) for name in FEATURES]
    rows = placed.groupBy(CLUSTER).agg(F.count("*").alias("users"), *means).orderBy(CLUSTER).collect()  # k rows
    return [row.asDict() for row in rows]


def kmeans_of(model: PipelineModel) -> KMeansModel:
    """Returns the k-means stage of a fitted pipeline."""
    stage = model.stages[-1]
    assert isinstance(stage, KMeansModel)
    return stage


def silhouette(placed: DataFrame) -> float:
    """Returns the mean silhouette (squared Euclidean, standardised features) of at least two clusters."""
    evaluator = ClusteringEvaluator(featuresCol=_SCALED, predictionCol=CLUSTER, metricName="silhouette")
    return float(evaluator.evaluate(placed))


def _preparation() -> list[VectorAssembler | StandardScaler]:
    return [
        VectorAssembler(inputCols=list(FEATURES), outputCol=_ASSEMBLED),
        StandardScaler(inputCol=_ASSEMBLED, outputCol=_SCALED, withMean=True, withStd=True),
    ]


def _kmeans(k: int, seed: int) -> KMeans:
    return KMeans(featuresCol=_SCALED, predictionCol=CLUSTER, k=k, seed=seed, maxIter=MAX_ITERATIONS)
