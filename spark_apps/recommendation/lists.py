"""The top products of every user, from what each touched and a model that all tasks share (SPEC R4)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from spark_apps.engine.base import Task
from spark_apps.engine.database import Database, sql
from spark_apps.recommendation.catalogue import Catalogue
from spark_apps.recommendation.histories import Histories
from spark_apps.recommendation.hybrid import ALS_SOURCE, SOURCES, Explained, HybridRecommender
from spark_apps.recommendation.topn import factor_matrix
from spark_apps.schemas import RECOMMENDATIONS

_ROOM = "spark_apps.recommendation"
# What is read of an interaction.
TOUCHED = ("user_id", "product_id", "score", "purchases")
LISTS = RECOMMENDATIONS
USERS_PER_BLOCK = 1024
# What a row of the inputs takes, about: of some ten a user, who takes 60 microseconds.
ROW_SECONDS = 6e-6
# Users whose rows are in memory at a time, some 30 MB; whose lists make a file, 30 MB until it is written.
_USERS_AT_ONCE, _USERS_PER_FILE = 65_536, 262_144
# Sums that add up exactly: of the scores whose binary exponent is the same, the sum of the whole mantissas.
_COUNTS = pa.schema([("lists", pa.int64()), ("rows", pa.int64()), ("with_als", pa.int64()), ("listed", pa.binary())])
_SCORES = pa.schema([("exponent", pa.int32()), ("mantissas", pa.int64())])
_MANTISSA_BITS = 24


@dataclass(frozen=True)
class Listing:
    """How lists are made.

    Attributes:
        model: the recommender.
        segments: names of the segments, in the order of the model's tastes.
        n: length of a list.
        exclude_purchased: whether products that the user bought are left out.
        exclude_viewed: whether all products that the user touched are.
    """

    model: HybridRecommender
    segments: list[str]
    n: int
    exclude_purchased: bool
    exclude_viewed: bool


def user_lists(task: Task) -> None:
    """Makes the lists of whole users, a block of them at a time.

    Inputs: interactions, TOUCHED; segments, popularity.PLACED, a row a user; factors, als.USER_FACTORS. Shared:
    Listing. Output: recommendations, LISTS. Gives what `list_figures` adds up: `counts`, a row, and `scores`, a row an
    exponent of floats.
    """
    from threadpoolctl import threadpool_limits

    users = task.database.rows("select user_id from segments order by user_id")["user_id"].to_numpy()
    counted = _Counted.nothing(len(task.shared.model.catalogue))
    with threadpool_limits(1, "blas"):
        for start in range(0, len(users), _USERS_PER_FILE):
            some = users[start : start + _USERS_PER_FILE]
            task.output("recommendations", LISTS, _list_tables(task.database, some, task.shared, counted))
    for name, rows in counted.tables().items():
        task.give(name, rows)


def _list_tables(
    database: Database, users: NDArray[np.int64], listing: Listing, counted: _Counted
) -> Iterator[pa.Table]:
    model = listing.model
    for start in range(0, len(users), _USERS_AT_ONCE):
        some = users[start : start + _USERS_AT_ONCE]
        known = histories_between(database, some, model.catalogue, listing.segments, model.als.rank)
        tables = []
        for first in range(0, len(known), USERS_PER_BLOCK):
            block = known.rows(first, min(first + USERS_PER_BLOCK, len(known)))
            excluded = block.left_out(listing.exclude_purchased, listing.exclude_viewed)
            found = model.explained(block, excluded, listing.n)
            counted.add(found)
            tables.append(_list_table(block, model, found))
        yield pa.concat_tables(tables)


def histories_between(
    database: Database, users: NDArray[np.int64], catalogue: Catalogue, segments: list[str], rank: int
) -> Histories:
    """Reads what some users touched from a database with the inputs of `user_lists`.

    Args:
        database: which one.
        users: all users from the first to the last that have a segment, rising; at least one.
        catalogue: products that it does not hold are left out.
        segments: names of the segments; another name, or none, is -1.
        rank: length of a factor.
    """
    database.set(first_user=int(users[0]), last_user=int(users[-1]))
    pairs, placed = (database.rows(sql(_ROOM, name)) for name in ("history_pairs", "history_users"))
    places, known = catalogue.places(pairs["product_id"].to_numpy())
    rows = np.searchsorted(users, pairs["user_id"].to_numpy()[known])
    numbers = pc.fill_null(pc.index_in(placed["segment"], pa.array(segments, pa.string())), -1)
    return Histories(
        users=users,
        offsets=np.searchsorted(rows, np.arange(len(users) + 1)).astype(np.int64),
        places=places[known].astype(np.int64),
        scores=pairs["score"].to_numpy()[known],
        bought=pairs["bought"].to_numpy()[known],
        segments=numbers.to_numpy().astype(np.int32),
        factors=_factors(placed["features"], len(users), rank),
    )


def histories_of(batch: pa.RecordBatch, catalogue: Catalogue, segments: list[str], rank: int) -> Histories:
    """Turns rows of single users into arrays.

    Args:
        batch: user_id, segment, features (null without) and, side by side, the lists products, scores and bought.
        catalogue: products that it does not hold are left out.
        segments: names of the segments; another name, or none, is -1.
        rank: length of a factor.
    """
    column = dict(zip(batch.schema.names, batch.columns, strict=True))
    lengths = np.asarray(column["products"].value_lengths().fill_null(0).to_numpy(zero_copy_only=False), np.int64)
    rows = np.repeat(np.arange(batch.num_rows), lengths)
    places, known = catalogue.places(column["products"].flatten().to_numpy(zero_copy_only=False))
    order = np.lexsort((places, rows))
    order = order[known[order]]  # the same sums in the same order, whatever order the rows came in
    counts = np.bincount(rows[order], minlength=batch.num_rows)
    numbers = {name: number for number, name in enumerate(segments)}
    return Histories(
        users=column["user_id"].to_numpy(),
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        places=places[order].astype(np.int64),
        scores=column["scores"].flatten().to_numpy(zero_copy_only=False).astype(np.float32)[order],
        bought=column["bought"].flatten().to_numpy(zero_copy_only=False).astype(np.bool_)[order],
        segments=np.array([numbers.get(name, -1) for name in column["segment"].to_pylist()], np.int32),
        factors=_factors(column["features"], batch.num_rows, rank),
    )


def _factors(column: pa.ListArray | pa.ChunkedArray, rows: int, rank: int) -> NDArray[np.float32]:
    found = np.zeros((rows, rank), np.float32)
    there = np.asarray(column.is_valid().to_numpy(zero_copy_only=False), np.bool_)
    if there.any():
        found[there] = factor_matrix(column.drop_null(), int(there.sum()))
    return found


def _list_table(users: Histories, model: HybridRecommender, found: Explained) -> pa.Table:
    lists = found.lists
    kept = np.isfinite(lists.scores)
    ranks = np.broadcast_to(np.arange(1, lists.ids.shape[1] + 1, dtype=np.int32), lists.ids.shape)
    repeated = np.broadcast_to(users.users[:, None], lists.ids.shape)
    products = model.catalogue.ids[lists.ids]
    columns = [pa.array(column[kept]) for column in (repeated, ranks, products, lists.scores)]
    sources = pa.DictionaryArray.from_arrays(pa.array(found.sources[kept]), pa.array(SOURCES)).cast(pa.string())
    return pa.table([*columns, sources], schema=LISTS)


@dataclass
class _Counted:
    """What is counted of a task's lists.

    Attributes:
        listed: whether a place of the catalogue is in a list.
        lists: users with a list.
        with_als: users with a product that ALS speaks for.
        mantissas: of the scores, summed by exponent.
    """

    listed: NDArray[np.bool_]
    lists: int = 0
    rows: int = 0
    with_als: int = 0
    mantissas: Counter[int] = field(default_factory=Counter)

    @staticmethod
    def nothing(products: int) -> _Counted:
        return _Counted(np.zeros(products, np.bool_))

    def add(self, found: Explained) -> None:
        kept = np.isfinite(found.lists.scores)
        self.rows += int(kept.sum())
        self.lists += int(kept.any(axis=1).sum())
        self.with_als += int(((found.sources == SOURCES.index(ALS_SOURCE)) & kept).any(axis=1).sum())
        self.listed[found.lists.ids[kept]] = True
        mantissas, exponents = np.frexp(found.lists.scores[kept])
        whole = np.ldexp(mantissas.astype(np.float64), _MANTISSA_BITS)
        for exponent in np.unique(exponents).tolist():
            self.mantissas[exponent] += int(whole[exponents == exponent].sum())  # below 2**53, so exact

    def tables(self) -> dict[str, pa.Table]:
        counts = [[self.lists], [self.rows], [self.with_als], [np.packbits(self.listed).tobytes()]]
        scores = [list(self.mantissas), list(self.mantissas.values())]
        return {"counts": pa.table(counts, schema=_COUNTS), "scores": pa.table(scores, schema=_SCORES)}


def list_figures(counts: pa.Table, scores: pa.Table, products: int) -> dict[str, Any]:
    """Adds up what tasks of `user_lists` gave: sums are exact, so the same on every engine.

    Args:
        counts: a row a task, of which a bit a product.
        scores: rows of exponents and sums of mantissas.
        products: number of products in the catalogue.
    """
    rows, listed = sum(counts["rows"].to_pylist()), np.zeros(products, np.bool_)
    for bits in counts["listed"].to_pylist():
        listed |= np.unpackbits(np.frombuffer(bits, np.uint8), count=products).astype(np.bool_)
    # in units of the smallest float, whole numbers of any size
    smallest = min(scores["exponent"].to_pylist(), default=0)
    units = sum(row["mantissas"] << (row["exponent"] - smallest) for row in scores.to_pylist())
    recommended = int(listed.sum())
    return {
        "recommendations": rows,
        "users_with_list": sum(counts["lists"].to_pylist()),
        "mean_score": _ratio(units, rows, smallest - _MANTISSA_BITS) if rows else None,
        "users_with_als": sum(counts["with_als"].to_pylist()),
        "products_recommended": recommended,
        "catalogue_coverage": recommended / max(1, products),
    }


def _ratio(units: int, rows: int, exponent: int) -> float:
    """Returns units * 2**exponent / rows, rounded once."""
    return float(Fraction(units, rows) * Fraction(2) ** exponent)
