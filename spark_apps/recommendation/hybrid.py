"""ALS, content, popularity and the taste of the user's segment in one ranking (SPEC R3).

A product p is ranked for a user u by

    (max(als(u, p), 0) + ALS_FLOOR) * affinity(u, p) ** affinity
        * exp(content * cos(u, p) + popularity * ln(1 + pop(p)) + segment * lift(s, p))

that is by a weighted sum of logarithms, in which the weight of ALS is 1. affinity(u, p) is how far the product's
category, brand and price band are what the user goes for, and the product popular among their like: see affinity.py;
cos is the cosine of content vectors; pop the summed scores of a product; lift says how much more the user's
segment cares for the product's category and price band than everybody does:

    lift(s, p) = ln(share of the category in s / its share overall) + the same for the price band,

each share drawn towards the overall one by PRIOR_SCORE points. Scores that add up to less than 0, of products that
were only put back, count as none in a share. The weights are BlendWeights; `shopstream train
--tune` finds them on validation data.

Scored are each user's candidates: the best by ALS, the most popular products of the kinds that the user cares
for most, and those popular in the segment.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from spark_apps.recommendation.affinity import Affinity
from spark_apps.recommendation.catalogue import PRICE_BANDS, Catalogue, Places
from spark_apps.recommendation.histories import Histories
from spark_apps.recommendation.recommenders import AlsRecommender, ContentRecommender, Scores, best_candidates
from spark_apps.recommendation.topn import Exclusions, ItemFactors, TopLists, factor_matrix
from spark_apps.settings import BlendWeights

ALS_SOURCE, CONTENT_SOURCE, POPULARITY_SOURCE = "als", "content", "popularity"
SOURCES = (ALS_SOURCE, CONTENT_SOURCE, POPULARITY_SOURCE)
# Below this ALS has nothing to say of a product: preferences lie between 0 and 1.
ALS_FLOOR = 0.005
# A product proposed by its looks is at least so near to what the user touched.
LEAST_COSINE = 0.2
PRIOR_SCORE = 1000.0
# Candidates per place of a list: by ALS, popular in the segment.
_ALS, _POPULAR = 3, 1
# By each grouping of the affinity: favourite groups of a user, and candidates of each per place of a list.
_FAVOURITES = ((2, 1.0), (3, 0.6), (6, 0.5))
# ALS, and a favourite group per its share above, propose at least as many as for a list of ten.
_LEAST_PLACES = 10
# Logarithms of scores that a table's float holds.
_LOG_SCORES = (-87.0, 88.0)


@dataclass(frozen=True)
class SegmentTastes:
    """What each segment cares for; the last row stands for everybody.

    Attributes:
        category_lift: logarithm of lift, shape (segments + 1, categories).
        band_lift: the same for price bands, shape (segments + 1, PRICE_BANDS).
        popular: each segment's places, the most popular first, shape (segments + 1, kept).
    """

    category_lift: Scores
    band_lift: Scores
    popular: Places

    @staticmethod
    def of(catalogue: Catalogue, sums: Scores, kept: int) -> SegmentTastes:
        """Derives tastes from sums of scores.

        Args:
            catalogue: the products.
            sums: summed scores per segment and place, shape (segments, products); removals can bring them below 0.
            kept: length of the lists of popular products.
        """
        # what was put back is no interest, and must not take away from the interest in other products
        rows = np.maximum(np.concatenate([sums, catalogue.popularity[None, :]]), 0)
        order = np.argsort(-rows, axis=1, kind="stable")[:, :kept]
        popular = np.where(np.take_along_axis(rows, order, axis=1) > 0, order, -1)
        return SegmentTastes(
            _lifts(rows, catalogue.category, int(catalogue.category.max(initial=-1)) + 1),
            _lifts(rows, catalogue.price_band, PRICE_BANDS),
            popular,
        )


def _lifts(rows: Scores, group: NDArray[np.int32], groups: int) -> Scores:
    """Logarithms of how much larger a group's share of a row is than of the last row; rows hold nothing below 0."""
    inside = group >= 0
    sums = np.stack([np.bincount(group[inside], row[inside], minlength=groups) for row in rows])
    overall = sums[-1] / max(1e-12, float(sums[-1].sum()))
    shares = (sums + PRIOR_SCORE * overall) / (sums.sum(axis=1, keepdims=True) + PRIOR_SCORE)
    lifts: Scores = np.log(np.divide(shares, overall, out=np.ones_like(shares), where=overall > 0))
    return lifts


