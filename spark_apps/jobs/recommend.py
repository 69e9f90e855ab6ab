"""`shopstream recommend`: the list of one user from the newest models, without starting Spark (SPEC R4)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from spark_apps.jobs.train import LISTS, PRODUCT_INDEX, USER_INDEX
from spark_apps.publication import settle
from spark_apps.recommendation.ids import fits_int
from spark_apps.recommendation.lists import ALS_SOURCE, factor_matrix
from spark_apps.recommendation.popularity import ALL, GLOBAL, POPULARITY_SOURCE, SEGMENT
from spark_apps.recommendation.topn import Exclusions, ItemFactors, top_products
from spark_apps.registry.versions import ALS, POPULARITY, newest
from spark_apps.settings import Settings
from spark_apps.storage import StoragePath
from spark_apps.tables import INTERACTIONS, USER_SEGMENTS, Table


@dataclass(frozen=True)
class Recommendation:
    """One product for a user: its id, its score (comparable within a source), and what proposed it."""

    product_id: int
    score: float
    source: str


def run(settings: Settings, root: StoragePath, user_id: int, n: int) -> list[Recommendation]:
    """Recommends products to one user, known or not.

    Args:
        settings: says which products are left out.
        root: folder of the tables and models.
        user_id: any integer; an unknown user gets the products popular with everybody.
        n: length of the list.

    Raises:
        MissingModelError: when nothing was trained yet.
    """
    settle(root)
    model, _ = newest(root, ALS)
    popularity, _ = newest(root, POPULARITY)
    if not -(2**63) <= user_id < 2**63:  # no table can hold such a user
        return _by_popularity(popularity, None, set(), n)
    excluded = _excluded(settings, root, user_id)
    found = _by_factors(model, user_id, excluded, n)
    if len(found) == n:
        return found
    left_out = {*excluded.tolist(), *(one.product_id for one in found)}
    return found + _by_popularity(popularity, _segment(root, user_id), left_out, n - len(found))


def _by_factors(model: StoragePath, user_id: int, excluded: NDArray[np.int64], n: int) -> list[Recommendation]:
    model_id = _model_id(model, user_id)
    if model_id is None:
        return []
    row = _read(model / "userFactors", ["features"], pc.field("id") == model_id)
    if not row.num_rows:
        return []
    offsets = np.array([0, len(excluded)], np.int64)
    lists = top_products(factor_matrix(row.column("features"), 1), _items(model), Exclusions(offsets, excluded), n)
    return [
        Recommendation(int(product), float(score), ALS_SOURCE)
        for product, score in zip(lists.ids[0], lists.scores[0], strict=True)
        if np.isfinite(score)
    ]


def _model_id(model: StoragePath, user_id: int) -> int | None:
    if not (model / USER_INDEX).exists():
        return user_id if fits_int(user_id, user_id) else None
    row = _read(model / USER_INDEX, ["id"], pc.field("original") == user_id)
    return row.column("id")[0].as_py() if row.num_rows else None


def _items(model: StoragePath) -> ItemFactors:
    table = _read(model / "itemFactors", ["id", "features"])
    ids = table.column("id").to_numpy()
    if (model / PRODUCT_INDEX).exists():
        originals = _read(model / PRODUCT_INDEX, ["id", "original"]).sort_by("id").column("original").to_numpy()
        ids = originals[ids]  # numbered from 0 without gaps
    return ItemFactors.sorted(ids, factor_matrix(table.column("features"), table.num_rows))


def _excluded(settings: Settings, root: StoragePath, user_id: int) -> NDArray[np.int64]:
    touched = _table(root, INTERACTIONS, ["product_id", "purchases"], pc.field("user_id") == user_id)
    if settings.exclude_purchased and not settings.exclude_viewed:
        touched = touched.filter(pc.field("purchases") > 0)
    if not settings.exclude_purchased and not settings.exclude_viewed:
        touched = touched.slice(0, 0)
    products: NDArray[np.int64] = touched.column("product_id").to_numpy().astype(np.int64)
    return products


def _segment(root: StoragePath, user_id: int) -> str | None:
    row = _table(root, USER_SEGMENTS, ["segment"], pc.field("user_id") == user_id)
    return row.column("segment")[0].as_py() if row.num_rows else None


def _by_popularity(model: StoragePath, segment: str | None, left_out: set[int], n: int) -> list[Recommendation]:
    """The segment's favourites, then everybody's."""
    rows = _popular(model, SEGMENT, segment) if segment else []
    rows += _popular(model, GLOBAL, ALL)
    offered = {row["product_id"]: row["score"] for row in reversed(rows)}  # a product's first place counts
    order = dict.fromkeys(row["product_id"] for row in rows if row["product_id"] not in left_out)
    return [Recommendation(product, offered[product], POPULARITY_SOURCE) for product in list(order)[:n]]


def _popular(model: StoragePath, scope: str, key: str) -> list[dict[str, Any]]:
    wanted = (pc.field("scope") == scope) & (pc.field("key") == key)
    rows: list[dict[str, Any]] = (
        _read(model / LISTS, ["rank", "product_id", "score"], wanted).sort_by("rank").to_pylist()
    )
    return rows


def _table(root: StoragePath, table: Table, columns: list[str], condition: pc.Expression) -> pa.Table:
    return _read(root / table.path, columns, condition)


def _read(folder: StoragePath, columns: list[str], condition: pc.Expression | None = None) -> pa.Table:
    files: list[StoragePath] = sorted(folder.glob("*.parquet"), key=str)
    return pa.concat_tables([_read_file(path, columns, condition) for path in files])


def _read_file(path: StoragePath, columns: list[str], condition: pc.Expression | None) -> pa.Table:
    with path.open("rb") as stream:
        return pq.read_table(stream, columns=columns, filters=condition)
