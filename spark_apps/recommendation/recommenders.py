"""Models that rank a catalogue for a block of users, all behind the same two methods."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from spark_apps.recommendation.catalogue import Catalogue, Places
from spark_apps.recommendation.histories import Histories, spread_out
from spark_apps.recommendation.topn import Exclusions, ItemFactors, TopLists, top_products

Scores = NDArray[np.float64]
# Of a class of products that look the same, and of such classes, so many per place of a list are looked at.
_CLASSES_PER_PLACE = 3
# Products that look the same are ordered by popularity: this much of it decides between equals only.
_TIE = 1e-6
# Cosines with all content classes are in memory for so many numbers at a time: 8 MB, near what a processor caches.
_DENSE_CELLS = 1_000_000


class Recommender(Protocol):
    """Ranks products, known by their places in a catalogue, for users."""

    @property
    def name(self) -> str:
        """What the model is called."""

    def lists(self, users: Histories, excluded: Exclusions, n: int) -> TopLists:
        """Returns each user's n best places that are not excluded; a missing one has score -inf."""

    def scores(self, users: Histories, candidates: Places) -> Scores:
        """Returns the scores of candidates, places of shape (users, any); higher is better."""


def best_candidates(candidates: Places, scores: Scores, excluded: Exclusions, n: int) -> TopLists:
    """Ranks candidates: the best first, of equals the lower place.

    Args:
        candidates: places, shape (users, any); -1 is no candidate, and one that comes again counts once.
        scores: beside them.
        excluded: places to leave out, rising within a user.
        n: length of a list.
    """
    order = np.argsort(candidates, axis=1, kind="stable")
    places, values = np.take_along_axis(candidates, order, axis=1), np.take_along_axis(scores, order, axis=1)
    values = np.where(allowed_candidates(places, excluded), values, -np.inf)
    best = np.argsort(-values, axis=1, kind="stable")[:, :n]
    scores_kept = np.take_along_axis(values, best, axis=1).astype(np.float32)
    return TopLists(np.take_along_axis(places, best, axis=1), scores_kept)


def allowed_candidates(places: Places, excluded: Exclusions) -> NDArray[np.bool_]:
    """Says of places that rise within a user which can be listed: no -1, none again, none excluded."""
    again = np.zeros(places.shape, np.bool_)
    again[:, 1:] = places[:, 1:] == places[:, :-1]
    allowed: NDArray[np.bool_] = (places >= 0) & ~again & ~_excluded(places, excluded)
    return allowed


def _excluded(places: Places, excluded: Exclusions) -> NDArray[np.bool_]:
    if not len(excluded.ids):
        return np.zeros(places.shape, np.bool_)
    span = int(max(places.max(initial=0), excluded.ids.max(initial=0))) + 2
    rows = np.repeat(np.arange(len(excluded.offsets) - 1), np.diff(excluded.offsets))
    left_out = np.sort(rows * span + excluded.ids)
    wanted = np.arange(len(places))[:, None] * span + places
    found = np.minimum(np.searchsorted(left_out, wanted), len(left_out) - 1)
    same: NDArray[np.bool_] = left_out[found] == wanted
    return same


@dataclass(frozen=True)
class PopularityRecommender:
    """The same products for everybody: those with the highest summed scores."""

    catalogue: Catalogue
    name: str = "popularity"

    def lists(self, users: Histories, excluded: Exclusions, n: int) -> TopLists:
        """See Recommender."""
        longest = int(np.diff(excluded.offsets).max(initial=0))
        offered = self.catalogue.most_popular[: n + longest]
        candidates = np.broadcast_to(offered, (len(users), len(offered)))
        return best_candidates(candidates, self.scores(users, candidates), excluded, n)

    def scores(self, users: Histories, candidates: Places) -> Scores:
        """See Recommender."""
        popularity: Scores = self.catalogue.popularity[candidates]
        return popularity


