"""The products as arrays, described by weighted content terms (SPEC R2).

A product's terms are the prefixes of its category code (`electronics`, `electronics.smartphone`), its brand, its
brand within its category, and its price band: which fifth of its category's prices it is in. Terms are
weighted by the inverse document frequency that scikit-learn uses,

    idf(t) = ln((1 + products) / (1 + products with t)) + 1,

and each product's weights have length 1, so the product of two rows is their cosine. What is not known
(no code, no brand, no price) makes no term.

A catalogue takes about 100 bytes a product: 17 MB for the 167,000 products of the largest real month.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from spark_apps.schemas import UNKNOWN

Ids = NDArray[np.int64]
Places = NDArray[np.int64]
PRICE_BANDS = 5
# Levels of a category code that make terms of their own; deeper codes share their third level's.
LEVELS = 3
# A mean's last digits depend on the order in which Spark added up: without them, equal prices are equal.
_PRICE_DIGITS = 6


@dataclass(frozen=True)
class Catalogue:
    """Products in the order of their ids; a product's place is its index.

    Attributes:
        ids: product ids, rising, shape (products,).
        terms: content terms, int32, shape (products, terms per product).
        weights: the terms' TF-IDF weights, float32, rows of length 1; 0 where a product has fewer terms.
        content_class: int32, shape (products,); products with the same terms share one.
        category: number of the category code, int32, shape (products,).
        branded: number of category and brand together, int32, shape (products,).
        price_band: 0 cheapest to PRICE_BANDS - 1, -1 without a price, int32, shape (products,).
        popularity: summed scores over all users, shape (products,); below 0 where removals outweigh.
        users: users who touched it, shape (products,).
    """

    ids: Ids
    terms: NDArray[np.int32]
    weights: NDArray[np.float32]
    content_class: NDArray[np.int32]
    category: NDArray[np.int32]
    branded: NDArray[np.int32]
    price_band: NDArray[np.int32]
    popularity: NDArray[np.float64]
    users: Ids

    @staticmethod
    def of(products: pa.Table) -> Catalogue:
        """Describes products.

        Args:
            products: product_id, category_code and brand (`unknown` where there is none),
                avg_price (null where there is none), popularity (summed scores), users; one row per product.
        """
        ordered = products.combine_chunks().sort_by("product_id")
        category, codes = _numbered(ordered.column("category_code"))
        brand, brands = _numbered(ordered.column("brand"))
        price = np.round(ordered.column("avg_price").to_numpy().astype(np.float64), _PRICE_DIGITS)
        band = _price_bands(price, category)
        terms = _Terms(len(ordered))
        for prefix in _prefixes(codes):
            terms.add(prefix[category])
        named = np.array([name != UNKNOWN for name in brands], np.bool_)[brand]
        terms.add(np.where(named, brand, -1))
        known = np.array([code != UNKNOWN for code in codes], np.bool_)[category]
        terms.add(np.where(named & known, category * len(brands) + brand, -1))
        terms.add(np.where(band >= 0, category * PRICE_BANDS + band, -1))
        numbers, weights = terms.weighted()
        classes = np.unique(np.stack([category, brand, band]), axis=1, return_inverse=True)[1]
        return Catalogue(
            ids=ordered.column("product_id").to_numpy(),
            terms=numbers,
            weights=weights,
            content_class=classes.reshape(-1).astype(np.int32),
            category=category.astype(np.int32),
            branded=np.unique(category * len(brands) + brand, return_inverse=True)[1].reshape(-1).astype(np.int32),
            price_band=band.astype(np.int32),
            popularity=ordered.column("popularity").to_numpy().astype(np.float64),
            users=ordered.column("users").to_numpy().astype(np.int64),
        )

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def term_count(self) -> int:
        """Number of terms."""
        return int(self.terms.max(initial=-1)) + 1

    @cached_property
    def matrix(self) -> csr_matrix:
        """Products x terms, the rows of length 1, or 0 without terms."""
        offsets = np.arange(0, self.terms.size + 1, self.terms.shape[1])
        shape = (len(self), self.term_count)
        return csr_matrix((self.weights.reshape(-1), self.terms.reshape(-1), offsets), shape=shape)

    @cached_property
    def most_popular(self) -> Places:
        """All places, the most popular first, of equals the lowest id."""
        return np.lexsort((self.ids, -self.popularity))

    def popular_in_class(self, n: int) -> Places:
        """Returns each content class's n most popular products: see `popular_in`."""
        return self.popular_in(self.content_class, n)

    def popular_in(self, group: NDArray[np.int32], n: int) -> Places:
        """Returns each group's n most popular products: places, shape (groups, n), -1 where it has fewer.

        Args:
            group: number of each product's group, shape (products,).
            n: how many.
        """
        order = np.lexsort((self.ids, -self.popularity, group))
        groups = group[order]
        first = np.searchsorted(groups, np.arange(groups.max(initial=-1) + 1))
        rank = np.arange(len(order)) - first[groups]
        found = np.full((len(first), n), -1, np.int64)
        found[groups[rank < n], rank[rank < n]] = order[rank < n]
        return found

    def places(self, ids: Ids) -> tuple[Places, NDArray[np.bool_]]:
        """Returns where ids stand, and which of them are in the catalogue at all."""
        if not len(self):
            return np.zeros(len(ids), np.int64), np.zeros(len(ids), np.bool_)
        places = np.minimum(np.searchsorted(self.ids, ids), len(self) - 1)
        return places, self.ids[places] == ids


