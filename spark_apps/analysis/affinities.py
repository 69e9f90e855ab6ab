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
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from spark_apps.analysis.visits import PURCHASE, VIEW, Ints, Visits, counted
from spark_apps.schemas import UNKNOWN

MAX_ITEMS = 1000
MAX_BASKET = 50
MIN_TOGETHER = 5
MIN_SUPPORT = 0.0001
TOP_RULES = 20
VIEWED_PRODUCTS, BOUGHT_PRODUCTS = "viewed_products", "bought_products"
VIEWED_CATEGORIES, BOUGHT_CATEGORIES = "viewed_categories", "bought_categories"
AFFINITIES = (VIEWED_PRODUCTS, BOUGHT_PRODUCTS, VIEWED_CATEGORIES, BOUGHT_CATEGORIES)


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
    cells: Ints
    counts: Ints


def count_together(visits: Visits, candidates: dict[str, pa.Array]) -> dict[str, Together]:
    """Counts baskets by the items and the pairs of items in them.

    Args:
        visits: events of whole users.
        candidates: for each of AFFINITIES at most MAX_ITEMS product ids or category codes.
    """
    viewed = (visits.kind == VIEW) & (visits.visit >= 0)
    bought = visits.kind == PURCHASE
    unknown = pc.index(visits.categories, UNKNOWN).as_py() if len(visits.categories) else -1
    known = visits.category != unknown
    chosen = {
        VIEWED_PRODUCTS: (visits.visit, visits.product, viewed),
        BOUGHT_PRODUCTS: (visits.user, visits.product, bought),
        VIEWED_CATEGORIES: (visits.visit, visits.category, viewed & known),
        BOUGHT_CATEGORIES: (visits.user, visits.category, bought & known),
    }
    items = {
        VIEWED_PRODUCTS: visits.products,
        BOUGHT_PRODUCTS: visits.products,
        VIEWED_CATEGORIES: visits.categories,
        BOUGHT_CATEGORIES: visits.categories,
    }
    return {
        name: _together(basket[mask], item[mask], _among(items[name], candidates[name]))
        for name, (basket, item, mask) in chosen.items()
    }


def least_together(baskets: int) -> int:
    """Returns how many baskets must hold a pair for it to be told."""
    return max(MIN_TOGETHER, math.ceil(MIN_SUPPORT * baskets))


def rules(together: Together) -> list[dict[str, Any]]:
    """Picks the TOP_RULES pairs of the highest lift.

    Args:
        together: counts over all baskets.

    Returns:
        For each pair `a` and `b`, places among the candidates; `together` and `baskets_a`, `baskets_b`, numbers of
        baskets; support, confidence (of b where a is) and lift. Of equal lift, first the pair in more baskets, then
        that of the items ranked before.
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
            {
                "a": a,
                "b": b,
                "together": count,
                "baskets_a": int(baskets[a]),
                "baskets_b": int(baskets[b]),
                "support": count / together.baskets,
                "confidence": count / int(baskets[a]),
                "lift": float(lift[at]),
            }
        )
    return found


def _among(items: pa.Array, candidates: pa.Array) -> Ints:
    """Each item's place among the candidates, -1 for the others."""
    return np.asarray(pc.fill_null(pc.index_in(items, value_set=candidates), -1).to_numpy(), np.int64)


def _together(basket: Ints, item: Ints, candidate: Ints) -> Together:
    """Counts the baskets of one kind; `candidate` tells for each distinct item its place among the candidates."""
    held = np.unique(basket * max(1, len(candidate)) + item)  # one entry an item of a basket
    basket, item = np.divmod(held, max(1, len(candidate)))
    numbers, sizes = counted(basket)
    small = sizes <= MAX_BASKET
    basket, place = basket[np.repeat(small, sizes)], candidate[item[np.repeat(small, sizes)]]
    packed = np.sort(basket[place >= 0] * MAX_ITEMS + place[place >= 0])
    cells, counts = counted(_pairs(*np.divmod(packed, MAX_ITEMS)))
    return Together(int(small.sum()), len(numbers) - int(small.sum()), cells, counts)


def _pairs(basket: Ints, place: Ints) -> Ints:
    """Cells of every item, and of every two items of a basket; items stand in order within their basket."""
    cells = [place * MAX_ITEMS + place]
    for step in range(1, MAX_BASKET):
        same = basket[step:] == basket[:-step]
        if not same.any():
            break
        cells.append(place[:-step][same] * MAX_ITEMS + place[step:][same])
    return np.concatenate(cells)
