"""K-means on user features: a Spark ML pipeline of assembler, scaler and k-means (SPEC G2)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.clustering import KMeans, KMeansModel
from pyspark.ml.evaluation import ClusteringEvaluator
from pyspark.ml.feature import StandardScaler, StandardScalerModel, VectorAssembler
from pyspark.ml.functions import array_to_vector
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from spark_apps.segmentation.inputs import CLUSTER, FEATURES, Floats, Scale
from spark_apps.segmentation.local import fit_locally, nearest
from spark_apps.segmentation.sampling import Coreset, coreset

MAX_ITERATIONS = 100
TOLERANCE = 1e-4
_ASSEMBLED, _SCALED = "features", "scaled_features"
_SUMS = "cluster int, users bigint, cost double, sums array<double>"


@dataclass(frozen=True)
class Fit:
    """How well k-means went.

    Attributes:
        k: number of clusters asked for.
        cost: sum of squared distances to the centres, in standard deviations.
        iterations: passes over the users.
        converged: whether the last pass moved no centre by more than TOLERANCE standard deviations.
        silhouette: mean over the users, squared Euclidean; None for a single cluster.
    """

    k: int
    cost: float
    iterations: int
    converged: bool
    silhouette: float | None


@dataclass(frozen=True)
class Clustering:
    """A fitted pipeline of assembler, scaler and k-means, how well it fits, and the coreset it started from."""

    model: PipelineModel
    fit: Fit
    coreset: Coreset


def fit_clusters(rows: DataFrame, users: int, k: int, seed: int, wanted: int) -> Clustering:
    """Fits k-means to all users in Spark, from the best centres of a coreset.

    Spark's own k-means takes no centres to start from. It draws one set, and where it ends depends on the seed: some
    per cent above the best cost. See docs/decisions/0007-segments.md.

    Args:
        rows: the result of `inputs.in_fixed_order`, cached by the caller.
        users: its number of rows, at least one.
        k: number of clusters asked for; there are fewer where fewer users differ.
        seed: of coreset and starts.
        wanted: half the size of the coreset, see `sampling.coreset`.
    """
    prepared = _preparation().fit(rows)
    scale = scale_of(prepared)
    drawn = coreset(rows, users, scale, wanted, seed)
    start = fit_locally(drawn.points, k, seed, drawn.weights).centres
    last, iterations = _lloyd(rows, scale, start)
    model = PipelineModel([*prepared.stages, _kmeans_with(rows.sparkSession, last.centres, seed)])
    score = silhouette(model.transform(rows)) if last.filled > 1 else None
    return Clustering(model, Fit(k, last.cost, iterations, last.stood_still, score), drawn)


def _preparation() -> Pipeline:
    assembler = VectorAssembler(inputCols=list(FEATURES), outputCol=_ASSEMBLED)
    scaler = StandardScaler(inputCol=_ASSEMBLED, outputCol=_SCALED, withMean=True, withStd=True)
    return Pipeline(stages=[assembler, scaler])


@dataclass(frozen=True)
class _Pass:
    """One pass over the users: cost and number of filled clusters of some centres, and where these move to."""

    centres: Floats
    moved: Floats
    cost: float
    filled: int

    @property
    def stood_still(self) -> bool:
        return bool(np.linalg.norm(self.moved - self.centres, axis=1).max() <= TOLERANCE)


def _lloyd(rows: DataFrame, scale: Scale, start: Floats) -> tuple[_Pass, int]:
    """Moves centres to the means of their users until they stand still; returns the last pass and its number."""
    last = _pass_over(rows, scale, start)
    for iteration in range(1, MAX_ITERATIONS):
        if last.stood_still:
            return last, iteration
        last = _pass_over(rows, scale, last.moved)
    return last, MAX_ITERATIONS


def _pass_over(rows: DataFrame, scale: Scale, centres: Floats) -> _Pass:
    """Adds up the users of each centre; a centre without users stays where it is."""
    parts = rows.select(*FEATURES).mapInArrow(partial(_sum_batches, scale, centres), _SUMS)
    sums, users, cost = np.zeros_like(centres), np.zeros((len(centres), 1)), 0.0
    for row in parts.collect():  # k rows for each batch of 65,536 users
        sums[row["cluster"]] += row["sums"]
        users[row["cluster"]] += row["users"]
        cost += row["cost"]
    moved = np.where(users > 0, sums / np.maximum(users, 1), centres)
    return _Pass(centres, moved, cost, int((users > 0).sum()))


def _sum_batches(scale: Scale, centres: Floats, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in (one for one in batches if one.num_rows):
        points = scale.standardised(np.column_stack([column.to_numpy() for column in batch.columns]))
        labels = nearest(centres, points)
        distances = ((points - centres[labels]) ** 2).sum(axis=1)
        filled = np.unique(labels)
        yield pa.RecordBatch.from_pydict(
            {
                "cluster": pa.array(filled, pa.int32()),
                "users": [int((labels == cluster).sum()) for cluster in filled],
                "cost": [float(distances[labels == cluster].sum()) for cluster in filled],
                "sums": [points[labels == cluster].sum(axis=0).tolist() for cluster in filled],
            }
        )


def _kmeans_with(spark: SparkSession, centres: Floats, seed: int) -> KMeansModel:
    """Makes Spark's model of given centres: fitted to these points alone, each is a cluster of its own."""
    arrays = spark.createDataFrame(pa.table({_SCALED: centres.tolist()})).coalesce(1)
    points = arrays.select(array_to_vector(F.col(_SCALED)).alias(_SCALED))
    # two clusters are the least that Spark takes; its other solver fails where there is one centre only
    kmeans = KMeans(featuresCol=_SCALED, predictionCol=CLUSTER, k=max(2, len(centres)), seed=seed, solver="row")
    return kmeans.setInitMode("random").fit(points)


def scale_of(model: PipelineModel) -> Scale:
    """Returns mean and standard deviation of each feature in a prepared or fitted pipeline."""
    scaler = model.stages[1]
    assert isinstance(scaler, StandardScalerModel)
    return Scale(scaler.mean.toArray(), scaler.std.toArray())


def centres_of(model: PipelineModel) -> Floats:
    """Returns the centres of a fitted pipeline in standard deviations, shape (clusters, features)."""
    stage = model.stages[-1]
    assert isinstance(stage, KMeansModel)
    return np.array(stage.clusterCenters())


def centre_means(model: PipelineModel) -> list[dict[str, float]]:
    """Returns each cluster's centre in the units of the features, also of a cluster without users."""
    scale = scale_of(model)
    centres = centres_of(model) * scale.deviation + scale.mean
    return [dict(zip(FEATURES, map(float, centre), strict=True)) for centre in centres]


def silhouette(placed: DataFrame) -> float:
    """Returns the mean silhouette (squared Euclidean, standardised features) of at least two clusters."""
    evaluator = ClusteringEvaluator(featuresCol=_SCALED, predictionCol=CLUSTER, metricName="silhouette")
    return float(evaluator.evaluate(placed))