class _Terms:
    """Columns of term numbers, each kind of term counted on from the last."""

    def __init__(self, products: int) -> None:
        self._products = products
        self._columns: list[NDArray[np.int64]] = []
        self._count = 0

    def add(self, keys: NDArray[Any]) -> None:
        """Adds one kind of term: one key per product, -1 for none."""
        distinct, numbers = np.unique(keys, return_inverse=True)
        none = int(len(distinct) > 0 and distinct[0] < 0)
        self._columns.append(np.where(keys >= 0, numbers.reshape(-1) - none + self._count, -1))
        self._count += len(distinct) - none

    def weighted(self) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Returns terms and TF-IDF weights; a missing term is 0 with weight 0."""
        terms = np.stack(self._columns, axis=1)
        there = terms >= 0
        with_term = np.bincount(terms[there], minlength=max(1, self._count))
        idf = np.log((1 + self._products) / (1 + with_term)) + 1
        weights = np.where(there, idf[np.maximum(terms, 0)], 0.0)
        length = np.sqrt((weights**2).sum(axis=1, keepdims=True))
        weights = np.divide(weights, length, out=np.zeros_like(weights), where=length > 0)
        return np.where(there, terms, 0).astype(np.int32), weights.astype(np.float32)


def _numbered(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], list[str]]:
    """Returns each row's number and the sorted distinct values that the numbers stand for."""
    encoded = column.combine_chunks().dictionary_encode()
    values: list[str] = encoded.dictionary.to_pylist()
    order = sorted(range(len(values)), key=lambda index: values[index])
    numbers = np.empty(len(values), np.int64)
    numbers[order] = np.arange(len(values))
    return numbers[encoded.indices.to_numpy()], [values[index] for index in order]


def _prefixes(codes: list[str]) -> Iterable[NDArray[np.int64]]:
    """Yields, per level, the number of each code's prefix, -1 where it is no deeper than the level before."""
    for level in range(1, LEVELS + 1):
        parts = [code.split(".") if code != UNKNOWN else [] for code in codes]
        prefixes = [".".join(part[:level]) if len(part) >= level else "" for part in parts]
        numbers = {prefix: number for number, prefix in enumerate(sorted({*prefixes} - {""}))}
        yield np.array([numbers.get(prefix, -1) for prefix in prefixes], np.int64)


def _price_bands(price: NDArray[np.float64], category: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns the fifth of its category's prices that each product is in; equal prices share the lowest band."""
    band = np.full(len(price), -1, np.int64)
    priced = np.flatnonzero(~np.isnan(price))
    order = priced[np.lexsort((price[priced], category[priced]))]
    sorted_category, sorted_price = category[order], price[order]
    first = np.searchsorted(sorted_category, sorted_category)
    count = np.searchsorted(sorted_category, sorted_category, side="right") - first
    starts = np.r_[True, (np.diff(sorted_category) != 0) | (np.diff(sorted_price) != 0)][: len(order)]
    below = np.maximum.accumulate(np.where(starts, np.arange(len(order)), 0)) - first
    band[order] = below * PRICE_BANDS // np.maximum(count, 1)
    return band