@dataclass(frozen=True)
class AlsRecommender:
    """Products by the product of factors.

    Attributes:
        items: product factors; their ids are places.
        products: number of products in the catalogue.
    """

    items: ItemFactors
    products: int
    name: str = "als"

    @property
    def rank(self) -> int:
        """Length of a factor."""
        return int(self.items.factors.shape[1])

    @cached_property
    def _factors(self) -> NDArray[np.float32]:
        """The factors of each place, zeros for products without."""
        factors = np.zeros((self.products, self.rank), np.float32)
        factors[self.items.ids] = self.items.factors
        return factors

    def factors_of(self, places: Places) -> NDArray[np.float32]:
        """Returns the factors of places, zeros for products without, shape (*places.shape, rank)."""
        found: NDArray[np.float32] = self._factors.take(places, axis=0)  # two thirds of the time of an index
        return found

    def lists(self, users: Histories, excluded: Exclusions, n: int) -> TopLists:
        """See Recommender; users without factors have no list."""
        return top_products(users.factors, self.items, excluded, n)

    def scores(self, users: Histories, candidates: Places) -> Scores:
        """See Recommender; 0 where user or product have no factors."""
        products: Scores = np.matmul(self.factors_of(candidates), users.factors[:, :, None])[:, :, 0].astype(np.float64)
        return products


@dataclass(frozen=True)
class ContentRecommender:
    """Products that look like what the user cared for: cosine of TF-IDF vectors (SPEC R2).

    A user's vector is the sum of the touched products' vectors, each times its implicit score.
    """

    catalogue: Catalogue
    name: str = "content"

    @cached_property
    def _looks(self) -> csr_matrix:
        """One row of terms per content class."""
        first = np.unique(self.catalogue.content_class, return_index=True)[1]
        return self.catalogue.matrix[first]

    @cached_property
    def _tie_breaker(self) -> Scores:
        popularity = np.log1p(np.maximum(self.catalogue.popularity, 0))
        breaker: Scores = _TIE * popularity / max(1.0, float(popularity.max(initial=0)))
        return breaker

    def profiles(self, users: Histories) -> csr_matrix:
        """Returns the users' vectors, rows of length 1, or 0 for users without a described product."""
        profiles = (users.matrix(len(self.catalogue)) @ self.catalogue.matrix).tocsr()
        length = np.sqrt(np.asarray(profiles.multiply(profiles).sum(axis=1)).reshape(-1))
        profiles.data /= np.repeat(np.where(length > 0, length, 1), np.diff(profiles.indptr))
        return profiles

    def cosines(self, users: Histories, candidates: Places) -> Scores:
        """Returns the cosine of each user's vector with each candidate's, shape (users, candidates)."""
        found = np.empty(candidates.shape, np.float64)
        for block, dense in spread_out(self.profiles(users)):
            places = candidates[block]
            rows = np.arange(len(places))[:, None]
            total = np.zeros(places.shape, np.float64)
            for column in range(self.catalogue.terms.shape[1]):
                total += (
                    dense[rows, self.catalogue.terms[:, column][places]] * self.catalogue.weights[:, column][places]
                )
            found[block] = total
        return found

    def lists(self, users: Histories, excluded: Exclusions, n: int) -> TopLists:
        """See Recommender; of products that look the same, the more popular first."""
        candidates = self._nearest(users, n)
        return best_candidates(candidates, self.scores(users, candidates), excluded, n)

    def scores(self, users: Histories, candidates: Places) -> Scores:
        """See Recommender."""
        return self.cosines(users, candidates) + self._tie_breaker[candidates]

    def _nearest(self, users: Histories, n: int) -> Places:
        """The most popular products of the classes nearest to each user."""
        offered = self.catalogue.popular_in_class(n)
        wanted = min(_CLASSES_PER_PLACE * n, len(offered))
        profiles, looks = self.profiles(users), self._looks.T.tocsr()
        candidates = np.empty((len(users), wanted * n), np.int64)
        at_once = max(1, _DENSE_CELLS // max(1, len(offered)))
        for start in range(0, len(users), at_once):
            block = slice(start, start + at_once)
            near = (profiles[block] @ looks).toarray()
            chosen = np.argsort(-near, axis=1, kind="stable")[:, :wanted]
            candidates[block] = offered[chosen].reshape(len(chosen), -1)
        return candidates
