"""Intervals: as wide as theory says, paired, and the same for the same seed."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spark_apps.evaluation.bootstrap import estimate, means, resampled_means


def test_the_interval_of_a_mean_is_that_of_the_central_limit_theorem() -> None:
    values = np.random.default_rng(0).exponential(size=(4000, 1))
    found = estimate(float(means(values)[0]), resampled_means(values, seed=1, resamples=4000)[:, 0])
    assert found is not None
    half = 1.96 * values.std() / len(values) ** 0.5
    assert found.value == pytest.approx(values.mean(), abs=1e-6)
    assert found.low == pytest.approx(values.mean() - half, rel=0.005)
    assert found.high == pytest.approx(values.mean() + half, rel=0.005)


def test_most_intervals_hold_the_true_mean() -> None:
    random = np.random.default_rng(3)
    held = 0
    for repetition in range(200):
        values = random.binomial(1, 0.3, (400, 1)).astype(float)
        found = estimate(0.0, resampled_means(values, seed=repetition, resamples=400)[:, 0])
        assert found is not None
        held += found.low <= 0.3 <= found.high
    assert 0.9 <= held / 200 <= 0.99


def test_columns_are_resampled_together() -> None:
    first = np.random.default_rng(0).normal(size=500)
    drawn = resampled_means(np.column_stack([first, first + 0.25]), seed=5)
    np.testing.assert_allclose(drawn[:, 1] - drawn[:, 0], 0.25)


def test_each_draw_is_a_mean_of_as_many_users_as_there_are() -> None:
    users = np.eye(7)
    drawn = resampled_means(users, seed=2, resamples=100)
    np.testing.assert_allclose(drawn.sum(axis=1), 1)
    np.testing.assert_allclose(drawn * 7, np.round(drawn * 7), atol=1e-12)
    assert len(np.unique(drawn, axis=0)) > 90


def test_users_without_a_figure_are_left_out() -> None:
    values = np.array([[1.0, np.nan], [3.0, np.nan], [np.nan, np.nan]])
    np.testing.assert_allclose(means(values), [2, np.nan])
    drawn = resampled_means(values, seed=0)
    assert np.nanmin(drawn[:, 0]) == 1 and np.nanmax(drawn[:, 0]) == 3
    assert estimate(np.nan, drawn[:, 1]) is None


def test_the_same_seed_draws_the_same_users() -> None:
    values = np.random.default_rng(0).normal(size=(100, 2))
    np.testing.assert_array_equal(resampled_means(values, 4), resampled_means(values, 4))
    assert not np.array_equal(resampled_means(values, 4), resampled_means(values, 5))


@given(st.lists(st.sampled_from((math.nan, -1e-9, 0.0, 1e-9, 1.0, -1e9)), min_size=1, max_size=12))
def test_odd_figures_have_finite_ends_or_none(column: list[float]) -> None:
    """Also a single user, users without the figure, and what is rounded to nothing, which is 0 and not -0."""
    values = np.array(column).reshape(-1, 1)
    found = estimate(float(means(values)[0]), resampled_means(values, seed=1, resamples=20)[:, 0])
    if np.isnan(values).all():
        assert found is None
        return
    assert found is not None
    assert math.isfinite(found.value) and found.low <= found.high
    assert "-0.0" not in {str(found.value), str(found.low), str(found.high)}
