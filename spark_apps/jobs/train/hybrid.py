"""The hybrid's files: staged by a training, loaded for lists and for one user's answer (SPEC R3).

models/hybrid/<version>/ holds `products` and `segment_scores`; the factors are those of models/als/<version>/.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_apps.engine.base import Engine, Relation
from spark_apps.jobs.train.validation import Learned
from spark_apps.recommendation import popularity
from spark_apps.recommendation.hybrid import HybridRecommender, hybrid_of
from spark_apps.registry.versions import Metadata
from spark_apps.settings import BlendWeights
from spark_apps.storage import StoragePath, read_parquet
from spark_apps.storage.transaction import Transaction

PRODUCTS, SEGMENT_SCORES, SEGMENT_SUMS = "products", "segment_scores", "segment_sums"
USER_INDEX, PRODUCT_INDEX = "userIndex", "productIndex"
_PRODUCT_COLUMNS = ("product_id", "category_code", "brand", "avg_price", "users")
_SCORE_COLUMNS = ("segment", "product_id", "score")


def stage_hybrid(
    engine: Engine,
    transaction: Transaction,
    folder: StoragePath,
    lists: StoragePath,
    learned: Learned,
    segments: Relation,
    products: Relation,
    kept: int,
) -> int:
    """Writes the hybrid's own files and the lists of popular products.

    Args:
        engine: runs the units.
        transaction: holds what is made on the way.
        folder: the staged version of the hybrid.
        lists: folder of the lists.
        learned: what models learn from.
        segments: columns of schemas.USER_SEGMENTS.
        products: columns of schemas.PRODUCT_FEATURES.
        kept: products kept in each list.

    Returns:
        How many users' scores of a product are above 0.
    """
    sums = transaction.scratch(SEGMENT_SUMS)
    placed = {"segments": segments.select(*popularity.PLACED)}
    made = engine.run(
        popularity.segment_sums, {**learned.inputs(), **placed}, by="user_id", outputs={SEGMENT_SUMS: sums}
    )
    engine.run(
        popularity.segment_scores,
        {SEGMENT_SUMS: Relation.of(sums, popularity.SEGMENT_SUMS)},
        by="product_id",
        outputs={SEGMENT_SCORES: folder / SEGMENT_SCORES},
    )
    scores = Relation.of(folder / SEGMENT_SCORES, popularity.SEGMENT_SCORES)
    engine.run(
        popularity.popular_products,
        {SEGMENT_SCORES: scores, PRODUCTS: products.select(*popularity.DESCRIBED)},
        outputs={"lists": lists, PRODUCTS: folder / PRODUCTS},
        shared=kept,
    )
    return sum(made.result("interest", popularity.INTEREST)["liked"].to_pylist())


def load_hybrid(
    folder: StoragePath, als: StoragePath, segments: list[str], weights: BlendWeights, kept: int
) -> HybridRecommender:
    """Loads a staged or published hybrid.

    Brings the catalogue to the driver: per product some 100 bytes, 8 more per segment, and rank x 4 of factors:
    50 MB for 167,000 products of rank 50 in five segments.

    Args:
        folder: of the hybrid's version.
        als: of the same training's ALS version.
        segments: names of the segments, in the order that histories count them.
        weights: of the blend.
        kept: popular products kept per segment.
    """
    return hybrid_with(folder, item_factors(als), segments, weights, kept)


def load_without_factors(
    folder: StoragePath, segments: list[str], weights: BlendWeights, kept: int
) -> HybridRecommender:
    """Loads a staged hybrid whose ALS part knows no product yet; otherwise as `load_hybrid`."""
    none = pa.table({"product_id": pa.array([], pa.int64()), "features": pa.array([], pa.list_(pa.float32()))})
    return hybrid_with(folder, none, segments, weights, kept)


def hybrid_with(
    folder: StoragePath, items: pa.Table, segments: list[str], weights: BlendWeights, kept: int
) -> HybridRecommender:
    """Loads a staged hybrid; otherwise as `load_hybrid`.

    Args:
        folder: of the hybrid's version.
        items: product_id, features: ALS factors.
        segments: names of the segments, in the order that histories count them.
        weights: of the blend.
        kept: popular products kept per segment.
    """
    products = read_parquet(folder / PRODUCTS, _PRODUCT_COLUMNS)
    scores = read_parquet(folder / SEGMENT_SCORES, _SCORE_COLUMNS)
    return hybrid_of(products, scores, items, segments, weights, kept)


def weights_of(metadata: Metadata) -> BlendWeights:
    """Returns the weights that a version was published with; the oldest had no affinity in their blend."""
    return BlendWeights(**{"affinity": 0.0, **metadata.parameters["blend"]})


def user_factor(als: StoragePath, user_id: int) -> pa.Table:
    """Returns a user's factor from a published ALS version, features array<float>: one row, or none."""
    model_id = _model_id(als, user_id)
    wanted = pc.field("id") == (-1 if model_id is None else model_id)
    found = read_parquet(als / "userFactors", ["id", "features"], wanted)
    return found.slice(0, 0) if model_id is None else found


def _model_id(als: StoragePath, user_id: int) -> int | None:
    if not (als / USER_INDEX).exists():
        return user_id if -(2**31) <= user_id < 2**31 else None
    row = read_parquet(als / USER_INDEX, ["id"], pc.field("original") == user_id)
    return row.column("id")[0].as_py() if row.num_rows else None


def item_factors(als: StoragePath) -> pa.Table:
    """Returns the products' factors of an ALS version: product_id, features."""
    table = read_parquet(als / "itemFactors", ["id", "features"])
    ids = table.column("id").to_numpy().astype(np.int64)
    if (als / PRODUCT_INDEX).exists():
        originals = read_parquet(als / PRODUCT_INDEX, ["id", "original"]).sort_by("id").column("original").to_numpy()
        ids = originals[ids]  # numbered from 0 without gaps
    return pa.table({"product_id": ids, "features": table.column("features")})
