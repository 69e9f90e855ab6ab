"""Funnel, abandonment, frequency, sequences, affinities and top lists, from what the units counted (SPEC E6)."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from spark_apps.analysis.affinities import (
    AFFINITIES,
    BOUGHT_CATEGORIES,
    BOUGHT_PRODUCTS,
    MAX_BASKET,
    MAX_ITEMS,
    VIEWED_CATEGORIES,
    VIEWED_PRODUCTS,
    Affinity,
    Item,
    Together,
    least_together,
    rules,
)
from spark_apps.analysis.counts import Counts
from spark_apps.analysis.funnels import (
    DAYS_PER_USER,
    PAIRS,
    SESSIONS,
    SESSIONS_PER_USER,
    USERS,
    Abandonment,
    Frequency,
    Funnel,
    abandonment,
    frequency,
    funnel,
)
from spark_apps.analysis.sequences import Sequences, describe_sequences
from spark_apps.analysis.tops import (
    BY_PURCHASES,
    BY_VIEWS,
    CATEGORIES,
    PRODUCTS,
    TopItem,
    best_items,
    ranked_products,
    top_lists,
)
from spark_apps.results import Result

_UNITS = (USERS, SESSIONS, PAIRS)
_FREQUENCIES = (SESSIONS_PER_USER, DAYS_PER_USER)
_CANDIDATES = {
    VIEWED_PRODUCTS: (PRODUCTS, BY_VIEWS),
    BOUGHT_PRODUCTS: (PRODUCTS, BY_PURCHASES),
    VIEWED_CATEGORIES: (CATEGORIES, BY_VIEWS),
    BOUGHT_CATEGORIES: (CATEGORIES, BY_PURCHASES),
}


def candidates_of(ranked: pa.Table) -> dict[str, pa.Array]:
    """Returns for each of AFFINITIES the MAX_ITEMS items among which pairs are looked for, the first first.

    Args:
        ranked: columns tops.ITEMS, the first MAX_ITEMS of each ranking and perhaps others.
    """
    return {name: best_items(ranked, kind, by, MAX_ITEMS) for name, (kind, by) in _CANDIDATES.items()}


class Behaviour(Result):
    """What users do in the shop; none of it in the files of older analyses.

    funnel and cart_abandonment are each of users, sessions and pairs (of user and product); a session is one user's
    events of one session id. The rules of each part stand in its module: `funnels`, `sequences`, `affinities`, `tops`.
    """

    funnel: dict[str, Funnel] = Field(default_factory=dict)
    cart_abandonment: dict[str, Abandonment] = Field(default_factory=dict)
    visit_frequency: dict[str, Frequency] = Field(default_factory=dict)
    sequences: Sequences | None = None
    affinities: dict[str, Affinity] = Field(default_factory=dict)
    top: dict[str, dict[str, list[TopItem]]] = Field(default_factory=dict)


def describe_behaviour(counts: Counts) -> Behaviour:
    """Describes what users do; every count is exact."""
    units = {unit: _of(counts.unit_types, "unit", unit, "types", "units") for unit in _UNITS}
    users = {name: _of(counts.frequencies, "figure", name, "number", "users") for name in _FREQUENCIES}
    sequences = zip(*(counts.sequences[name].to_pylist() for name in ("sequence", "visits")), strict=True)
    return Behaviour(
        funnel={unit: funnel(units[unit]) for unit in _UNITS},
        cart_abandonment={unit: abandonment(units[unit]) for unit in _UNITS},
        visit_frequency={name: frequency(users[name]) for name in _FREQUENCIES},
        sequences=describe_sequences(dict(sequences)),
        affinities={name: _affinity(counts, name) for name in AFFINITIES},
        top=top_lists(counts.ranked_items),
    )


def _of(rows: pa.Table, column: str, wanted: str, key: str, count: str) -> dict[int, int]:
    chosen = rows.filter(pc.field(column) == wanted)
    return dict(zip(chosen[key].to_pylist(), chosen[count].to_pylist(), strict=True))


def _affinity(counts: Counts, name: str) -> Affinity:
    items = _candidates(counts, name)
    cells = counts.cells.filter(pc.field("figure") == name).sort_by("cell")
    numbers = counts.basket_counts.filter(pc.field("figure") == name)
    baskets, too_large = (sum(numbers[column].to_pylist()) for column in ("baskets", "too_large"))
    together = Together(baskets, too_large, cells["cell"].to_numpy(), cells["baskets"].to_numpy())
    return Affinity(
        baskets=baskets,
        too_large=too_large,
        largest_basket=MAX_BASKET,
        candidates=len(items),
        least_together=least_together(baskets),
        rules=rules(together, items),
    )


def _candidates(counts: Counts, name: str) -> list[Item]:
    found = candidates_of(counts.ranked_items)[name].to_pylist()
    if name in (VIEWED_CATEGORIES, BOUGHT_CATEGORIES):
        return [Item(category_code=code) for code in found]
    products = ranked_products(counts.ranked_items)
    return [products[product] for product in found]
