"""Item-kNN: products that the same users cared for, by the cosine of their columns of scores.

A baseline for the evaluation: Sarwar et al., "Item-Based Collaborative Filtering Recommendation Algorithms",
WWW 2001, as the library implicit has it. Fitted like ALS in one Spark task, by the same rule of memory; where all
users do not fit, by as many as do.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from scipy.sparse import csr_matrix

from spark_apps.recommendation.catalogue import Catalogue
from spark_apps.recommendation.histories import Histories
from spark_apps.recommendation.topn import Exclusions, TopLists

NEIGHBOURS = 100
# as in recommendation/als.py: Arrow columns, indices, and the matrix with its transpose
BYTES_PER_PAIR = 64
# place and similarity of a neighbour, in the task's result and as Arrow
BYTES_PER_NEIGHBOUR = 32
_NEIGHBOURS = "product_id bigint, neighbours array<bigint>, similarities array<float>"
_ROWS_PER_BATCH = 8192
_SHARES = 1_000_000
_USER_SALT = 1


@dataclass(frozen=True)
class ItemKnnRecommender:
    """Scores a product by how near it is to what the user touched, weighted by the user's scores.

    Attributes:
        similarity: products x products, at most NEIGHBOURS in a row, rows and columns being places.
    """

    similarity: csr_matrix
    name: str = "item-knn"

    @staticmethod
    def of(neighbours: pa.Table, catalogue: Catalogue) -> ItemKnnRecommender:
        """Places neighbours, the rows of `fit`, in a catalogue."""
        table = neighbours.combine_chunks()
        lists = table.column("neighbours").combine_chunks()
        rows = np.repeat(catalogue.places(table.column("product_id").to_numpy())[0], lists.value_lengths().to_numpy())
        columns = catalogue.places(lists.flatten().to_numpy())[0]
        values = table.column("similarities").combine_chunks().flatten().to_numpy()
        matrix = csr_matrix((values, (rows, columns)), shape=(len(catalogue), len(catalogue)))
        matrix.sort_indices()
        return ItemKnnRecommender(matrix)

    def lists(self, users: Histories, excluded: Exclusions, n: int) -> TopLists:
        """Returns the n nearest products; users whose products have no other neighbours get shorter lists."""
        found = self._near(users)
        products = self.similarity.shape[0]
        rows = np.repeat(np.arange(len(users)), np.diff(found.indptr))
        out = np.repeat(np.arange(len(users)), np.diff(excluded.offsets)) * products + excluded.ids
        kept = ~np.isin(rows * products + found.indices, out) & (found.data > 0)
        rows, places, scores = rows[kept], found.indices[kept], found.data[kept]
        order = np.lexsort((places, -scores, rows))
        rows, places, scores = rows[order], places[order], scores[order]
        ranks = np.arange(len(rows)) - np.searchsorted(rows, rows)
        best = ranks < n
        lists = TopLists(np.zeros((len(users), n), np.int64), np.full((len(users), n), -np.inf, np.float32))
        lists.ids[rows[best], ranks[best]] = places[best]
        lists.scores[rows[best], ranks[best]] = scores[best]
        return lists

    def scores(self, users: Histories, candidates: NDArray[np.int64]) -> NDArray[np.float64]:
        """Returns summed similarities; 0 for products that are no neighbours of anything the user touched."""
        found, products = self._near(users), self.similarity.shape[0]
        keys = np.repeat(np.arange(len(users)), np.diff(found.indptr)) * products + found.indices
        wanted = np.arange(len(users))[:, None] * products + candidates
        if not len(keys):
            return np.zeros(candidates.shape)
        positions = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
        return np.where(keys[positions] == wanted, found.data[positions], 0.0).astype(np.float64)

    def _near(self, users: Histories) -> csr_matrix:
        """Users x products: sums of similarities, each user's products in the order of their places."""
        found = users.matrix(self.similarity.shape[0]) @ self.similarity
        found.sort_indices()
        return found


def users_that_fit(interactions: DataFrame, pairs: int, products: int, task_memory: int, seed: int) -> DataFrame:
    """Keeps the interactions of as many users, by a seeded draw, as one task has room for.

    Args:
        interactions: columns of schemas.INTERACTIONS.
        pairs: its number of rows.
        products: number of products.
        task_memory: bytes that the task may take.
        seed: of the draw.
    """
    room = max(0, task_memory - products * NEIGHBOURS * BYTES_PER_NEIGHBOUR)
    share = min(1.0, room / max(1, pairs * BYTES_PER_PAIR))
    drawn = F.pmod(F.xxhash64("user_id", F.lit(seed), F.lit(_USER_SALT)), F.lit(_SHARES)) < F.lit(int(share * _SHARES))
    return interactions if share == 1 else interactions.where(drawn)


def fit(interactions: DataFrame, threads: int) -> DataFrame:
    """Finds every product's nearest neighbours in a single task.

    Args:
        interactions: user_id, product_id, score; a pair at most once; scores of 0 and below are ignored.
        threads: native threads of the task.

    Returns:
        product_id, neighbours (product ids, the product itself among them), similarities: at most NEIGHBOURS
        each, for products that somebody cares for.
    """
    liked = interactions.where(F.col("score") > 0).select("user_id", "product_id", "score")
    return liked.coalesce(1).mapInArrow(_fitter(threads), _NEIGHBOURS)


def _fitter(threads: int) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    def fit_batches(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        held = [batch for batch in batches if batch.num_rows]
        if held:
            users, products, scores = (column.to_numpy() for column in pa.Table.from_batches(held).columns)
            yield from _neighbour_batches(users, products, scores, threads)

    return fit_batches


def _neighbour_batches(
    users: NDArray[np.int64], products: NDArray[np.int64], scores: NDArray[np.float64], threads: int
) -> Iterator[pa.RecordBatch]:
    # loaded in the worker: the driver need not have it
    from implicit.nearest_neighbours import CosineRecommender
    from implicit.utils import ParameterWarning

    user_ids, rows = np.unique(users, return_inverse=True)
    ids, columns = np.unique(products, return_inverse=True)
    matrix = csr_matrix((scores, (rows, columns)), shape=(len(user_ids), len(ids)))
    matrix.sort_indices()  # the same sums in the same order, whatever order the rows came in
    model = CosineRecommender(K=NEIGHBOURS, num_threads=threads)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ParameterWarning)  # it converts its own intermediate matrix
        model.fit(matrix, show_progress=False)
    similarity = model.similarity
    similarity.eliminate_zeros()
    similarity.sort_indices()
    for start in range(0, len(ids), _ROWS_PER_BATCH):
        some = similarity[start : start + _ROWS_PER_BATCH]
        offsets = pa.array(some.indptr.astype(np.int32))
        lists = [
            pa.ListArray.from_arrays(offsets, pa.array(values))
            for values in (ids[some.indices], some.data.astype(np.float32))
        ]
        near = [pa.array(ids[start : start + _ROWS_PER_BATCH]), *lists]
        yield pa.RecordBatch.from_arrays(near, names=["product_id", "neighbours", "similarities"])
