"""Alternating least squares on implicit scores (SPEC R1) as the library implicit fits it, in one task of either engine.

How it is fitted, in NumPy, stands in conjugate.py.

The rule behind `--als auto` on Spark: `implicit` is taken while the estimate

    pairs * BYTES_PER_PAIR + (users + products) * rank * BYTES_PER_FACTOR

stays below the setting als_task_memory, because it needs all interactions in one task; beyond that, `mllib`
(engine/mllib.py), which spreads them. BYTES_PER_PAIR is what one pair takes in the task: 28 bytes of Arrow
columns as they come, 24 as the database holds them, and 32 as matrices: read, read the other way around, and as each
side of the fit has them. BYTES_PER_FACTOR is a float kept twice (fitted, and in another order or as Arrow). The local
engine reads pairs from files a batch at a time, so that a pair takes 32 bytes, and always takes implicit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from spark_apps.engine.base import Task
from spark_apps.engine.database import Database, sql
from spark_apps.recommendation import conjugate
from spark_apps.recommendation.ids import to_model_ids
from spark_apps.settings import AlsLibrary, AlsParameters

_ROOM = "spark_apps.recommendation"
BYTES_PER_PAIR = 84
BYTES_PER_FACTOR = 8
# What is read of an interaction.
RATED = ("user_id", "product_id", "score")
# Pairs that are kept from models: at least these columns, and few rows.
HELD = pa.schema([("user_id", pa.int64()), ("product_id", pa.int64())])
MODEL_FACTORS = pa.schema([("id", pa.int32()), ("features", pa.list_(pa.float32()))])
USER_FACTORS = pa.schema([("user_id", pa.int64()), ("features", pa.list_(pa.float32()))])
PRODUCT_FACTORS = pa.schema([("product_id", pa.int64()), ("features", pa.list_(pa.float32()))])
FITTED = pa.schema([("iterations", pa.int64())])
# Inputs that number ids.
USER_INDEX, PRODUCT_INDEX = "user_index", "product_index"
# Rows of a table of factors, and of a file of them: it is in memory as it is written, 50 MB at rank 50.
_ROWS_PER_TABLE, _ROWS_PER_FILE = 65_536, 262_144


@dataclass(frozen=True)
class Size:
    """How much there is to factorise."""

    users: int
    products: int
    pairs: int


def task_bytes(size: Size, rank: int) -> int:
    """Returns the memory that implicit's task is estimated to take on Spark, in bytes."""
    return size.pairs * BYTES_PER_PAIR + (size.users + size.products) * rank * BYTES_PER_FACTOR


def choose_library(wanted: AlsLibrary, size: Size, rank: int, task_memory: int) -> AlsLibrary:
    """Returns the library to use on Spark: the one asked for, or by the rule above."""
    if wanted != "auto":
        return wanted
    return "implicit" if task_bytes(size, rank) <= task_memory else "mllib"


@dataclass(frozen=True)
class Ratings:
    """Who scored what.

    Attributes:
        users: ids, rising.
        products: ids, rising.
        confidence: users x products: for ALS 1 + alpha * |score|, with the sign of the score; products rise within a
            user, so that sums have one order, whatever order the rows came in.
    """

    users: NDArray[np.int64]
    products: NDArray[np.int64]
    confidence: csr_matrix


@dataclass(frozen=True)
class Factors:
    """What ALS found.

    Attributes:
        users: ids, rising.
        user_factors: float32, shape (users, rank).
        products: ids, rising.
        product_factors: float32, shape (products, rank).
        iterations: after which they were found.
    """

    users: NDArray[np.int64]
    user_factors: NDArray[np.float32]
    products: NDArray[np.int64]
    product_factors: NDArray[np.float32]
    iterations: int


@dataclass(frozen=True)
class Fit:
    """How to fit.

    Attributes:
        parameters: rank, iterations, regularisation, alpha.
        seed: of the starting factors.
        threads: native threads of a Spark task; locally there are as many as cores.
        indexes: which of `user_index` and `product_index` are among the inputs: those of ids that do not fit 32 bits.
    """

    parameters: AlsParameters
    seed: int
    threads: int = 1
    indexes: tuple[str, ...] = ()


def fit_model(task: Task) -> None:
    """Fits ALS and writes its factors; needs all rows in one task.

    Inputs: interactions, RATED; held, HELD; user_index and product_index, ids.INDEX, as far as ids need them.
    Shared: Fit. Outputs: user_factors and item_factors, MODEL_FACTORS; factors_by_user, USER_FACTORS. Gives `fitted`, a
    row of FITTED.
    """
    fit: Fit = task.shared
    found = _fit(task, fit)
    users, products = (
        _originals(task.database, name) if name in fit.indexes else np.empty(0, np.int64)
        for name in (USER_INDEX, PRODUCT_INDEX)
    )
    sides = (
        ("user_factors", MODEL_FACTORS, to_model_ids(found.users, users), found.user_factors),
        ("item_factors", MODEL_FACTORS, to_model_ids(found.products, products), found.product_factors),
        ("factors_by_user", USER_FACTORS, found.users, found.user_factors),
    )
    with ThreadPoolExecutor(len(sides)) as pool:  # two of them are large
        for written in [pool.submit(_write, task, *side) for side in sides]:
            written.result()


