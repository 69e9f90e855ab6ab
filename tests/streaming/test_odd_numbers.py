"""Batches of nobody, of one user and of users without a list: their figures are finite and in their range."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from spark_apps.streaming.figures import Answered, Relevances, evolution_of, lists_of

NAMES = ("a", "b", "c")
numbers = st.sampled_from((0, 1, 2, 10**9))


@given(st.lists(st.sampled_from((1e-38, 0.5, 1.0, 1e30)), max_size=6), numbers)
def test_figures_of_lists(scores: list[float], lists: int) -> None:
    told = lists_of(Answered(scores=np.array(scores, np.float32), lists=lists, diversity=0.5 * lists))
    assert all(math.isfinite(figure) and figure >= 0 for figure in told.model_dump().values())
    assert told.score_p10 <= told.score_p50 <= told.score_p90 and told.diversity <= 1


@given(st.dictionaries(st.sampled_from(NAMES), numbers), st.dictionaries(st.sampled_from(NAMES), numbers))
def test_changes_of_segments(before: dict[str, int], arrived: dict[str, int]) -> None:
    stayed = {name: min(1, users) for name, users in before.items()}
    whole = Answered(arrived=Counter(arrived), seen=Counter(arrived) + Counter(stayed), spent=Counter(arrived))
    told = evolution_of(before, whole)
    assert 0 <= told.shift <= 1 and 0 <= told.change_rate <= 1
    assert all(math.isfinite(one.monetary_mean) for one in told.segments.values())


@given(st.lists(st.integers(1, 9), unique=True), st.lists(st.integers(1, 9), unique=True))
def test_hits_are_never_more_than_trials(listed: list[int], products: list[int]) -> None:
    found = Relevances()
    found.judge(listed, products)
    assert 0 <= found.reciprocal_ranks <= found.hits <= found.trials == len(products)
