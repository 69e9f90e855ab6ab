"""How likely a user's next product is this one, by the kinds of products that the user goes for.

Products are grouped in three ways: by category; by category and brand; by category, brand and price band. If
users kept to their groups, and took in each group what is popular there, the chance of product p for user u were

    chance(u, p) = share of u's scores in the group of p * pop(p) / sum of pop in the group of p

with pop the product's summed scores and PRIOR more, so that what nobody bought has a chance too. The affinity is the
mean of the three, drawn by EVERYBODY towards what the product is to everybody; over all products it adds up to 1:

    affinity(u, p) = (1 - EVERYBODY) * mean of the three chances + EVERYBODY * pop(p) / sum of pop
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from spark_apps.recommendation.catalogue import Catalogue, Places
from spark_apps.recommendation.histories import Histories, spread_out

Scores = NDArray[np.float64]
EVERYBODY, PRIOR = 0.05, 1.0


@dataclass(frozen=True)
class Grouping:
    """One way to group products.

    Attributes:
        group: number of each product's group, int32, shape (products,).
        share: each product's share of its group's popularity, shape (products,).
    """

    group: NDArray[np.int32]
    share: Scores

    @staticmethod
    def of(group: NDArray[np.int32], popularity: Scores) -> Grouping:
        """Derives shares from popularity, above 0 for every product."""
        return Grouping(group, popularity / np.bincount(group, popularity)[group])

    @property
    def count(self) -> int:
        """Number of groups."""
        return int(self.group.max(initial=-1)) + 1

    def shares_of(self, users: Histories) -> csr_matrix:
        """Returns users x groups: which share of a user's positive scores each group has."""
        touched = users.matrix(len(self.group))
        columns, scores = self.group[touched.indices], touched.data.astype(np.float64)
        shares = csr_matrix((scores, columns, touched.indptr.copy()), shape=(len(users), self.count))
        shares.sum_duplicates()
        totals = np.asarray(shares.sum(axis=1)).reshape(-1)
        shares.data /= np.repeat(np.where(totals > 0, totals, 1.0), np.diff(shares.indptr))
        return shares

    def chances(self, shares: csr_matrix, candidates: Places) -> Scores:
        """Returns the chance of each candidate by this grouping, shape (users, candidates)."""
        found = np.empty(candidates.shape, np.float64)
        for block, dense in spread_out(shares):
            places = candidates[block]
            found[block] = np.take_along_axis(dense, self.group[places], axis=1) * self.share[places]
        return found

    @staticmethod
    def favourites(shares: csr_matrix, n: int) -> Places:
        """Returns each user's n groups with the largest shares, of equals the lower; -1 for none."""
        users = shares.shape[0]
        rows = np.repeat(np.arange(users), np.diff(shares.indptr))
        order = np.lexsort((shares.indices, -shares.data, rows))
        rank = np.arange(len(rows)) - shares.indptr[rows[order]]
        found = np.full((users, n), -1, np.int64)
        kept = (rank < n) & (shares.data[order] > 0)
        found[rows[order][kept], rank[kept]] = shares.indices[order][kept]
        return found


@dataclass(frozen=True)
class Affinity:
    """The affinity of the module's docstring.

    Attributes:
        groupings: from the coarsest to the finest.
        overall: each product's share of all popularity, shape (products,).
    """

    groupings: tuple[Grouping, ...]
    overall: Scores

    @staticmethod
    def of(catalogue: Catalogue) -> Affinity:
        """Derives groups and shares from a catalogue."""
        popularity = np.maximum(catalogue.popularity, 0) + PRIOR
        groups = (catalogue.category, catalogue.branded, catalogue.content_class)
        return Affinity(tuple(Grouping.of(group, popularity) for group in groups), popularity / popularity.sum())

    def shares_of(self, users: Histories) -> list[csr_matrix]:
        """Returns the users' shares by each grouping: what favourites and affinities are found by."""
        return [one.shares_of(users) for one in self.groupings]

    def affinities(self, shares: list[csr_matrix], candidates: Places) -> Scores:
        """Returns each candidate's affinity, above 0, shape (users, candidates)."""
        chances = np.zeros(candidates.shape)
        for grouping, of_grouping in zip(self.groupings, shares, strict=True):
            chances += grouping.chances(of_grouping, candidates)
        affinities: Scores = (1 - EVERYBODY) * chances / len(self.groupings) + EVERYBODY * self.overall[candidates]
        return affinities
