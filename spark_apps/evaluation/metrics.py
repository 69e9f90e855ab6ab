"""Measures of ranked lists, one value per user (SPEC R5): arrays in, arrays out.

Two protocols, which must not be mixed up. *Sampled*: one held-out product among 99 products drawn by chance;
easy, and kind to models that merely know what is popular (Krichene and Rendle, "On Sampled Metrics for Item
Recommendation", KDD 2020). *Whole catalogue*: every held-out product, ranked among all products.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Hits = NDArray[np.bool_]
Counts = NDArray[np.integer[Any]]
# the rank of a product that no model can have ranked: beyond every cut
MISSED = np.iinfo(np.int32).max


def rank_among(positive: Values, negatives: Values) -> NDArray[np.int64]:
    """Returns each user's number of negatives that the positive is not strictly above: its rank, from 0.

    Ties count against the model, so one that gives everything the same score is last.

    Args:
        positive: scores of the held-out products, shape (users,); -inf for one that the model cannot know.
        negatives: scores of the drawn products, shape (users, drawn); NaN where none was drawn.
    """
    ranks = (negatives >= positive[:, None]).sum(axis=1)
    return np.where(np.isneginf(positive), MISSED, ranks)


def hit_rate_of_one(ranks: Counts, k: int) -> Values:
    """Returns 1 where the one relevant product is among the first k, else 0.

    He et al., "Neural Collaborative Filtering", WWW 2017, section 4.1.
    """
    return (ranks < k).astype(np.float64)


def ndcg_of_one(ranks: Counts, k: int) -> Values:
    """Returns 1 / log2(rank + 2), ranks counting from 0, and 0 from rank k on: NDCG with one relevant product.

    He et al., "Neural Collaborative Filtering", WWW 2017, section 4.1.
    """
    return np.where(ranks < k, 1 / np.log2(ranks + 2.0), 0.0)


def recall(hits: Hits, relevant: Counts) -> Values:
    """Returns the share of a user's relevant products that the list holds.

    Manning, Raghavan and Schütze, "Introduction to Information Retrieval", section 8.3. With more relevant
    products than places in the list, it stays below 1.

    Args:
        hits: whether each place of each list holds a relevant product, shape (users, k).
        relevant: number of relevant products per user, at least 1, also those that no list can hold.
    """
    found: Values = hits.sum(axis=1) / relevant
    return found


def ndcg(hits: Hits, relevant: Counts) -> Values:
    """Returns DCG / the best possible DCG, with gain 1 for a relevant product and discount 1 / log2(place + 1).

    Järvelin and Kekäläinen, "Cumulated gain-based evaluation of IR techniques", TOIS 20(4), 2002.

    Args:
        hits: as for `recall`.
        relevant: as for `recall`; the best list of k holds min(k, relevant) of them.
    """
    k = hits.shape[1]
    discounts = 1 / np.log2(np.arange(2, k + 2))
    best = np.cumsum(discounts)[np.minimum(relevant, k) - 1]
    gained: Values = hits @ discounts / best
    return gained


def average_precision(hits: Hits, relevant: Counts) -> Values:
    """Returns the mean, over the relevant products a list of k could hold, of the precision at their places.

    Its mean over users is MAP@k as in Kaggle's and ranx's truncated form: a list full of relevant products has 1.
    Manning, Raghavan and Schütze, section 8.4, cut at k.

    Args:
        hits: as for `recall`.
        relevant: as for `recall`; divided by is min(k, relevant).
    """
    k = hits.shape[1]
    precision = np.cumsum(hits, axis=1) / np.arange(1, k + 1)
    mean: Values = (precision * hits).sum(axis=1) / np.minimum(relevant, k)
    return mean


def diversity(places: Counts, terms: NDArray[np.int32], weights: NDArray[np.float32]) -> Values:
    """Returns 1 - the mean cosine of the content of all pairs of a list: 0 for ten of a kind.

    Intra-list dissimilarity: Smyth and McClave, "Similarity vs. Diversity", ICCBR 2001; Ziegler et al., WWW 2005.
    The sum over pairs is (|sum of rows|² - sum of |row|²) / 2, which needs no pairs.

    Args:
        places: lists of products, shape (users, k); -1 for a missing place.
        terms: content terms of every product, shape (products, terms per product).
        weights: their weights, rows of length 1; 0 where a product has fewer terms.

    Returns:
        One value per user; NaN for lists of less than two products.
    """
    users, _ = places.shape
    there = places >= 0
    rows, listed = np.nonzero(there)[0], places[there]
    products: Values = weights[listed].astype(np.float64)
    own = np.bincount(rows, (products**2).sum(axis=1), users)
    keys = rows[:, None].astype(np.int64) * (int(terms.max(initial=0)) + 1) + terms[listed]
    distinct, positions = np.unique(keys, return_inverse=True)
    sums = np.bincount(positions.reshape(-1), products.reshape(-1), len(distinct))
    together = np.bincount(distinct // (int(terms.max(initial=0)) + 1), sums**2, users)
    pairs = there.sum(axis=1) * (there.sum(axis=1) - 1.0)
    cosine: Values = np.divide(together - own, pairs, out=np.full(users, np.nan), where=pairs > 0)
    # the last digits of a mean of cosines may stand above 1
    return np.maximum(0.0, 1 - cosine)


def novelty(places: Counts, product_users: Counts, users: int) -> Values:
    """Returns the mean self-information of a list's products in bits: -log2 of the share of users who know each.

    Zhou et al., "Solving the apparent diversity-accuracy dilemma of recommender systems", PNAS 107(10), 2010.

    Args:
        places: lists of products, shape (lists, k); -1 for a missing place.
        product_users: users who touched each product in training, shape (products,).
        users: users in training.

    Returns:
        One value per list; NaN for empty ones.
    """
    there = places >= 0
    bits = np.log2(users / np.maximum(product_users, 1))
    sums = np.where(there, bits[np.maximum(places, 0)], 0.0).sum(axis=1)
    length = there.sum(axis=1)
    mean: Values = np.divide(sums, length, out=np.full(len(places), np.nan), where=length > 0)
    return mean
