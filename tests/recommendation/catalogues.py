"""Small catalogues and histories for tests of recommenders."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from spark_apps.recommendation.catalogue import Catalogue
from spark_apps.recommendation.histories import Histories
from spark_apps.recommendation.hybrid import HybridRecommender, SegmentTastes
from spark_apps.recommendation.recommenders import AlsRecommender
from spark_apps.recommendation.topn import ItemFactors
from spark_apps.settings import BlendWeights

CODES = ("electronics.smartphone", "electronics.audio.headphone", "apparel.shoes", "unknown")
BRANDS = ("apple", "sony", "nike", "unknown")


def products(
    number: int, seed: int = 0, *, codes: Sequence[str] = CODES, brands: Sequence[str] = BRANDS, first_id: int = 1000
) -> pa.Table:
    """Products with random descriptions; some have no price."""
    random = np.random.default_rng(seed)
    price = np.round(random.lognormal(4, 1, number), 2)
    return pa.table(
        {
            "product_id": np.arange(number) * 7 + first_id,
            "category_code": random.choice(codes, number),
            "brand": random.choice(brands, number),
            "avg_price": pa.array(price, mask=random.random(number) < 0.1),
            "popularity": random.integers(0, 50, number).astype(float),
            "users": random.integers(1, 20, number),
        }
    )


def catalogue(number: int, seed: int = 0) -> Catalogue:
    """A catalogue of random products."""
    return Catalogue.of(products(number, seed))


def histories(number: int, products: int, rank: int = 4, seed: int = 1, segments: int = 2) -> Histories:
    """Random users; the last has no factors, the one before no segment."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, min(12, products), number)
    touched = [np.sort(random.choice(products, length, replace=False)) for length in lengths]
    factors = random.normal(size=(number, rank)).astype(np.float32) / 3
    factors[-1] = 0
    of_segment = random.integers(0, segments, number).astype(np.int32)
    of_segment[-2:-1] = -1
    total = int(lengths.sum())
    return Histories(
        users=np.arange(number) + 50,
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        places=np.concatenate(touched).astype(np.int64),
        scores=random.integers(-1, 11, total).astype(np.float32),
        bought=random.random(total) < 0.3,
        segments=of_segment,
        factors=factors,
    )


def hybrid(
    goods: Catalogue, rank: int = 4, seed: int = 2, segments: int = 2, weights: BlendWeights | None = None
) -> HybridRecommender:
    """A hybrid with random factors for two of three products."""
    random = np.random.default_rng(seed)
    places = np.flatnonzero(np.arange(len(goods)) % 3 > 0)
    items = ItemFactors.sorted(places, random.normal(size=(len(places), rank)).astype(np.float32))
    sums = random.random((segments, len(goods))) * goods.popularity
    tastes = SegmentTastes.of(goods, sums, kept=20)
    return HybridRecommender(goods, AlsRecommender(items, len(goods)), tastes, weights or BlendWeights())
