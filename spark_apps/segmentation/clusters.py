"""K-means on user features: a Spark ML pipeline of assembler, scaler and k-means (SPEC G2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from pyspark.ml import Pipeline, PipelineModel
from pyspark.ml.clustering import KMeansModel
from pyspark.ml.evaluation import ClusteringEvaluator
from pyspark.ml.feature import StandardScaler, StandardScalerModel, VectorAssembler
from pyspark.sql import DataFrame, SparkSession

from spark_apps.segmentation.curve import squared_silhouette
from spark_apps.segmentation.inputs import CLUSTER, FEATURES, Floats, Scale
from spark_apps.segmentation.local import fit_locally, nearest
from spark_apps.segmentation.sampling import Coreset, coreset

MAX_ITERATIONS = 100
TOLERANCE = 1e-4
_ASSEMBLED, _SCALED = "features", "scaled_features"
_SUMS = "points array<array<double>>, users array<array<double>>, cost double"
_FOUND = (
    "centres array<array<double>>, cost double, filled bigint, passes bigint, stands_still boolean, silhouette double"
)
# Up to so many users, one task moves the centres: 64 bytes a user, and about three times that while it works.
USERS_OF_A_TASK = 2_000_000


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
    found = _move_centres(rows, users, scale, start)
    model = PipelineModel([*prepared.stages, _kmeans_with(rows.sparkSession, found.centres, seed)])
    score = found.silhouette
    if score is None and found.filled > 1:
        score = silhouette(model.transform(rows))
    return Clustering(model, Fit(k, found.cost, found.passes, found.stands_still, score), drawn)


def _preparation() -> Pipeline:
    assembler = VectorAssembler(inputCols=list(FEATURES), outputCol=_ASSEMBLED)
    scaler = StandardScaler(inputCol=_ASSEMBLED, outputCol=_SCALED, withMean=True, withStd=True)
    return Pipeline(stages=[assembler, scaler])


@dataclass(frozen=True)
class _Sums:
    """What one pass over users finds.

    Attributes:
        points: per centre, the sum of the users nearest to it, shape (centres, features).
        users: per centre, shape (centres, 1).
        cost: sum of squared distances to the nearest centre.
    """

    points: Floats
    users: Floats
    cost: float


@dataclass(frozen=True)
class _Found:
    """Where centres came to stand: cost and number of those with users, passes, and whether the last moved none.

    The mean silhouette is known where one task held all users and several centres have some.
    """

    centres: Floats
    cost: float
    filled: int
    passes: int
    stands_still: bool
    silhouette: float | None = None


def _lloyd(sums_of: Callable[[Floats], _Sums], start: Floats) -> _Found:
    """Moves centres to the means of their users until they stand still; one without users stays where it is."""
    moved, passes, stands_still = start, 0, False
    while passes < MAX_ITERATIONS and not stands_still:
        centres, sums, passes = moved, sums_of(moved), passes + 1
        moved = np.where(sums.users > 0, sums.points / np.maximum(sums.users, 1), centres)
        stands_still = bool(np.linalg.norm(moved - centres, axis=1).max() <= TOLERANCE)
    return _Found(centres, sums.cost, int((sums.users > 0).sum()), passes, stands_still)


def _move_centres(rows: DataFrame, users: int, scale: Scale, start: Floats) -> _Found:
    """Moves centres in one task where the users fit into it, which saves a job a pass, else in one job a pass."""
    if users > USERS_OF_A_TASK:
        return _lloyd(partial(_sums_of_all, rows, scale), start)
    task = partial(_move_in_task, scale, start)
    (found,) = rows.select(*FEATURES).coalesce(1).mapInArrow(task, _FOUND).collect()  # one row, k centres
    return _Found(np.array(found["centres"]), *found[1:])


def _move_in_task(scale: Scale, start: Floats, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    points = np.concatenate([_points(scale, batch) for batch in batches])
    found = _lloyd(partial(_sums, points), start)
    score = squared_silhouette(points, nearest(found.centres, points)) if found.filled > 1 else None
    columns = {name: [value] for name, value in vars(found).items()}
    columns |= {"centres": [found.centres.tolist()], "silhouette": pa.array([score], pa.float64())}
    yield pa.RecordBatch.from_pydict(columns)


def _sums_of_all(rows: DataFrame, scale: Scale, centres: Floats) -> _Sums:
    """Adds up the users of each centre in one job."""
    parts = rows.select(*FEATURES).mapInArrow(partial(_sum_batches, scale, centres), _SUMS)
    found = _Sums(np.zeros_like(centres), np.zeros((len(centres), 1)), 0.0)
    for row in parts.collect():  # k centres for each batch of 65,536 users
        points, users = found.points + np.array(row["points"]), found.users + np.array(row["users"])
        found = _Sums(points, users, found.cost + row["cost"])
    return found


def _sum_batches(scale: Scale, centres: Floats, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        found = _sums(_points(scale, batch), centres)
        sums = {"points": [found.points.tolist()], "users": [found.users.tolist()], "cost": [found.cost]}
        yield pa.RecordBatch.from_pydict(sums)


def _points(scale: Scale, batch: pa.RecordBatch) -> Floats:
    return scale.standardised(np.column_stack([column.to_numpy() for column in batch.columns]))


def _sums(points: Floats, centres: Floats) -> _Sums:
    labels = nearest(centres, points)
    sums = [np.bincount(labels, weights=values, minlength=len(centres)) for values in points.T]
    users = np.bincount(labels, minlength=len(centres)).astype(float)
    return _Sums(np.column_stack(sums), users[:, None], float(((points - centres[labels]) ** 2).sum()))


def _kmeans_with(spark: SparkSession, centres: Floats, seed: int) -> KMeansModel:
    """Makes Spark's model of given centres."""
    jvm: Any = spark._jvm
    uid = f"KMeans_{len(centres)}"
    vectors = [jvm.org.apache.spark.mllib.linalg.Vectors.dense(_java_doubles(spark, centre)) for centre in centres]
    points = jvm.org.apache.spark.mllib.clustering.KMeansModel(jvm.java.util.ArrayList(vectors))
    model = KMeansModel(jvm.org.apache.spark.ml.clustering.KMeansModel(uid, points))
    model._resetUid(uid)
    # what a model fitted by Spark carries; two clusters are the least that it takes for k
    return model._set(featuresCol=_SCALED, predictionCol=CLUSTER, k=max(2, len(centres)), seed=seed)


def _java_doubles(spark: SparkSession, values: Floats) -> Any:
    gateway: Any = spark.sparkContext._gateway
    array = gateway.new_array(gateway.jvm.double, len(values))
    for place, value in enumerate(values):
        array[place] = float(value)
    return array


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
