"""Products and categories that go together: support, confidence and lift (SPEC E6).

A basket is the set of different products, or of known category codes, that were viewed in one visit or purchased by
one user in the whole time. Baskets with more than MAX_BASKET items, which are programs or shops rather than people,
are left out whole; those with a single item count. Over the N baskets that are left:

    support(a, b)      = baskets with both / N
    confidence(a -> b) = baskets with both / baskets with a
    lift(a, b)         = support(a, b) / (support(a) support(b)); 1 where they have nothing to do with each other

Pairs are looked for among the MAX_ITEMS items with most views (for what was viewed) or purchases (for what was
purchased), so at most MAX_ITEMS^2 / 2 pairs are counted, however large the shop. A pair is told when its lift is
above 1 and at least MIN_TOGETHER baskets, and MIN_SUPPORT of all, hold both; the one that fewer baskets hold stands
first.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_apps.results import Result

MAX_ITEMS = 1000
MAX_BASKET = 50
MIN_TOGETHER = 5
MIN_SUPPORT = 0.0001
TOP_RULES = 20
VIEWED_PRODUCTS, BOUGHT_PRODUCTS = "viewed_products", "bought_products"
VIEWED_CATEGORIES, BOUGHT_CATEGORIES = "viewed_categories", "bought_categories"
AFFINITIES = (VIEWED_PRODUCTS, BOUGHT_PRODUCTS, VIEWED_CATEGORIES, BOUGHT_CATEGORIES)


class Item(Result):
    """A product with its category and brand, or a category code or brand alone; what it is not is not given."""

    product_id: int | None = None
    category_code: str | None = None
    brand: str | None = None


class Rule(Result):
    """Two items that go together: numbers of baskets, support, confidence (of b where a is) and lift."""

    a: Item
    b: Item
    together: int
    baskets_a: int
    baskets_b: int
    support: float
    confidence: float
    lift: float


class Affinity(Result):
    """Pairs of items in the same baskets.

    too_large: baskets left out, of more than `largest_basket` items; candidates: items among which pairs were looked
    for; least_together: baskets that a pair needs.
    """

    baskets: int
    too_large: int
    largest_basket: int
    candidates: int
    least_together: int
    rules: list[Rule]


@dataclass(frozen=True)
class Together:
    """How often items are in a basket together.

    Attributes:
        baskets: N, the baskets that count.
        too_large: baskets that were left out.
        cells: a * MAX_ITEMS + b for places a <= b of two items among the candidates.
        counts: baskets with both; with the item itself where a = b.
    """

    baskets: int
    too_large: int
    cells: NDArray[np.int64]
    counts: NDArray[np.int64]


def least_together(baskets: int) -> int:
    """Returns how many baskets must hold a pair for it to be told."""
    return max(MIN_TOGETHER, math.ceil(MIN_SUPPORT * baskets))


def rules(together: Together, candidates: Sequence[Item]) -> list[Rule]:
    """Picks the TOP_RULES pairs of the highest lift.

    Args:
        together: counts over all baskets.
        candidates: the items by their place.

    Returns:
        Of equal lift, first the pair in more baskets, then that of the items ranked before.
    """
    first, second = np.divmod(together.cells, MAX_ITEMS)
    alone = first == second
    baskets = np.zeros(MAX_ITEMS, np.int64)
    baskets[first[alone]] = together.counts[alone]
    lift = together.counts * float(together.baskets) / np.maximum(1.0, 1.0 * baskets[first] * baskets[second])
    told = ~alone & (together.counts >= least_together(together.baskets)) & (lift > 1)
    order = np.lexsort((second[told], first[told], -together.counts[told], -lift[told]))[:TOP_RULES]
    found = []
    for at in np.flatnonzero(told)[order]:
        a, b = sorted((int(first[at]), int(second[at])), key=lambda place: (baskets[place], place))
        count = int(together.counts[at])
        found.append(
            Rule(
                a=candidates[a],
                b=candidates[b],
                together=count,
                baskets_a=int(baskets[a]),
                baskets_b=int(baskets[b]),
                support=count / together.baskets,
                confidence=count / int(baskets[a]),
                lift=float(lift[at]),
            )
        )
    return found
