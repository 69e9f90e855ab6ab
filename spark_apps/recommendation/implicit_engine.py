"""ALS by the library implicit, inside one Spark task: Arrow in, factors out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame

from spark_apps.settings import AlsParameters

USER, ITEM = 0, 1
_FACTORS = "side int, id int, features array<float>"
_ROWS_PER_BATCH = 8192


def fit(ratings: DataFrame, parameters: AlsParameters, seed: int, threads: int) -> DataFrame:
    """Factorises ratings in a single task.

    Args:
        ratings: user int, item int, score double; a pair at most once; scores of 0 are ignored.
        parameters: rank, iterations, regularisation, alpha.
        seed: of the starting factors.
        threads: native threads of the task.

    Returns:
        side (0 user, 1 item), id, features: lazily, so the caller caches or writes it once.
    """
    return ratings.select("user", "item", "score").coalesce(1).mapInArrow(_fitter(parameters, seed, threads), _FACTORS)


def _fitter(
    parameters: AlsParameters, seed: int, threads: int
) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    def fit_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        table = [(_column(b, 0), _column(b, 1), _column(b, 2)) for b in batches if b.num_rows]
        if not table:
            return
        users, items, scores = (np.concatenate(parts) for parts in zip(*table, strict=True))
        yield from _factor_batches(users, items, scores, parameters, seed, threads)

    return fit_batches


def _column(batch: pa.RecordBatch, index: int) -> NDArray[np.generic]:
    column: NDArray[np.generic] = batch.column(index).to_numpy(zero_copy_only=False)
    return column


def _factor_batches(
    users: NDArray[np.int32],
    items: NDArray[np.int32],
    scores: NDArray[np.float64],
    parameters: AlsParameters,
    seed: int,
    threads: int,
) -> Iterator[pa.RecordBatch]:
    # loaded in the worker: the driver need not have it
    from implicit.cpu.als import AlternatingLeastSquares
    from scipy.sparse import csr_matrix
    from threadpoolctl import threadpool_limits

    user_ids, rows = np.unique(users, return_inverse=True)
    item_ids, columns = np.unique(items, return_inverse=True)
    confidence = np.sign(scores) * (1.0 + parameters.alpha * np.abs(scores))
    matrix = csr_matrix((confidence.astype(np.float32), (rows, columns)), shape=(len(user_ids), len(item_ids)))
    matrix.sort_indices()  # the same sums in the same order, whatever order the rows came in
    with threadpool_limits(1, "blas"):  # before it is made, or it warns
        model = AlternatingLeastSquares(
            factors=parameters.rank,
            iterations=parameters.iterations,
            regularization=parameters.regularization,
            alpha=1.0,  # already in the confidence
            num_threads=threads,
            random_state=seed,
        )
        model.fit(matrix, show_progress=False)
    yield from _batches(USER, user_ids, model.user_factors)
    yield from _batches(ITEM, item_ids, model.item_factors)


def _batches(side: int, ids: NDArray[np.int32], factors: NDArray[np.float32]) -> Iterator[pa.RecordBatch]:
    for start in range(0, len(ids), _ROWS_PER_BATCH):
        some, values = ids[start : start + _ROWS_PER_BATCH], factors[start : start + _ROWS_PER_BATCH]
        offsets = np.arange(0, values.size + 1, values.shape[1], dtype=np.int32)
        features = pa.ListArray.from_arrays(pa.array(offsets), pa.array(values.reshape(-1)))
        columns = [pa.array(np.full(len(some), side, np.int32)), pa.array(some.astype(np.int32)), features]
        yield pa.RecordBatch.from_arrays(columns, names=["side", "id", "features"])