@dataclass(frozen=True)
class Explained:
    """Lists and, beside each place, the number in SOURCES of what speaks for it."""

    lists: TopLists
    sources: NDArray[np.int8]


@dataclass(frozen=True)
class HybridRecommender:
    """The blend of the module's docstring."""

    catalogue: Catalogue
    als: AlsRecommender
    tastes: SegmentTastes
    weights: BlendWeights
    name: str = "hybrid"

    @cached_property
    def content(self) -> ContentRecommender:
        """The content part."""
        return ContentRecommender(self.catalogue)

    @cached_property
    def affinity(self) -> Affinity:
        """The part that knows the kinds of products a user goes for."""
        return Affinity.of(self.catalogue)

    @cached_property
    def _log_popularity(self) -> Scores:
        logarithms: Scores = np.log1p(np.maximum(self.catalogue.popularity, 0))
        return logarithms

    def lists(self, users: Histories, excluded: Exclusions, n: int) -> TopLists:
        """See Recommender."""
        shares = self.affinity.shares_of(users)
        candidates, als = self._candidates(users, shares, excluded, n)
        blend = self._parts(users, shares, candidates, als, self.weights.content > 0).blended(self.weights)
        return best_candidates(candidates, blend, excluded, n)

    def explained(self, users: Histories, excluded: Exclusions, n: int) -> Explained:
        """Returns lists with the source of each product; scores are the blend itself, not its logarithm."""
        found = self.lists(users, excluded, n)
        cosine = self.content.cosines(users, found.ids)
        sources = np.where(cosine >= LEAST_COSINE, SOURCES.index(CONTENT_SOURCE), SOURCES.index(POPULARITY_SOURCE))
        known = self.als.scores(users, found.ids) > ALS_FLOOR
        sources = np.where(known, SOURCES.index(ALS_SOURCE), sources)
        # large weights must not make a score 0 or infinite, which would take its product out of the list
        scores = np.exp(np.clip(found.scores, *_LOG_SCORES))
        scores = np.where(np.isfinite(found.scores), scores, -np.inf)
        return Explained(TopLists(found.ids, scores.astype(np.float32)), sources.astype(np.int8))

    def scores(self, users: Histories, candidates: Places) -> Scores:
        """See Recommender: the logarithm of the blend."""
        als = self.als.scores(users, np.maximum(candidates, 0))
        shares = self.affinity.shares_of(users)
        return self._parts(users, shares, candidates, als, self.weights.content > 0).blended(self.weights)

    def proposed(self, users: Histories, excluded: Exclusions, n: int) -> tuple[Places, Parts]:
        """Returns the candidates for lists of n, -1 for none, and what is blended of each: the same for all weights."""
        shares = self.affinity.shares_of(users)
        candidates, als = self._candidates(users, shares, excluded, n)
        return candidates, self._parts(users, shares, candidates, als, True)

    def _parts(
        self, users: Histories, shares: list[csr_matrix], candidates: Places, als: Scores, with_cosine: bool
    ) -> Parts:
        places, segments = np.maximum(candidates, 0), users.segments[:, None]
        band = self.catalogue.price_band[places]
        lift = self.tastes.category_lift[segments, self.catalogue.category[places]]
        lift = lift + np.where(band >= 0, self.tastes.band_lift[segments, np.maximum(band, 0)], 0.0)
        return Parts(
            log_als=np.log(np.maximum(als, 0) + ALS_FLOOR),
            log_affinity=np.log(self.affinity.affinities(shares, places)),
            cosine=self.content.cosines(users, places) if with_cosine else np.zeros(places.shape),
            log_popularity=self._log_popularity[places],
            lift=lift,
        )

    def _candidates(
        self, users: Histories, shares: list[csr_matrix], excluded: Exclusions, n: int
    ) -> tuple[Places, Scores]:
        """Returns candidates, -1 for none, and their scores by ALS, most of which finding them gives."""
        if len(self.catalogue) <= _ALS * n:
            everything = np.broadcast_to(np.arange(len(self.catalogue)), (len(users), len(self.catalogue)))
            return everything, self.als.scores(users, everything)
        liked = self.als.lists(users, excluded, _ALS * max(_LEAST_PLACES, n))
        by_als = np.where(liked.scores > ALS_FLOOR, liked.ids, -1)
        others = np.concatenate([self._of_favourites(shares, n), self._popular(users, excluded, n)], axis=1)
        scores = [liked.scores.astype(np.float64), self.als.scores(users, np.maximum(others, 0))]
        return np.concatenate([by_als, others], axis=1), np.concatenate(scores, axis=1)

    def _popular(self, users: Histories, excluded: Exclusions, n: int) -> Places:
        """As many as make up for a user's own excluded products, whoever else is in the block."""
        wanted = _POPULAR * n + np.diff(excluded.offsets)[:, None]
        popular = self.tastes.popular[users.segments][:, : int(wanted.max(initial=0))]
        return np.where(np.arange(popular.shape[1]) < wanted, popular, -1)

    def _of_favourites(self, shares: list[csr_matrix], n: int) -> Places:
        """The most popular products of each user's favourite groups."""
        found = []
        for grouping, of_grouping, popular, (groups, share) in zip(
            self.affinity.groupings, shares, self._popular_in_groups, _FAVOURITES, strict=True
        ):
            favourites = grouping.favourites(of_grouping, groups)
            wanted = popular[:, : round(share * max(_LEAST_PLACES, n))]
            of_group = np.where(favourites[:, :, None] >= 0, wanted[favourites], -1)
            found.append(of_group.reshape(len(favourites), -1))
        return np.concatenate(found, axis=1)

    @cached_property
    def _popular_in_groups(self) -> list[Places]:
        """Per grouping, each group's most popular products, as many as the longest list may need."""
        longest = max(_LEAST_PLACES, self.tastes.popular.shape[1])
        return [
            self.catalogue.popular_in(grouping.group, round(share * longest))
            for grouping, (_, share) in zip(self.affinity.groupings, _FAVOURITES, strict=True)
        ]


