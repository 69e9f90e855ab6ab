"""`shopstream recommend`: the list of one user from the promoted models, without starting Spark (SPEC R4).

Of a user whom the stream has seen since the training, it counts what the stream saw, as the stream's own lists do.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_apps.jobs.stream.user_lookup import newest_user
from spark_apps.jobs.train import LISTS
from spark_apps.jobs.train.hybrid import load_hybrid, user_factor, weights_of
from spark_apps.recommendation.hybrid import POPULARITY_SOURCE, SOURCES, Explained, HybridRecommender
from spark_apps.recommendation.lists import histories_of
from spark_apps.recommendation.popularity import ALL, GLOBAL, SEGMENT
from spark_apps.registry.serving import current
from spark_apps.registry.versions import ALS, HYBRID, POPULARITY
from spark_apps.settings import Settings
from spark_apps.storage import StoragePath, read_parquet
from spark_apps.storage.transaction import recover
from spark_apps.streaming.scoring import Models, explained_for
from spark_apps.tables import INTERACTIONS, USER_SEGMENTS

_TOUCHED = ("product_id", "score", "purchases", "interaction_count")


@dataclass(frozen=True)
class Recommendation:
    """One product for a user: its id, its score (comparable within a source), and what proposed it."""

    product_id: int
    score: float
    source: str


@dataclass(frozen=True)
class User:
    """What the tables and models know of one user.

    Attributes:
        user_id: the user.
        segment: its segment's name, None where it has none.
        touched: product_id, score, purchases and interaction_count of what it touched.
        factor: features array<float>, one row or none.
    """

    user_id: int
    segment: str | None
    touched: pa.Table
    factor: pa.Table

    def row(self) -> pa.RecordBatch:
        """The user as a row of `recommendation.lists.user_histories`."""
        features = self.factor.column("features").to_pylist() or [None]
        columns = {
            "user_id": pa.array([self.user_id], pa.int64()),
            "segment": pa.array([self.segment], pa.string()),
            "features": pa.array(features, pa.list_(pa.float32())),
            "products": pa.array([self.touched.column("product_id").to_pylist()], pa.list_(pa.int64())),
            "scores": pa.array([self.touched.column("score").to_pylist()], pa.list_(pa.float32())),
            "bought": pa.array([[n > 0 for n in self.touched.column("purchases").to_pylist()]], pa.list_(pa.bool_())),
        }
        return pa.RecordBatch.from_pydict(columns)


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
    recover(root)
    folders = {name: current(root, name) for name in (ALS, HYBRID, POPULARITY)}
    popularity, _ = folders[POPULARITY]
    if not -(2**63) <= user_id < 2**63:  # no table can hold such a user
        return _by_popularity(popularity, None, set(), n)
    hybrid, metadata = folders[HYBRID]
    als, _ = folders[ALS]
    user = read_user(root, als, user_id)
    newest = newest_user(root, settings, user_id, pc.sum(user.touched["interaction_count"]).as_py() or 0)
    if newest:
        user = replace(user, segment=newest.segment, touched=newest.touched)
        found = _answer_folded_in(newest.models, user, settings, n)
    elif user.touched.num_rows:
        model = load_hybrid(hybrid, als, metadata.segments, weights_of(metadata), settings.popular_kept)
        found = answer(model, metadata.segments, user, settings, n)
    else:
        found = []
    left_out = {*_excluded(settings, user.touched), *(one.product_id for one in found)}
    return found + _by_popularity(popularity, user.segment, left_out, n - len(found))


def _answer_folded_in(models: Models, user: User, settings: Settings, n: int) -> list[Recommendation]:
    """What the stream recommends to one user: by a factor from what the user touched, not the training's."""
    rows = pa.Table.from_batches([user.row()]).drop_columns("features")
    return _recommendations(explained_for(rows, models, settings.model_copy(update={"top": n})), models.hybrid)


def read_user(root: StoragePath, als: StoragePath, user_id: int) -> User:
    """Reads what is known of a user.

    Args:
        root: folder of the tables.
        als: folder of an ALS version.
        user_id: known or not.
    """
    touched = read_parquet(root / INTERACTIONS.path, _TOUCHED, pc.field("user_id") == user_id)
    return User(user_id, _segment(root, user_id), touched, user_factor(als, user_id))


def answer(
    model: HybridRecommender, segments: list[str], user: User, settings: Settings, n: int
) -> list[Recommendation]:
    """Returns what a loaded model recommends to one user with a history: the model work of an answer."""
    histories = histories_of(user.row(), model.catalogue, segments, model.als.rank)
    excluded = histories.left_out(settings.exclude_purchased, settings.exclude_viewed)
    return _recommendations(model.explained(histories, excluded, n), model)


def _recommendations(found: Explained, model: HybridRecommender) -> list[Recommendation]:
    """The list of the first user."""
    return [
        Recommendation(int(model.catalogue.ids[place]), float(score), SOURCES[source])
        for place, score, source in zip(found.lists.ids[0], found.lists.scores[0], found.sources[0], strict=True)
        if np.isfinite(score)
    ]


def _excluded(settings: Settings, touched: pa.Table) -> list[int]:
    if not settings.exclude_viewed:
        touched = touched.filter(pc.field("purchases") > 0) if settings.exclude_purchased else touched.slice(0, 0)
    products: list[int] = touched.column("product_id").to_pylist()
    return products


def _segment(root: StoragePath, user_id: int) -> str | None:
    row = read_parquet(root / USER_SEGMENTS.path, ["segment"], pc.field("user_id") == user_id)
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
        read_parquet(model / LISTS, ["rank", "product_id", "score"], wanted).sort_by("rank").to_pylist()
    )
    return rows
