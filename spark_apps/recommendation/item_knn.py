"""Item-kNN: products that the same users cared for, by the cosine of their columns of scores.

A baseline for the evaluation: Sarwar et al., "Item-Based Collaborative Filtering Recommendation Algorithms",
WWW 2001, as the library implicit has it. Fitted like ALS in one task, by the same rule of memory; where all
users do not fit, by as many as do.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from spark_apps.engine.base import Task
from spark_apps.engine.database import sql
from spark_apps.recommendation.als import Ratings, read_matrix
from spark_apps.recommendation.catalogue import Catalogue
from spark_apps.recommendation.histories import Histories
from spark_apps.recommendation.topn import Exclusions, TopLists

NEIGHBOURS = 100
# as in recommendation/als.py: Arrow columns, indices, and the matrix with its transpose
BYTES_PER_PAIR = 64
# place and similarity of a neighbour, in the task's result and as Arrow
BYTES_PER_NEIGHBOUR = 32
NEAR = pa.schema(
    [
        ("product_id", pa.int64()),
        ("neighbours", pa.list_(pa.int64())),
        ("similarities", pa.list_(pa.float32())),
    ]
)
_ROWS_PER_BATCH = 8192
_HASHES = 16**8
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
        """Places neighbours, the rows of `find_neighbours`, in a catalogue."""
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


@dataclass(frozen=True)
class NeighbourSearch:
    """How neighbours are found.

    Attributes:
        bound: users whose hash is below it are looked at: see `bound_of`; None takes all.
        seed: of the draw.
        threads: native threads of a Spark task; locally there are as many as cores.
    """

    bound: str | None
    seed: int
    threads: int = 1


def bound_of(pairs: int, products: int, task_memory: int) -> str | None:
    """Returns the hash below which as many users stand as one task has room for; None where all fit.

    Args:
        pairs: number of interactions.
        products: number of products.
        task_memory: bytes that the task may take.
    """
    room = max(0, task_memory - products * NEIGHBOURS * BYTES_PER_NEIGHBOUR)
    share = min(1.0, room / max(1, pairs * BYTES_PER_PAIR))
    return None if share == 1 else f"{int(share * _HASHES):08x}"


def find_neighbours(task: Task) -> None:
    """Finds every product's nearest neighbours; needs all rows in one task.

    Inputs: interactions, als.RATED; a pair at most once. Shared: NeighbourSearch. Gives `neighbours`, NEAR: at most
    NEIGHBOURS for each product that somebody cares for, the product itself among them.
    """
    search: NeighbourSearch = task.shared
    task.database.set(seed=search.seed, salt=_USER_SALT, bound=search.bound)
    task.database.view("ratings", sql("spark_apps.recommendation", "liked"))
    liked = read_matrix(task.database, lambda scores: scores)
    if len(liked.users):
        for rows in _neighbours(liked, max(task.threads, search.threads)):
            task.give("neighbours", rows)


def _neighbours(liked: Ratings, threads: int) -> Iterator[pa.Table]:
    # a fifth of a second, and only here
    from implicit.nearest_neighbours import CosineRecommender
    from implicit.utils import ParameterWarning

    model = CosineRecommender(K=NEIGHBOURS, num_threads=threads)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ParameterWarning)  # it converts its own intermediate matrix
        model.fit(liked.confidence.astype(np.float64), show_progress=False)
    similarity, ids = model.similarity, liked.products
    similarity.eliminate_zeros()
    similarity.sort_indices()
    for start in range(0, len(ids), _ROWS_PER_BATCH):
        some = similarity[start : start + _ROWS_PER_BATCH]
        offsets = pa.array(some.indptr.astype(np.int32))
        lists = [
            pa.ListArray.from_arrays(offsets, pa.array(values))
            for values in (ids[some.indices], some.data.astype(np.float32))
        ]
        yield pa.table([pa.array(ids[start : start + _ROWS_PER_BATCH]), *lists], schema=NEAR)
