"""Counts of nothing, of one and of very many: rates and means are finite, in their range, or not there."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spark_apps.analysis.affinities import MAX_ITEMS, Item, Together, rules
from spark_apps.analysis.funnels import abandonment, frequency, funnel
from spark_apps.analysis.sequences import describe_sequences

counts = st.sampled_from((0, 1, 2, 1000, 10**12))


def figures_of(value: Any) -> list[float]:
    """All numbers of a nested result."""
    if isinstance(value, dict):
        return [figure for inside in value.values() for figure in figures_of(inside)]
    if isinstance(value, list):
        return [figure for inside in value for figure in figures_of(inside)]
    return [value] if isinstance(value, float | int) else []


@given(st.dictionaries(st.integers(1, 15), counts))
def test_funnels_and_abandonment(units: dict[int, int]) -> None:
    told = {**funnel(units).figures(), **abandonment(units).figures()}
    for name in ("view_to_cart", "cart_to_purchase", "view_to_purchase", "rate"):
        assert told[name] is None or 0 <= told[name] <= 1
    assert all(math.isfinite(figure) and figure >= 0 for figure in figures_of(told))


@given(st.dictionaries(st.integers(1, 5000), st.sampled_from((1, 2, 10**9))))
def test_frequencies(users: dict[int, int]) -> None:
    told = frequency(users).figures()
    if not users:
        assert told["mean"] is None and told["median"] is None and told["max"] is None
        return
    assert min(users) <= told["median"] <= told["p90"] <= told["max"]
    assert min(users) <= told["mean"] * (1 + 1e-12) and told["mean"] <= told["max"] * (1 + 1e-12)
    assert sum(told["distribution"].values()) == told["users"]


@given(st.lists(st.from_regex(r"\A[0-3]{1,8}\.?\Z"), max_size=6), counts)
def test_sequences(ways: list[str], sessions: int) -> None:
    told = describe_sequences(dict.fromkeys(ways, sessions + 1))
    assert all(0 < row.share <= 1 for row in told.top + told.to_purchase)


@given(st.integers(2, 6), st.integers(0, 60), st.integers(0, 99))
def test_rules(items: int, baskets: int, seed: int) -> None:
    """Also of items that are in every basket, and of baskets that hold nothing."""
    random = np.random.default_rng(seed)
    holds = random.random((baskets, items)) < random.choice([0, 0.3, 1], items)
    cells = {(a, b): int((holds[:, a] & holds[:, b]).sum()) for a in range(items) for b in range(a, items)}
    met = {cell: count for cell, count in cells.items() if count}
    keys = np.array([a * MAX_ITEMS + b for a, b in met], np.int64)
    together = Together(baskets, 0, keys, np.array(list(met.values()), np.int64))
    for rule in rules(together, [Item(product_id=number) for number in range(items)]):
        assert 0 < rule.support <= rule.confidence <= 1 < rule.lift < math.inf
