"""Models in Spark ML's folders, written and read by Arrow: a Spark loads what is written here, and the other way round.

What Spark insists on: a line of JSON in each stage's metadata; stages in `stages/<number>_<uid>`; its own schema in the
footer of Parquet files with vectors, which are else plain structs to it; vectors' types and elements that can't be
null; the rank of ALS beside its parameters rather than among them; ids of 32 bits.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from spark_apps.storage import StoragePath, read_parquet, write_parquet

# The version of Spark whose folders these are.
SPARK_VERSION = "4.1.4"
_SPARK_SCHEMA = "org.apache.spark.sql.parquet.row.metadata"
_ASSEMBLER, _SCALER, _KMEANS = (
    "feature.VectorAssembler",
    "feature.StandardScalerModel",
    "clustering.KMeansModel",
)
_ASSEMBLED, _SCALED, _PREDICTION = "features", "scaled_features", "cluster"
_SPARSE = 0
# Rows that one user's factor is looked up among.
_ROWS_PER_GROUP = 65_536

_VECTOR = pa.struct(
    [
        pa.field("type", pa.int8(), nullable=False),
        pa.field("size", pa.int32()),
        pa.field("indices", pa.list_(pa.field("element", pa.int32(), nullable=False))),
        pa.field("values", pa.list_(pa.field("element", pa.float64(), nullable=False))),
    ]
)
_Spark = str | dict[str, Any]


def _array_of(element: str, contains_null: bool) -> _Spark:
    return {"type": "array", "elementType": element, "containsNull": contains_null}


def _spark_field(name: str, kind: _Spark, nullable: bool) -> dict[str, Any]:
    return {"name": name, "type": kind, "nullable": nullable, "metadata": {}}


_SPARK_VECTOR: _Spark = {
    "type": "udt",
    "class": "org.apache.spark.ml.linalg.VectorUDT",
    "pyClass": "pyspark.ml.linalg.VectorUDT",
    "sqlType": {
        "type": "struct",
        "fields": [
            _spark_field("type", "byte", False),
            _spark_field("size", "integer", True),
            _spark_field("indices", _array_of("integer", False), True),
            _spark_field("values", _array_of("double", False), True),
        ],
    },
}
_SPARK_FACTOR = _array_of("float", True)


@dataclass(frozen=True)
class KMeansPipeline:
    """A pipeline of assembler, scaler and k-means.

    Attributes:
        features: the columns that it reads.
        mean: of each feature.
        deviation: standard deviation of each feature.
        centres: in standard deviations from the mean, shape (clusters, features).
    """

    features: tuple[str, ...]
    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    centres: NDArray[np.float64]


@dataclass(frozen=True)
class AlsFactors:
    """What ALS found, in the order of ids.

    Attributes:
        users: ids, of 32 bits.
        user_factors: shape (users, rank).
        items: ids.
        item_factors: shape (items, rank).
    """

    users: NDArray[np.int32]
    user_factors: NDArray[np.float32]
    items: NDArray[np.int32]
    item_factors: NDArray[np.float32]


def write_pipeline(folder: StoragePath, pipeline: KMeansPipeline, seed: int) -> None:
    """Writes a PipelineModel of VectorAssembler, StandardScalerModel and KMeansModel, whose prediction is `cluster`.

    Args:
        folder: new, or empty.
        pipeline: the model.
        seed: that it was fitted with.
    """
    k = len(pipeline.centres)
    uids = ["VectorAssembler_shopstream", "StandardScaler_shopstream", f"KMeans_{k}"]
    assembler, scaler, kmeans = (folder / "stages" / f"{number}_{uid}" for number, uid in enumerate(uids))
    _write_stage(
        assembler,
        _ASSEMBLER,
        uids[0],
        {"inputCols": list(pipeline.features), "outputCol": _ASSEMBLED},
        {"handleInvalid": "error", "outputCol": f"{uids[0]}__output"},
    )
    _write_stage(
        scaler,
        _SCALER,
        uids[1],
        {"inputCol": _ASSEMBLED, "outputCol": _SCALED, "withMean": True, "withStd": True},
        {"outputCol": f"{uids[1]}__output", "withMean": False, "withStd": True},
    )
    scales = {"std": pipeline.deviation[None], "mean": pipeline.mean[None]}
    _write_rows(scaler / "data", [(name, _vectors(one), _SPARK_VECTOR, True) for name, one in scales.items()])
    _write_stage(
        kmeans,
        _KMEANS,
        uids[2],
        # two clusters are the least that Spark takes for k
        {"featuresCol": _SCALED, "k": max(2, k), "predictionCol": _PREDICTION, "seed": seed},
        _KMEANS_DEFAULTS,
    )
    numbers = pa.array(range(k), pa.int32())
    clusters = [
        ("clusterIdx", numbers, "integer", False),
        ("clusterCenter", _vectors(pipeline.centres), _SPARK_VECTOR, True),
    ]
    _write_rows(kmeans / "data", clusters)
    _write_stage(folder, "PipelineModel", "PipelineModel_shopstream", {"stageUids": uids}, {})


_KMEANS_DEFAULTS = {
    "distanceMeasure": "euclidean",
    "featuresCol": "features",
    "initMode": "k-means||",
    "initSteps": 2,
    "k": 2,
    "maxBlockSizeInMB": 0.0,
    "maxIter": 20,
    "predictionCol": "prediction",
    "solver": "auto",
    "tol": 1e-4,
}


def read_pipeline(folder: StoragePath) -> KMeansPipeline:
    """Reads what `write_pipeline` wrote, or a Spark of the same stages."""
    stages = {_read_metadata(stage)["class"]: stage for stage in (folder / "stages").glob("*")}
    assembler, scaler, kmeans = (stages[_class(kind)] for kind in (_ASSEMBLER, _SCALER, _KMEANS))
    features = tuple(_read_metadata(assembler)["paramMap"]["inputCols"])
    scales = read_parquet(scaler / "data", ["std", "mean"])
    mean, deviation = (_matrix(scales[name].to_pylist())[0] for name in ("mean", "std"))
    clusters = read_parquet(kmeans / "data", ["clusterIdx", "clusterCenter"]).sort_by("clusterIdx")
    return KMeansPipeline(features, mean, deviation, _matrix(clusters["clusterCenter"].to_pylist()))


def write_als(folder: StoragePath, factors: AlsFactors) -> None:
    """Writes an ALSModel with the columns `user` and `item`, which drops unknown users and items.

    Args:
        folder: new, or empty.
        factors: the model.
    """
    write_als_metadata(folder, factors.user_factors.shape[1])
    sides = {"userFactors": (factors.users, factors.user_factors), "itemFactors": (factors.items, factors.item_factors)}
    for name, (ids, values) in sides.items():
        rows = [("id", pa.array(ids, pa.int32()), "integer", True), ("features", _lists(values), _SPARK_FACTOR, True)]
        _write_rows(folder / name, rows, ["features"])


def write_als_metadata(folder: StoragePath, rank: int) -> None:
    """Makes an ALSModel of a folder with Parquet files in userFactors and itemFactors: id int, features array<float>.

    Args:
        folder: of the model.
        rank: length of a factor.
    """
    _write_stage(
        folder,
        "recommendation.ALSModel",
        f"ALS_{rank}",
        # without the columns' names and the strategy the loaded model predicts nothing
        {"coldStartStrategy": "drop", "itemCol": "item", "userCol": "user"},
        {"blockSize": 4096, "predictionCol": "prediction"},
        rank=rank,
    )


def read_als(folder: StoragePath) -> AlsFactors:
    """Reads what `write_als` wrote, or a Spark: all factors are in memory then."""
    rank = int(_read_metadata(folder)["rank"])
    users, items = (read_parquet(folder / name, ["id", "features"]) for name in ("userFactors", "itemFactors"))
    return AlsFactors(*_ids_and_factors(users, rank), *_ids_and_factors(items, rank))


def _ids_and_factors(rows: pa.Table, rank: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    ids = rows["id"].to_numpy()
    order = np.argsort(ids)
    chunks = [chunk.flatten().to_numpy() for chunk in rows["features"].chunks]
    values = np.concatenate([np.empty(0, np.float32), *chunks]).reshape(-1, rank)
    return ids[order], values[order]


def _class(kind: str) -> str:
    return f"org.apache.spark.ml.{kind}"


def _write_stage(
    folder: StoragePath, kind: str, uid: str, set_here: dict[str, Any], defaults: dict[str, Any], **more: Any
) -> None:
    told = {
        "class": _class(kind),
        "timestamp": int(time.time() * 1000),
        "sparkVersion": SPARK_VERSION,
        "uid": uid,
        "paramMap": set_here,
        "defaultParamMap": defaults,
        **more,
    }
    metadata = folder / "metadata"
    metadata.mkdir(parents=True, exist_ok=True)
    (metadata / "part-00000").write_bytes((json.dumps(told, separators=(",", ":")) + "\n").encode())


def _read_metadata(folder: StoragePath) -> dict[str, Any]:
    """A stage's metadata: one line, in one of Spark's files; the others are empty."""
    parts: list[StoragePath] = sorted((folder / "metadata").glob("part-*"), key=str)
    text = "".join(part.read_text(encoding="utf-8") for part in parts)
    told: dict[str, Any] = json.loads(text)
    return told


def _write_rows(
    folder: StoragePath, columns: Sequence[tuple[str, pa.Array, _Spark, bool]], seldom_repeated: Sequence[str] = ()
) -> None:
    """Writes columns: name, values, Spark's type, and whether it may be null."""
    told = {"type": "struct", "fields": [_spark_field(name, kind, null) for name, _, kind, null in columns]}
    footer = {"org.apache.spark.version": SPARK_VERSION, _SPARK_SCHEMA: json.dumps(told)}
    schema = pa.schema([pa.field(name, values.type, null) for name, values, _, null in columns], footer)
    rows = pa.table([values for _, values, _, _ in columns], schema)
    write_parquet(folder / "part-00000.zstd.parquet", rows, _ROWS_PER_GROUP, seldom_repeated)


def _vectors(matrix: NDArray[np.float64]) -> pa.Array:
    """Rows as dense vectors."""
    return pa.array([{"type": 1, "size": None, "indices": None, "values": row.tolist()} for row in matrix], _VECTOR)


def _lists(matrix: NDArray[np.float32]) -> pa.Array:
    offsets = np.arange(0, matrix.size + 1, matrix.shape[1], dtype=np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), pa.array(matrix.reshape(-1), pa.float32()))


def _matrix(vectors: Sequence[dict[str, Any]]) -> NDArray[np.float64]:
    return np.array([_dense(vector) for vector in vectors])


def _dense(vector: dict[str, Any]) -> NDArray[np.float64]:
    if vector["type"] != _SPARSE:
        return np.array(vector["values"], np.float64)
    values = np.zeros(vector["size"])
    values[vector["indices"]] = vector["values"]
    return values