@dataclass(frozen=True)
class Parts:
    """What the blend is made of, each of shape (users, candidates)."""

    log_als: Scores
    log_affinity: Scores
    cosine: Scores
    log_popularity: Scores
    lift: Scores

    def blended(self, weights: BlendWeights) -> Scores:
        """Returns the logarithm of the blend."""
        blend: Scores = (
            self.log_als
            + weights.affinity * self.log_affinity
            + weights.content * self.cosine
            + weights.popularity * self.log_popularity
            + weights.segment * self.lift
        )
        return blend


def hybrid_of(
    products: pa.Table, scores: pa.Table, items: pa.Table, segments: list[str], weights: BlendWeights, kept: int
) -> HybridRecommender:
    """Builds the recommender from its tables.

    Args:
        products: product_id, category_code, brand, avg_price, users: one row per product.
        scores: segment, product_id, score: what `popularity.segment_scores` gives.
        items: product_id, features: the ALS factors.
        segments: names of the segments, in the order that `Histories.segments` counts them.
        weights: of the blend.
        kept: popular products kept per segment.
    """
    ordered = products.combine_chunks().sort_by("product_id")
    sums = _sums(ordered.column("product_id").to_numpy(), scores, segments)
    catalogue = Catalogue.of(ordered.append_column("popularity", pa.array(sums.sum(axis=0))))
    ids = items.column("product_id").to_numpy()
    places, known = catalogue.places(ids)
    factors = factor_matrix(items.column("features"), len(items))
    als = AlsRecommender(ItemFactors.sorted(places[known], factors[known]), len(catalogue))
    return HybridRecommender(catalogue, als, SegmentTastes.of(catalogue, sums, kept), weights)


def _sums(ids: NDArray[np.int64], scores: pa.Table, segments: list[str]) -> Scores:
    """Spreads summed scores over segments and places, shape (segments, products)."""
    numbers = {name: number for number, name in enumerate(segments)}
    encoded = scores.column("segment").combine_chunks().dictionary_encode()
    rows = np.array([numbers[name] for name in encoded.dictionary.to_pylist()], np.int64)[encoded.indices.to_numpy()]
    sums = np.zeros((len(segments), len(ids)))
    sums[rows, np.searchsorted(ids, scores.column("product_id").to_numpy())] = scores.column("score").to_numpy()
    return sums