def _write(task: Task, name: str, schema: pa.Schema, ids: NDArray[np.integer], factors: NDArray[np.float32]) -> None:
    for start in range(0, len(ids), _ROWS_PER_FILE):
        rows = slice(start, start + _ROWS_PER_FILE)
        task.output(name, schema, _tables(schema, ids[rows], factors[rows]), ["features"])


@dataclass(frozen=True)
class TrialFit:
    """How to fit for a trial: `users` are the ids whose factors are wanted, rising."""

    fit: Fit
    users: NDArray[np.int64]


def fit_trial(task: Task) -> None:
    """Fits ALS for somebody who needs the factors of all products and of a few users; needs all rows in one task.

    Inputs: interactions, RATED; held, HELD. Shared: TrialFit. Gives `fitted`, a row of FITTED, `users`, USER_FACTORS,
    and `products`, PRODUCT_FACTORS: rank x 4 bytes a row, 85 MB for 167,000 products at rank 128.
    """
    found = _fit(task, task.shared.fit)
    wanted = np.isin(found.users, task.shared.users)
    task.give("users", factor_table(USER_FACTORS, found.users[wanted], found.user_factors[wanted]))
    task.give("products", factor_table(PRODUCT_FACTORS, found.products, found.product_factors))


def _fit(task: Task, fit: Fit) -> Factors:
    ratings = read_ratings(task.database, fit.parameters.alpha)
    found = factorise(ratings, fit.parameters, fit.seed, max(task.threads, fit.threads))
    task.give("fitted", pa.table([[found.iterations]], FITTED))
    return found


def read_ratings(database: Database, alpha: float) -> Ratings:
    """Reads what ALS learns from a database with `interactions` and `held`, a batch of pairs at a time.

    Args:
        database: which one.
        alpha: of the confidence.
    """
    database.view("learned", sql(_ROOM, "learned"))
    database.view("ratings", sql(_ROOM, "ratings"))
    return read_matrix(database, lambda scores: np.sign(scores) * (1.0 + alpha * np.abs(scores)))


def read_matrix(database: Database, weigh: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Ratings:
    """Reads `ratings` from a database, a batch of pairs at a time.

    Args:
        database: with the relation `ratings`: user_id, product_id, score.
        weigh: makes of scores what stands in the matrix.
    """
    rows = database.rows("select user_id, count(*) as pairs from ratings group by user_id order by user_id")
    products = database.rows("select distinct product_id from ratings order by product_id")["product_id"].to_numpy()
    ends = np.concatenate([[0], np.cumsum(rows["pairs"].to_numpy())])
    places, weights = np.empty(ends[-1], np.int32), np.empty(ends[-1], np.float32)
    read = 0
    for batch in database.batches("select product_id, score from ratings order by user_id, product_id"):
        part = slice(read, read + len(batch))
        places[part] = np.searchsorted(products, batch["product_id"].to_numpy())
        weights[part] = weigh(batch["score"].to_numpy())
        read = part.stop
    users = rows["user_id"].to_numpy()
    offsets = ends.astype(np.int32 if ends[-1] < 2**31 else np.int64)
    return Ratings(users, products, csr_matrix((weights, places, offsets), shape=(len(users), len(products))))


def factorise(ratings: Ratings, parameters: AlsParameters, seed: int, threads: int) -> Factors:
    """Fits ALS.

    Args:
        ratings: who scored what.
        parameters: rank, iterations, regularisation; alpha is in the confidence already.
        seed: of the starting factors.
        threads: native threads.
    """
    if not len(ratings.users):
        none = np.zeros((0, parameters.rank), np.float32)
        return Factors(ratings.users, none, ratings.products, none, 0)
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, "blas"):
        of_users, of_products, iterations = conjugate.fit(
            ratings.confidence, parameters.rank, parameters.iterations, parameters.regularization, seed, threads
        )
    return Factors(ratings.users, of_users, ratings.products, of_products, iterations)


def factor_table(schema: pa.Schema, ids: NDArray[np.integer], factors: NDArray[np.float32]) -> pa.Table:
    """Puts ids and their factors, shape (ids, rank), into a table of one of the schemas above."""
    offsets = np.arange(0, factors.size + 1, factors.shape[1], dtype=np.int32)
    features = pa.ListArray.from_arrays(pa.array(offsets), pa.array(factors.reshape(-1)))
    return pa.table([pa.array(ids), features], schema=schema)


def _tables(schema: pa.Schema, ids: NDArray[np.integer], factors: NDArray[np.float32]) -> Iterator[pa.Table]:
    for start in range(0, len(ids), _ROWS_PER_TABLE):
        rows = slice(start, start + _ROWS_PER_TABLE)
        yield factor_table(schema, ids[rows], factors[rows])


def _originals(database: Database, index: str) -> NDArray[np.int64]:
    found: NDArray[np.int64] = database.rows(f"select original from {index} order by original")["original"].to_numpy()
    return found
